"""End the server, or keep it from serving anybody else."""
