"""Floor 5: kernels to loop IR, one file per kernel class, and loop IR to C text."""
