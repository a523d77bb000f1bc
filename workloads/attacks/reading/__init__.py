"""Read what belongs to others."""
