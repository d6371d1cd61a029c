"""Floor 4: from a graph to kernels in order, with a place in memory for every value."""
