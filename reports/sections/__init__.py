"""What the report says, section by section: tables in, words out."""
