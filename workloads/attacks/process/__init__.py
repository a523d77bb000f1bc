"""Disturb other processes, or use all there is."""
