"""Answer in another's place."""
