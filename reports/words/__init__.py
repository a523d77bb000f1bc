"""What the report says, in sentences and tables of texts: tables in, words out. Pure."""
