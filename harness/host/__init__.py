"""The host: what it is, what harms a measurement on it, its processes, cgroups and cores."""
