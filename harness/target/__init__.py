"""A target as a process: found, started, asked, stopped; and what a run owns on the host."""
