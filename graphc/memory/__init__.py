"""The memory of a step: what its arena holds when, what is kept for the backward pass and why, and
which plans there are to choose from.
"""

from __future__ import annotations

from graphc.memory.frozen import Frozen
from graphc.memory.ledger import Saved
from graphc.memory.plans import Choice, pareto
from graphc.memory.report import Allocation, MemoryReport
from graphc.memory.sizes import byte_count

__all__ = ["Allocation", "Choice", "Frozen", "MemoryReport", "Saved", "byte_count", "pareto"]
