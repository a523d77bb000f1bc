"""What more tenants cost: throughput, memory and start-up against their number, and cold starts."""
