"""Leave something behind for the same tenant's next request."""
