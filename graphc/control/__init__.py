"""Floor 3: operators that own a graph, and how they are differentiated and batched."""
