"""What a server's processes tell each other through memory that they share."""
