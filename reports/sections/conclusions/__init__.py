"""What a run concludes, and how far to trust it."""
