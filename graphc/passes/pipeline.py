"""The passes, in order, with a reason beside every place.

There is no pass that removes dead code: `Graph.nodes` holds what an output needs and nothing else,
so a node that nothing reads is gone as soon as its last reader is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from graphc.errors import GraphcError
from graphc.ir.garbage import garbage_kept
from graphc.ir.graph import Graph, Node, Value, apply, standing_in_for
from graphc.ir.verify import verify as verify_graph
from graphc.passes.channels_last import channels_last
from graphc.passes.cse import cse
from graphc.passes.expand import expand
from graphc.passes.flatten import flatten
from graphc.passes.fold import fold
from graphc.passes.join import join
from graphc.passes.narrow import narrow
from graphc.passes.outputs import own_outputs
from graphc.passes.simplify import simplify

Pass = Callable[[Graph], Graph]

#: Rounds of REPEATED after which a graph that still changes shows a law that undoes another.
MAX_ROUNDS = 100


@dataclass(frozen=True)
class Stage:
    """A graph in the life of a step, the pass that made it, how long that took, and what the pass
    does, in a sentence.
    """

    name: str
    graph: Graph
    seconds: float = 0.0
    about: str = ""


#: Once, in this order, before all others.
FIRST: tuple[tuple[str, Pass], ...] = (
    # What macro operators stand for has operands in common with the graph around it.
    ("expand", expand),
)

#: Repeated until nothing changes, as each of them makes work for the others.
REPEATED: tuple[tuple[str, Pass], ...] = (
    # Before narrowing, which may leave out of one loop what the other one needs.
    ("join", join),
    ("narrow", narrow),
    # First, while the graph is as written: several laws compare operands by identity.
    ("merge", cse),
    # Before folding: constants meet when broadcasts move behind the operators on them.
    ("simplify", simplify),
    # After simplifying, which lets it see through broadcasts, and joins or removes what it moves.
    ("layouts", channels_last),
    # After simplifying, which needs what it finds (constant conditions) in the next round.
    ("fold", fold),
)

#: Once, in this order, when the graph is as small as it gets.
ONCE: tuple[tuple[str, Pass], ...] = (
    # After all laws, which look at the two operands of a concatenation at a time.
    ("flatten", flatten),
    # Last: a copy is a wall that no law sees through.
    ("outputs", own_outputs),
)


@garbage_kept()
def optimize(graph: Graph, verify: bool | None = None) -> list[Stage]:
    """All stages of a graph, from "written" to the one that is scheduled. Every pass of the first
    round is a stage; later ones are where they change something.

    `verify` checks every stage instead of the last alone; None means: if GRAPHC_VERIFY is 1.
    Raises GraphcError for a graph that is not valid.
    """
    if verify is None:
        verify = os.environ.get("GRAPHC_VERIFY") == "1"
    stages = [Stage("written", graph, about="The graph as the function wrote it.")]
    for name, change, certain in _schedule(lambda: stages[-1].graph):
        before = stages[-1].graph
        begin = time.perf_counter()
        after = everywhere(change, before)
        if after is not before or certain:
            stages.append(Stage(name, after, time.perf_counter() - begin, _about(change)))
            if verify:
                verify_graph(after)
    if not verify:
        verify_graph(stages[-1].graph)
    return stages


def _about(change: Pass) -> str:
    """The first sentence of what a pass says of itself."""
    text = " ".join((change.__doc__ or "").split("\n\n")[0].split())
    return text.split(". ")[0].split("; itself")[0].rstrip(".") + "."


def everywhere(change: Pass, graph: Graph) -> Graph:
    """A pass applied to a graph, then to the bodies that its operators own. The graph itself where
    nothing changes.
    """

    def inside(node: Node, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        bodies = node.op.bodies
        changed = [everywhere(change, body) for body in bodies]
        if all(new is old for new, old in zip(changed, bodies, strict=True)):
            return None
        with standing_in_for(node):
            return apply(node.op.with_bodies(changed), *inputs)

    changed = change(graph).made_from(graph)
    if not any(node.op.bodies for node in changed.nodes):
        return changed
    inner = changed.map(inside)
    return changed if inner is changed else inner.made_from(graph)


def _schedule(current: Callable[[], Graph]) -> Iterator[tuple[str, Pass, bool]]:
    """Which pass runs next, by which name, and whether it is a stage in any case. REPEATED ends
    when as many passes in a row as it has left the current graph as it was.
    """
    yield from ((name, change, False) for name, change in FIRST)
    idle = 0
    for number in range(MAX_ROUNDS):
        for name, change in REPEATED:
            before = current()
            yield (name if number == 0 else f"{name} {number + 1}"), change, number == 0
            idle = idle + 1 if current() is before else 0
            if idle == len(REPEATED):
                yield from ((name, change, True) for name, change in ONCE)
                return
    raise GraphcError("the passes undo one another: the graph does not settle")
