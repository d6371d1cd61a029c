"""Tests of the C runtime's headers, compiled on their own and called through cffi."""
