"""The parts of the page: one module each, with its HTML fragment beside it where it needs one."""
