"""Floor 3: passes, pure functions from a valid graph to an equal one, one to a file."""
