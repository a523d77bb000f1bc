"""Leave something behind for the next tenant."""
