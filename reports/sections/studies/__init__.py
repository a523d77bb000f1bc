"""What other commands than `run` measured: one module for each command."""
