"""The runs: one here, one with a server elsewhere, one again from a bundle; and its live table."""
