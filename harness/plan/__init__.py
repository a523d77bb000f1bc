"""What a run will measure, in which order, and when it has measured enough. Pure."""
