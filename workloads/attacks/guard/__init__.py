"""Get around a guard inside the language."""
