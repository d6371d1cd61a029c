"""A graph as a person would write it: standalone Python for NumPy or PyTorch."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Sequence
from textwrap import wrap

from graphc.dtypes import int64, uint32
from graphc.errors import GraphcError
from graphc.ir.expansion import expanded
from graphc.ir.graph import Graph, Input, Node, Value
from graphc.ir.names import value_names
from graphc.ir.phases import Phase, phases
from graphc.ir.python import Dialect, dialect
from graphc.ir.site import located
from graphc.ir.spec import Decomposed, Scalar, View
from graphc.ir.terms import Term

_WIDTH = 100
#: What formulas use of Python itself.
_BUILTINS = ("int", "max", "min", "range", "reversed")
_ORDINALS = ("first", "second", "third", "fourth", "fifth")


def python_text(graph: Graph, to: str) -> str:
    """A file with a function for each phase, in the graph's names, one formula a line, and a
    function `step` that takes the graph's inputs in order and gives its outputs in order.

    A formula that a derivative rule made says of which operator, and by which operand; the others
    say the user's line. What only spreads an array is left to the library's broadcasting. Raises
    GraphcError for an operator that the library has no words for.
    """
    return _Writer(graph, dialect(to, _body)).text()


def _body(graph: Graph, name: str, to: Dialect) -> str:
    """A function of a loop or a choice."""
    return _Writer(graph, to).function(name)


def _spoken(graph: Graph, to: Dialect) -> Graph:
    """The graph with macro operators that the library does not know as what they stand for. What a
    text needs in front of its functions is found on the way.
    """

    def is_known(node: Node) -> bool:
        return _said(node, to, *[Term("x") for _ in node.inputs]) is not None

    graph = expanded(graph, Decomposed, is_known).made_from(graph)
    for node in graph.nodes:
        if not isinstance(node.op, Input) and not is_known(node):
            types = ", ".join(str(v.type) for v in node.inputs)
            what = f"{node.op.name}({types}) cannot be written in {to.name}"
            raise GraphcError(located(what, node.meta.site))
    return graph


def _said(node: Node, to: Dialect, *operands: Term) -> Term | None:
    """A node in the library's words. PyTorch computes little with uint32, so that is done in 64
    bits, where nothing is lost.
    """
    types = [v.type for v in node.inputs]
    wide = [t.with_dtype(int64) if t.dtype is uint32 else t for t in types]
    if to.is_numpy or wide == types or node.op.bodies or len(node.types) > 1:
        return node.op.python(to, types, *operands)
    pairs = zip(operands, types, strict=True)
    cast = [to.cast(t, int64) if type.dtype is uint32 and not t.literal else t for t, type in pairs]
    said = node.op.python(to, wide, *cast)
    return to.cast(said, uint32) if said and node.types[0].dtype is uint32 else said


class _Writer:
    def __init__(self, graph: Graph, to: Dialect):
        graph = _spoken(graph, to)
        self.graph = graph
        self.to = to
        self.phase = dict(phases(graph))
        for node in reversed(graph.nodes):
            readers = [self.phase[n] for v in node.outputs for n in graph.uses.get(v, ())]
            # Functions are called in the order of phases: what one reads stands in no later one.
            if readers:
                order = list(Phase)
                self.phase[node] = min(self.phase[node], *readers, key=order.index)
        self.inline = {n for n in graph.nodes if self._is_inline(n)}
        self.names = _identifiers(graph, value_names(graph), to)
        self.tables = [n for n in graph.nodes if n.op.literal is not None and n not in self.inline]

    def _is_inline(self, node: Node) -> bool:
        """Numbers and what is read through at no cost stand where they are used."""
        if not node.inputs:
            return node.op.literal is not None and node.types[0].shape == ()
        if _said(node, self.to, *[Term("x") for _ in node.inputs]) == Term("x"):
            return True
        types = [v.type for v in node.inputs]
        once = len(self.graph.uses.get(node.outputs[0], ())) <= 1
        spread = node.op.lined_up(Term("x"), types[0]) is not None
        return spread or (once and isinstance(node.op.spec(*types), View))

    def text(self) -> str:
        order = [n for n in self.graph.nodes if n not in self.inline]
        written = [n for n in order if not isinstance(n.op, Input) and n not in self.tables]
        parts = {p: [n for n in written if self.phase[n] is p] for p in Phase}
        functions = {p: self._function(p, nodes) for p, nodes in parts.items() if nodes}
        head = [f'"""Derived by graphc, for {self.to.name}."""', "", *sorted(self.to.imports)]
        blocks = ["\n".join(head), *self.to.helpers.values()]
        if self.tables:
            rows = [f"{self._name(n)} = {self._right(n).text}" for n in self.tables]
            blocks.append("\n".join(rows))
        calls = [call for _, call in functions.values()]
        blocks += [text for text, _ in functions.values()]
        blocks.append(self._step(calls))
        return "\n\n\n".join(blocks) + "\n"

    def function(self, name: str) -> str:
        """The whole graph as one function."""
        nodes = [n for n in self.graph.nodes if n not in self.inline]
        body = self._lines([n for n in nodes if not isinstance(n.op, Input)])
        given = [self.names[v] for v in self.graph.inputs]
        results = [self._result(v).text for v in self.graph.outputs]
        return "\n".join([_listed(f"def {name}(", given, "):"), *body, _returned(results)])

    def _lines(self, nodes: Sequence[Node]) -> list[str]:
        lines = [
            (_wrapped(f"    {self._name(n)} = {self._right(n).text}"), self._comment(n))
            for n in nodes
        ]
        wide = min(max((len(text) for text, _ in lines if "\n" not in text), default=0), 72)
        return [_noted(text, note, wide) for text, note in lines]

    def _function(self, phase: Phase, nodes: Sequence[Node]) -> tuple[str, str]:
        """The function of a phase, and the call of it."""
        own = {v for n in nodes for v in n.outputs}
        needed = dict.fromkeys(v for n in nodes for v in self._sources(n.inputs))
        tables = {n.outputs[0] for n in self.tables}
        given = [v for v in needed if v not in own and v not in tables]
        later: dict[Value, None] = dict.fromkeys(v for v in self._sources(self.graph.outputs))
        for node in self.graph.nodes:
            if node not in self.inline and self.phase[node] is not phase:
                later.update(dict.fromkeys(self._sources(node.inputs)))
        results = [self.names[v] for v in later if v in own]
        names = [self.names[v] for v in given]
        head = _listed(f"def {phase.value}(", names, "):")
        returned = ", ".join(results)
        comma = "," if len(results) == 1 else ""
        call = _listed(f"    ({returned}{comma}) = {phase.value}(", names, ")", split=returned)
        return "\n".join([head, *self._lines(nodes), _returned(results)]), call

    def _step(self, calls: Sequence[str]) -> str:
        names = [self.names[v] for v in self.graph.inputs]
        outputs = [self._result(v).text for v in self.graph.outputs]
        return "\n".join([_listed("def step(", names, "):"), *calls, _returned(outputs)])

    def _sources(self, values: Iterable[Value]) -> list[Value]:
        """The named values behind what stands inline."""
        found: list[Value] = []
        stack = list(values)[::-1]
        while stack:
            value = stack.pop()
            if value.node not in self.inline:
                found.append(value)
            stack.extend(reversed(value.node.inputs) if value.node in self.inline else ())
        return found

    def _name(self, node: Node) -> str:
        names = ", ".join(self.names[v] for v in node.outputs)
        # Operators with bodies give a tuple also of one result.
        return f"({names},)" if node.op.bodies and len(node.outputs) == 1 else names

    def _right(self, node: Node) -> Term:
        return self._written(node, *self._operands(node))

    def _written(self, node: Node, *operands: Term) -> Term:
        term = _said(node, self.to, *operands)
        assert term is not None
        return term

    def _operands(self, node: Node) -> list[Term]:
        """Operands of elementwise operators are left to broadcasting where another one of the same
        dtype has the whole shape, which also keeps numbers from deciding the dtype.
        """
        types = [v.type for v in node.inputs]
        if not node.inputs or not isinstance(node.op.spec(*types), Scalar):
            return [self._operand(v) for v in node.inputs]
        shaped = [v for v in node.inputs if not self._is_spread(v)]
        decided = {v.dtype for v in shaped}
        terms = []
        for value in node.inputs:
            term = self._spread(value) if shaped or value.dtype in decided else self._operand(value)
            if value.dtype not in decided and term.literal:
                term = self.to.scalar(term, value.dtype)
            decided.add(value.dtype)
            shaped.append(value)
            terms.append(term)
        return terms

    def _is_spread(self, value: Value) -> bool:
        """Whether a value is less than its shape where it stands inline: a number, or an operand of
        broadcasting.
        """
        node = value.node
        if node not in self.inline:
            return False
        return not node.inputs or node.op.lined_up(Term("x"), node.inputs[0].type) is not None

    def _spread(self, value: Value) -> Term:
        node = value.node
        if self._is_spread(value) and node.inputs:
            lined = node.op.lined_up(self._operand(node.inputs[0]), node.inputs[0].type)
            assert lined is not None
            return lined
        return self._operand(value)

    def _operand(self, value: Value) -> Term:
        """A value in full."""
        chain = [value]
        while chain[-1].node in self.inline and chain[-1].node.inputs:
            chain.append(chain[-1].node.inputs[0])
        last = chain.pop()
        term = self._right(last.node) if last.node in self.inline else Term(self.names[last])
        for step in reversed(chain):
            term = self._written(step.node, term)
        return term

    def _result(self, value: Value) -> Term:
        """What a function gives: a number has a dtype there."""
        term = self._operand(value)
        return self.to.scalar(term, value.dtype) if term.literal else term

    def _comment(self, node: Node) -> str:
        where = "" if node.meta.site is None else str(node.meta.site)
        rule = node.meta.rule
        if rule is None:
            return where
        words = [rule.op.name]
        by = [k for k, v in enumerate(rule.inputs) if v.node.meta is node.meta.gradient_of]
        if by and len(rule.inputs) > 1:
            words.append(f"{_ORDINALS[by[0]]} operand" if by[0] < len(_ORDINALS) else "operand")
        if node.meta.clone:
            words.append("computed again")
        return ", ".join(words) + (f"   {where}" if where else "")


def _identifiers(graph: Graph, names: dict[Value, str], to: Dialect) -> dict[Value, str]:
    """Names that Python takes, each once."""
    taken = {*keyword.kwlist, *(p.value for p in Phase), "step", *to.helpers, *_BUILTINS}
    # `import numpy as np` takes np, `import scipy.special` takes scipy.
    taken.update(line.rsplit(" ", 1)[1].split(".")[0] for line in to.imports)
    found: dict[Value, str] = {}
    for node in graph.nodes:
        for value in node.outputs:
            base = re.sub(r"\W", "_", names[value], flags=re.ASCII)[:60].strip("_") or "v"
            base = base if base[0].isalpha() or base[0] == "_" else f"v_{base}"
            name, number = base, 1
            while name in taken:
                number += 1
                name = f"{base}_{number}"
            taken.add(name)
            found[value] = name
    return found


def _wrapped(line: str) -> str:
    """A line whose right side is one call, with the arguments on lines of their own where it is too
    long.
    """
    begin = line.find("(", line.find(" = "))
    if len(line) <= _WIDTH or begin < 0 or not line.endswith(")"):
        return line
    words, depth, start = [], 0, begin + 1
    for k in range(begin + 1, len(line)):
        if line[k] in "([{":
            depth += 1
        elif line[k] in ")]}":
            depth -= 1
        if depth < 0 or (depth == 0 and line[k] == ","):
            words.append(line[start:k].strip())
            start = k + 1
        if depth < 0 and k < len(line) - 1:
            return line
    rows = [line[: begin + 1]]
    for word in words:
        joined = f"{rows[-1]} {word},"
        fits = len(rows) > 1 and len(joined) <= _WIDTH
        rows[len(rows) - 1 if fits else len(rows) :] = [joined if fits else f"        {word},"]
    return "\n".join([*rows, "    )"])


def _noted(text: str, note: str, wide: int) -> str:
    """A formula with its comment, on the first of its lines."""
    if not note:
        return text
    first, *rest = text.split("\n")
    return "\n".join([f"{first:<{wide}}   # {note}", *rest])


def _returned(words: Sequence[str]) -> str:
    return _listed("    return (", words, ",)" if len(words) == 1 else ")")


def _listed(head: str, words: Sequence[str], tail: str, split: str = "") -> str:
    """`head words tail` on one line, or the words on lines of their own where it is too long."""
    line = f"{head}{', '.join(words)}{tail}"
    if len(line) <= _WIDTH:
        return line
    if len(split) > _WIDTH // 2:
        names = "\n".join(f"        {row}" for row in wrap(split, _WIDTH - 8))
        head = head.replace(f"    ({split})", f"    (\n{names},\n    )")
    body = wrap(", ".join(words), _WIDTH - 8, break_long_words=False)
    indent = " " * 8
    outer = "" if head.startswith("def") else "    "
    return "\n".join([head, *[indent + row for row in body], outer + tail.lstrip(",")])
