"""What the trials of a run measured, target by target."""
