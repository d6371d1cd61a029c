"""What became of one line of the user's program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graphc.errors import ArgumentError
from graphc.inspect.formulas import formulas
from graphc.inspect.origins import chain
from graphc.inspect.plan import buffers
from graphc.inspect.work import work
from graphc.ir.graph import Graph, Meta, Node
from graphc.ir.names import value_names
from graphc.ir.phases import phases as program_phases
from graphc.ir.printer import node_text
from graphc.ir.terms import Term
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
    derivatives made, without constants and what only spreads them; `merged` are those of another
    line's that are computed once for both. `share` is the line's part of the step's time where that
    was measured, else of its floating-point work.
    """

    line: str
    forward: list[str]
    backward: list[str]
    merged: list[str]
    kernels: list[KernelShare]
    kept: list[Held]
    share: float
    measured: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        of = "time" if self.measured else "floating-point work"
        parts = [f"{self.line}: {self.share:.1%} of the step's {of}"]
        for title, nodes in (
            ("wrote", self.forward),
            ("derivatives", self.backward),
            ("computed once for equal nodes of other lines", self.merged),
        ):
            if nodes or nodes is not self.merged:
                parts.append(f"\n{title}: {_counted(len(nodes), 'node')}")
            parts.extend(f"    {text}" for text in nodes[:12])
            parts.extend([f"    and {len(nodes) - 12} more"] if len(nodes) > 12 else [])
        rows = [
            (str(k.number), k.kernel, k.phase, f"{k.flops:,}", f"{k.share:.0%}", k.formulas[-1])
            for k in self.kernels
        ]
        head = ("#", "kernel", "phase", "flops", "of it", "last formula")
        parts.append(f"\nbecame {_counted(len(rows), 'kernel')}")
        parts.extend([text_table(head, rows, right=(0, 3, 4))] if rows else [])
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
    `times` their nanoseconds. A line includes what the functions that it calls do, and what its
    values were merged with. Raises ArgumentError for a line that wrote no node.
    """

    def is_of_line(meta: Meta) -> bool:
        return any(site.line == line and _is_file(site.filename, file) for site in chain(meta.site))

    written = [(g, n) for g in _graphs(graph) for n in g.nodes if is_of_line(n.meta)]
    if not any(n.meta.rule is None for _, n in written):
        raise ArgumentError(f"{file}:{line} wrote no node; {_known(graph, file)}")
    texts: tuple[list[str], list[str]] = ([], [])
    for owner, node in written:
        if _computes(node):
            names = value_names(owner)
            left = ", ".join(names[v] for v in node.outputs)
            texts[node.meta.rule is not None].append(f"{left} = {node_text(node, names)}")
    inner = value_names(program.graph)
    mine = {n for n in program.graph.nodes if any(map(is_of_line, n.meta.family()))}
    rows, part, whole = [], 0.0, 0.0
    phase_of = program_phases(program.graph)
    for k, kernel in enumerate(program.kernels):
        done = work(kernel, phase_of)
        own = [1 + w.flops for w in done if any(map(is_of_line, w.node.meta.family()))]
        weight = float(kernel.flops if times is None else times[k])
        share = sum(own) / sum(1 + w.flops for w in done)
        whole += weight
        part += share * weight
        if own:
            told = formulas(kernel, inner.__getitem__)
            rows.append(KernelShare(kernels[k], k, phases[k], told, kernel.flops, share))
    saved = [b for b in buffers(program, inner.__getitem__) if b["class"] == "saved"]
    kept = [
        Held(b["name"], b["bytes"], b["why"] or "what else uses it later")
        for b in saved
        if any(n in mine for k in b["writers"] for n in _writers(program, k, b, inner))
    ]
    shared = list(_shared(program.graph, mine, is_of_line))
    return Explanation(
        f"{Path(file).name}:{line}", *texts, shared, rows, kept, part / whole if whole else 0.0,
        times is not None,
    )  # fmt: skip


def _graphs(graph: Graph) -> Iterator[Graph]:
    """A graph, and those that its operators own."""
    yield graph
    for node in graph.nodes:
        for body in node.op.bodies:
            yield from _graphs(body)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _computes(node: Node) -> bool:
    """Whether a node is more than a constant, or one that is spread."""
    if not node.inputs:
        return node.op.literal is None
    source = node.inputs[0].node
    spread = node.op.lined_up(Term("x"), source.types[0]) is not None
    return not (spread and source.op.literal is not None)


def _shared(graph: Graph, mine: set[Node], is_of_line: Callable[[Meta], bool]) -> Iterator[str]:
    """The nodes that serve equal ones, where some are of a line and some of others."""
    called = graph.names.origins
    for node in graph.nodes:
        if node not in mine or not _computes(node):
            continue
        metas = [m for m in node.meta.family() if m.site is not None]
        if all(map(is_of_line, metas)):
            continue
        lines = dict.fromkeys(str(m.site) for m in metas)
        # Merged ones that no stage showed have no name.
        alike = dict.fromkeys(name for m in metas for name in called.get(m, ()))
        yield f"{' = '.join(alike)}   of {', '.join(lines)}"


def _writers(program: Program, step: int, row: dict[str, Any], names: dict[Any, str]) -> list[Node]:
    """The nodes of a kernel whose results lie in a buffer."""
    held = set(row["name"].split(", "))
    return [n for n in program.kernels[step].nodes if held & {names[v] for v in n.outputs}]


def _is_file(found: str, asked: str) -> bool:
    wanted = Path(asked)
    return Path(found) == wanted or Path(found).name == str(wanted)


def _known(graph: Graph, file: str) -> str:
    lines = sorted(
        {
            s.line
            for g in _graphs(graph)
            for n in g.nodes
            for s in chain(n.meta.site)
            if Path(s.filename).name == Path(file).name
        }
    )
    if not lines:
        return f"no node comes from {Path(file).name}"
    return f"nodes come from its lines {', '.join(map(str, lines[:20]))}"
