"""Hostile scripts on real servers, and the proof of what became of each."""
