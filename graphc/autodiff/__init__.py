"""Floor 3: differentiation and batching as graph to graph, by the rules of the operators."""
