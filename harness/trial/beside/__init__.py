"""Measured beside a plan's trials: to find loads, to explain costs, to check the harness."""
