"""A step as C for other programs: a folder with its own build files, test and example."""
