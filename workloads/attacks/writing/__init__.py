"""Write where others read."""
