"""Become somebody else."""
