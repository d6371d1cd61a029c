"""The stages of a graph as columns: every node once, whatever passes it lives through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc.inspect.origins import Origins
from graphc.inspect.picture import Layouts, picture
from graphc.ir.graph import Graph, Meta, Node, Value
from graphc.ir.names import value_names
from graphc.ir.phases import phases
from graphc.ir.printer import origin_text
from graphc.passes.pipeline import Stage


class Nodes:
    """All nodes of all stages. A node is the same one as long as its origin is, since passes that
    only give it other inputs hand that on; so its number holds for all stages.
    """

    def __init__(self) -> None:
        self._numbers: dict[Meta, int] = {}
        self.names: list[str] = []
        self.nodes: list[Node] = []

    def add(self, graph: Graph) -> None:
        """Numbers for the nodes of a stage that no stage before had."""
        names = value_names(graph)
        for node in graph.nodes:
            if node.meta not in self._numbers:
                self._numbers[node.meta] = len(self.nodes)
                self.nodes.append(node)
                self.names.append(", ".join(names[v] for v in node.outputs))

    def number(self, node: Node) -> int:
        return self._numbers[node.meta]

    def has(self, node: Node) -> bool:
        return node.meta in self._numbers

    def columns(self, phase_of: dict[int, str]) -> dict[str, list[Any]]:
        """What does not change from stage to stage, a list for each column. `rule` is the node of
        whose derivative a node is part, or -1.
        """
        rules = [n.meta.rule for n in self.nodes]
        return {
            "name": self.names,
            "op": [n.op.name for n in self.nodes],
            "attributes": [n.op.attributes() for n in self.nodes],
            "type": [", ".join(map(str, n.types)) for n in self.nodes],
            "origin": [origin_text(n) for n in self.nodes],
            "rule": [self.number(r) if r is not None and self.has(r) else -1 for r in rules],
            "phase": [phase_of[k] for k in range(len(self.nodes))],
            "flops": [n.op.flops(*[v.type for v in n.inputs]) for n in self.nodes],
        }


def history(stages: Sequence[Stage], nodes: Nodes) -> dict[str, Any]:
    """Columns of nodes, stages (nodes, inputs, changes, picture), and the pictures' layouts."""
    origins = Origins(stages[0].graph)
    layouts = Layouts()
    phase_of: dict[int, str] = {}
    records = []
    before: Graph | None = None
    for stage in stages:
        graph = stage.graph
        nodes.add(graph)
        changes: dict[str, Any] = {"merged": [], "rewritten": [], "dropped": [], "made": []}
        if before is not None and graph is not before:
            changes = _changes(before, graph, nodes, origins)
        for node, phase in phases(graph).items():
            phase_of.setdefault(nodes.number(node), phase.value)
        same = graph is before
        records.append(
            {
                "name": stage.name,
                "seconds": stage.seconds,
                "about": stage.about,
                "nodes": None if same else [nodes.number(n) for n in graph.nodes],
                "inputs": None if same else [_operands(n, nodes) for n in graph.nodes],
                "outputs": [_operand(v, nodes) for v in graph.outputs],
                "changes": changes,
                "picture": None if same else picture(graph, origins, nodes.number, layouts),
            }
        )
        before = graph
    return {"nodes": nodes.columns(phase_of), "stages": records, "layouts": layouts.table}


def _operands(node: Node, nodes: Nodes) -> list[Any]:
    return [_operand(v, nodes) for v in node.inputs]


def _operand(value: Value, nodes: Nodes) -> Any:
    """The node's number, with the number of the result where that is not the first."""
    number = nodes.number(value.node)
    return [number, value.index] if value.index else number


def _changes(before: Graph, after: Graph, nodes: Nodes, origins: Origins) -> dict[str, Any]:
    """What became of the nodes that are gone: what their readers read now tells. `merged` and
    `rewritten` pair a node with what stands for it: an equal node of before, or another one.
    """
    here = {node.meta: node for node in after.nodes}
    stayed = {node.meta for node in before.nodes} & here.keys()
    stands: dict[Node, Node] = {}
    ends = dict(zip(before.outputs, after.outputs, strict=True))
    for node in reversed(before.nodes):
        if node.meta in here:
            continue
        found = [v.node for v in _replacements(node, before, here, stands, ends)]
        if found:
            stands[node] = found[0]
    pairs: dict[str, list[list[int]]] = {"merged": [], "rewritten": []}
    dropped = []
    for node in before.nodes:
        new = stands.get(node)
        if node.meta in here:
            continue
        if new is None:
            dropped.append(nodes.number(node))
            continue
        if new.meta not in stayed:
            origins.stand_in(node, new)
        same = new.meta in stayed and new.op == node.op
        kind = "merged" if same else "rewritten"
        pairs[kind].append([nodes.number(node), nodes.number(new)])
    stood = {new for _, new in pairs["rewritten"]}
    numbers = [nodes.number(n) for n in after.nodes if n.meta not in stayed]
    return {**pairs, "dropped": dropped, "made": [k for k in numbers if k not in stood]}


def _replacements(
    node: Node,
    before: Graph,
    here: dict[Meta, Node],
    stands: dict[Node, Node],
    ends: dict[Value, Value],
):
    """The values that the readers of a node that is gone read in its place."""
    for value in node.outputs:
        if value in ends:
            yield ends[value]
        for reader in before.uses.get(value, ()):
            now = here.get(reader.meta) or stands.get(reader)
            alike = now is not None and now.op == reader.op
            if now is not None and alike and len(now.inputs) == len(reader.inputs):
                yield now.inputs[reader.inputs.index(value)]
