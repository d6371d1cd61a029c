"""Kernels as users see them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graphc.codegen.unit import KernelText
from graphc.inspect.work import everything
from graphc.ir.formats import preformatted
from graphc.ir.graph import Node
from graphc.schedule.repeat import Repeat


@dataclass(frozen=True)
class KernelInfo:
    """One kernel as it runs: `name` of its C function, the nodes that it computes, the lines of
    the user's that they come from, floating-point operations and bytes moved at least, its C text,
    and of a loop or a choice the kernels that it runs.
    """

    name: str
    nodes: tuple[Node, ...]
    sources: tuple[str, ...]
    flops: int
    bytes: int
    c_text: str
    parts: tuple[Part, ...] = ()

    def all(self) -> Iterator[KernelInfo]:
        """This kernel, and those inside of it, each once for equal ones."""
        yield self
        for part in self.parts:
            yield from part.kernel.all()

    @property
    def operators(self) -> str:
        return ", ".join(n.op.name for n in self.nodes)

    def __str__(self) -> str:
        head = f"{self.name}: {self.flops:,} flops, {self.bytes:,} bytes at least"
        return f"{head}; {', '.join(self.sources)}\n{self.c_text}"

    def __repr__(self) -> str:
        ops = ", ".join(dict.fromkeys(n.op.name for n in self.nodes))
        return f"<Kernel {self.name}: {ops}; {self.flops} flops, {self.bytes} bytes>"

    def _repr_html_(self) -> str:
        return preformatted(str(self))


@dataclass(frozen=True)
class Part:
    """Equal kernels inside of another one: their `numbers` among all that it runs, the lines of all
    of them, and how many `turns` a loop takes at most.
    """

    kernel: KernelInfo
    numbers: tuple[int, ...]
    sources: tuple[str, ...]
    turns: int

    @property
    def calls(self) -> int:
        """How often they run in a step."""
        return len(self.numbers) * self.turns

    @property
    def flops(self) -> int:
        """Floating-point operations of all calls."""
        return self.calls * self.kernel.flops


def kernel_info(text: KernelText) -> KernelInfo:
    kernel = text.kernel
    sites = dict.fromkeys(str(site) for n in everything(kernel) for site in n.meta.sites())
    return KernelInfo(
        text.name,
        tuple(kernel.computed),
        tuple(sites),
        kernel.flops,
        kernel.bytes,
        text.text,
        tuple(_parts(text)),
    )


def _parts(text: KernelText) -> list[Part]:
    """In the order in which they run first."""
    turns = text.kernel.loop.length if isinstance(text.kernel, Repeat) else 1
    inner = [kernel_info(k) for k in text.inner]
    equal: dict[str, list[int]] = {}
    for number, info in enumerate(inner):
        equal.setdefault(info.name, []).append(number)
    return [
        Part(
            inner[numbers[0]],
            tuple(numbers),
            tuple(dict.fromkeys(s for k in numbers for s in inner[k].sources)),
            turns,
        )
        for numbers in equal.values()
    ]
