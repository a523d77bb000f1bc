"""The scene of an attack: two tenants, what is planted with them, and their server."""
