"""What only a profiled or slowed-down server loads: time stamps, their places, a slowdown."""
