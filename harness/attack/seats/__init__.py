"""Where servers under attack run: seats, who starts them there, and who stands by unharmed."""
