"""The front that all modes share: the master, its workers, the starters of tenants' workers."""
