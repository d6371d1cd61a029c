"""Floor 3: differentiation as graph to graph, by the rules that stand in the operators."""
