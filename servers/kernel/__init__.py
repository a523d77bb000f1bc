"""What the servers ask of the kernel: system calls, identities, namespaces, filters."""
