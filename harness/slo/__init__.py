"""Capacity under a promise: the highest open rate at which a mode keeps it."""
