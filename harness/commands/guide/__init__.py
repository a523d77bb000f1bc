"""The commands for who is new here: terms explained, and words completed in a shell."""
