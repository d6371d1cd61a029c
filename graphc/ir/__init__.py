"""Floor 1: the graph, the declarations of how operators compute, the loop IR, the printer."""
