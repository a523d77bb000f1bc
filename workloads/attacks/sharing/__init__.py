"""Misuse what tenants share within the server."""
