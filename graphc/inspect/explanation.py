"""What became of one line of the user's program."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graphc.errors import ArgumentError
from graphc.inspect.formulas import formulas
from graphc.inspect.origins import chain
from graphc.inspect.plan import buffers
from graphc.ir.graph import Graph, Meta, Node
from graphc.ir.printer import node_text, value_names
from graphc.schedule.program import Program
from graphc.text import text_table


@dataclass(frozen=True)
class KernelShare:
    """A kernel to which a line gave nodes; `share` is the line's part of its work."""

    kernel: str
    number: int
    phase: str
    formulas: list[str]
    flops: int
    share: float


@dataclass(frozen=True)
class Held:
    """A buffer that the line computes and the backward pass reads."""

    value: str
    bytes: int
    asked_for_by: str


@dataclass(frozen=True)
class Explanation:
    """`forward` and `backward` are the nodes, as text, that the line wrote and that their
    derivatives made; `share` is the line's part of the step's time where that was measured, else of
    its floating-point work.
    """

    line: str
    forward: list[str]
    backward: list[str]
    kernels: list[KernelShare]
    kept: list[Held]
    share: float
    measured: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        of = "time" if self.measured else "floating-point work"
        parts = [f"{self.line}: {self.share:.1%} of the step's {of}"]
        for title, nodes in (("wrote", self.forward), ("derivatives", self.backward)):
            parts.append(f"\n{title}: {len(nodes)} nodes")
            parts.extend(f"    {text}" for text in nodes[:12])
            parts.extend([f"    and {len(nodes) - 12} more"] if len(nodes) > 12 else [])
        rows = [
            (str(k.number), k.kernel, k.phase, f"{k.flops:,}", f"{k.share:.0%}", k.formulas[-1])
            for k in self.kernels
        ]
        head = ("#", "kernel", "phase", "flops", "of it", "last formula")
        parts.append(f"\nbecame {len(rows)} kernels:\n" + text_table(head, rows, right=(0, 3, 4)))
        parts.append(f"\nkeeps {sum(h.bytes for h in self.kept):,} bytes for the backward pass")
        parts.extend(f"    {h.bytes:>12,}  {h.value}: {h.asked_for_by}" for h in self.kept)
        return "\n".join(parts)


def explain(
    graph: Graph,
    program: Program,
    kernels: list[str],
    phases: list[str],
    times: list[int] | None,
    file: str,
    line: int,
) -> Explanation:
    """`graph` is the step as written, `kernels` and `phases` the names and phases of the kernels;
    `times` their nanoseconds. A line includes what the functions that it calls do. Raises
    ArgumentError for a line that wrote no node.
    """
    own = {n.meta for n in graph.nodes if _stands_at(n, file, line) and n.meta.rule is None}
    if not own:
        raise ArgumentError(f"{file}:{line} wrote no node; {_known(graph, file)}")
    names = value_names(graph)
    texts: tuple[list[str], list[str]] = ([], [])
    for node in graph.nodes:
        if _belongs(node, own):
            left = ", ".join(names[v] for v in node.outputs)
            texts[node.meta.rule is not None].append(f"{left} = {node_text(node, names)}")
    inner = value_names(program.graph)
    rows, part, whole = [], 0.0, 0.0
    for k, kernel in enumerate(program.kernels):
        work = [n.op.flops(*[v.type for v in n.inputs]) for n in kernel.nodes]
        mine = [w for n, w in zip(kernel.nodes, work, strict=True) if _belongs(n, own)]
        weight = float(kernel.flops if times is None else times[k])
        share = sum(mine) / kernel.flops if kernel.flops else len(mine) / len(kernel.nodes)
        whole += weight
        part += share * weight
        if mine:
            told = formulas(kernel, inner.__getitem__)
            rows.append(KernelShare(kernels[k], k, phases[k], told, kernel.flops, share))
    kept = [
        Held(b["name"], b["bytes"], b["why"] or "the update")
        for b in buffers(program, inner.__getitem__)
        if b["class"] == "saved"
        and any(_belongs(n, own) for k in b["writers"] for n in _writers(program, k, b, inner))
    ]
    return Explanation(
        f"{Path(file).name}:{line}", *texts, rows, kept, part / whole if whole else 0.0,
        times is not None,
    )  # fmt: skip


def _writers(program: Program, step: int, row: dict[str, Any], names: dict[Any, str]) -> list[Node]:
    """The nodes of a kernel whose results lie in a buffer."""
    held = set(row["name"].split(", "))
    return [n for n in program.kernels[step].nodes if held & {names[v] for v in n.outputs}]


def _belongs(node: Node, own: set[Meta]) -> bool:
    """Whether a node was written at the line, or is a derivative of one that was."""
    meta: Meta | None = node.meta
    while meta is not None:
        if meta in own:
            return True
        meta = None if meta.rule is None else meta.rule.meta
    return False


def _stands_at(node: Node, file: str, line: int) -> bool:
    wanted = Path(file)
    return any(
        site.line == line
        and (Path(site.filename) == wanted or Path(site.filename).name == str(wanted))
        for site in chain(node.meta.site)
    )


def _known(graph: Graph, file: str) -> str:
    lines = sorted(
        {
            s.line
            for n in graph.nodes
            for s in chain(n.meta.site)
            if Path(s.filename).name == Path(file).name
        }
    )
    if not lines:
        return f"no node comes from {Path(file).name}"
    return f"nodes come from its lines {', '.join(map(str, lines[:20]))}"
