"""Every step that these tests call is measured."""

from __future__ import annotations

from tests.measuring import every_arena_is_measured

__all__ = ["every_arena_is_measured"]
