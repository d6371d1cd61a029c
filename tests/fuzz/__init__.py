"""Random graphs, compiled and held against the reference: `python -m tests.fuzz --seconds 600`."""
