"""The load's HTTP clients: the lean one in Python, and the closed loop in C."""
