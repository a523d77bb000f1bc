"""Load generators as running processes."""
