"""One trial for real: servers prepared, load put on them, what happened judged."""
