"""Get past the wrapper's checks, as a worker that was taken over."""
