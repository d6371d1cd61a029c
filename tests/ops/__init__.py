"""Tests of the operators, generated from their samples."""
