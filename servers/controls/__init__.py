"""Server code that leaves out one protection: the positive controls of attacks."""
