"""What a run's tables say to one question each. Pure."""
