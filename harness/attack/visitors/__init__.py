"""The visitors of the tenants' sites, who see what a server answers."""
