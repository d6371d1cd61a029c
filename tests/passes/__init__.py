"""Passes keep values to the bit, and each has an effect."""
