"""Two runs or many: what changed between them, and whether a bound was passed."""
