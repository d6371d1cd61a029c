"""Functions of neural networks. No module classes: parameters are arguments."""

from __future__ import annotations

from graphc.nn import initializers

__all__ = ["initializers"]
