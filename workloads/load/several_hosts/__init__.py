"""Load from several hosts: a master, generators as its workers, and their messages."""
