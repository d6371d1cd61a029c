"""Kernels as users see them."""

from __future__ import annotations

import html
from dataclasses import dataclass

from graphc.codegen.unit import KernelText
from graphc.ir.graph import Node


@dataclass(frozen=True)
class KernelInfo:
    """One kernel as it runs: `name` of its C function, the nodes that it computes, the lines of
    the user's that they come from, floating-point operations and bytes moved at least, its C text.
    """

    name: str
    nodes: tuple[Node, ...]
    sources: tuple[str, ...]
    flops: int
    bytes: int
    c_text: str

    def __str__(self) -> str:
        head = f"{self.name}: {self.flops:,} flops, {self.bytes:,} bytes at least"
        return f"{head}; {', '.join(self.sources)}\n{self.c_text}"

    def __repr__(self) -> str:
        ops = ", ".join(dict.fromkeys(n.op.name for n in self.nodes))
        return f"<Kernel {self.name}: {ops}; {self.flops} flops, {self.bytes} bytes>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def kernel_info(text: KernelText) -> KernelInfo:
    kernel = text.kernel
    sites = dict.fromkeys(str(site) for n in kernel.computed for site in n.meta.sites())
    return KernelInfo(
        text.name, tuple(kernel.computed), tuple(sites), kernel.flops, kernel.bytes, text.text
    )
