"""Whole training steps, timed against other systems: `python -m benchmarks`."""
