"""Small privileged processes that fork tenants' permanent workers."""
