"""`Single` kernels: scatter, routines, and loop nests that an operator declares itself."""

from __future__ import annotations

import math

from graphc.codegen.columns import fold_step
from graphc.codegen.emit_c import address
from graphc.codegen.kernel import Arguments, workspace_pointer
from graphc.codegen.points import Names, Points
from graphc.ir.expr import INDEX, Expr, Load, Var, index
from graphc.ir.loops import Do, For, Let, Only, Share, Stmt, Store
from graphc.ir.spec import Index, Native, Nest, NestIO, Scatter, row_major
from graphc.schedule.kernel import grain
from graphc.schedule.single import Single


def single_body(kernel: Single, arguments: Arguments) -> list[Stmt]:
    spec = kernel.spec(kernel.nodes[0])
    if isinstance(spec, Scatter):
        return _Scatter(kernel, arguments, spec).build()
    if isinstance(spec, Native):
        return _native(kernel, arguments, spec)
    assert isinstance(spec, Nest)
    return _nest(kernel, arguments, spec)


def _native(kernel: Single, arguments: Arguments, spec: Native) -> list[Stmt]:
    """One thread's call of a routine on the arrays."""
    node = kernel.nodes[0]
    given = []
    for value in (*node.inputs, *node.outputs):
        place = kernel.storage.places[value]
        given.append(address(arguments.names[place.root], index(place.strided.offset)))
    return [Only([Do(spec.routine.name, tuple(given))])]


def _shared(
    body: list[Stmt], points: Points, names: Names, units: int, cost: int
) -> tuple[Var, list[Stmt]]:
    share = names.fresh("part")
    unit = Var(INDEX, names.fresh("n"))
    inner: list[Stmt] = []
    body.append(Share(share, index(units), grain(cost)))
    body.append(For(unit, Var(INDEX, f"{share}.begin"), Var(INDEX, f"{share}.end"), inner))
    points.enter(inner, [unit])
    return unit, inner


def _nest(kernel: Single, arguments: Arguments, spec: Nest) -> list[Stmt]:
    node = kernel.nodes[0]
    names = Names()
    points = Points(kernel, arguments.names, arguments.mutable, names)
    body: list[Stmt] = []
    points.enter(body)
    scratch = []
    for (dtype, _), offset in zip(spec.scratch, spec.scratch_offsets, strict=False):
        scratch.append(names.fresh("scratch"))
        body.append(workspace_pointer(scratch[-1], dtype, offset, kernel.workspace.per_thread))
    unit, inner = _shared(body, points, names, spec.parallel, spec.cost)

    def write(k: int, at: Index, value: Expr) -> Stmt:
        result = node.outputs[k]
        return Store(points.arrays[result], flat(result.shape, at), value)

    def read(k: int, at: Index) -> Expr:
        return points.read(node.inputs[k], at)

    def fetch(at: Index) -> tuple[list[Stmt], Expr]:
        assert spec.streams is not None
        before: list[Stmt] = []
        points.enter(before)
        element = read(spec.streams, at)
        points.leave()
        return before, element

    io = NestIO(unit, read, write, fetch, tuple(scratch), names.fresh)
    inner.extend(spec.body(io))
    points.leave()
    return body


def flat(shape: tuple[int, ...], at: Index) -> Expr:
    total: Expr = index(0)
    for k, step in zip(at, row_major(shape), strict=True):
        total = total + k * step
    return total


class _Scatter:
    """Threads share the elements behind the indexed axes: each applies all updates to its own, in
    order. Where there are too few of those, one thread does it.
    """

    def __init__(self, kernel: Single, arguments: Arguments, spec: Scatter):
        self.kernel = kernel
        self.spec = spec
        self.node = kernel.nodes[0]
        self.names = Names()
        self.points = Points(kernel, arguments.names, arguments.mutable, self.names)

    def build(self) -> list[Stmt]:
        spec, points = self.spec, self.points
        base, updates = self.node.inputs[:2]
        out = self.node.outputs[0]
        rest = out.shape[spec.count :]
        width = math.prod(rest)
        lead = updates.shape[: len(updates.shape) - len(rest)]
        body: list[Stmt] = []
        points.enter(body)
        share = self.names.fresh("part")
        work = max(1, math.prod(lead) + math.prod(out.shape[: spec.count]))
        body.append(Share(share, index(width), max(16, grain(work))))
        begin, end = Var(INDEX, f"{share}.begin"), Var(INDEX, f"{share}.end")

        rows, inner = self._loop(body, out.shape[: spec.count])
        column, element = self._columns(inner, begin, end)
        at = (*rows, *self._split(column, rest))
        element.append(Store(points.arrays[out], flat(out.shape, at), points.read(base, at)))

        where, inner = self._loop(body, lead)
        target = []
        for k in spec.position(lambda k, i: points.read(self.node.inputs[k], i), tuple(where)):
            target.append(self._let(inner, k))
        column, element = self._columns(inner, begin, end)
        behind = self._split(column, rest)
        offset = flat(out.shape, (*target, *behind))
        held = Load(out.dtype, points.arrays[out], offset)
        value = points.read(updates, (*where, *behind))
        combined = scatter_step(spec.kind, held, value)
        element.append(Store(points.arrays[out], offset, combined))
        return body

    def _let(self, body: list[Stmt], value: Expr) -> Var:
        var = Var(INDEX, self.names.fresh("at"))
        body.append(Let(var, value))
        return var

    def _loop(self, body: list[Stmt], shape: tuple[int, ...]) -> tuple[list[Expr], list[Stmt]]:
        """Nested loops over a shape."""
        counters: list[Expr] = []
        for extent in shape:
            var = Var(INDEX, self.names.fresh("i"))
            inner: list[Stmt] = []
            body.append(For(var, index(0), index(extent), inner))
            counters.append(var)
            body = inner
        return counters, body

    def _columns(self, body: list[Stmt], begin: Expr, end: Expr) -> tuple[Var, list[Stmt]]:
        var = Var(INDEX, self.names.fresh("c"))
        inner: list[Stmt] = []
        body.append(For(var, begin, end, inner))
        return var, inner

    def _split(self, number: Expr, shape: tuple[int, ...]) -> Index:
        if len(shape) == 1:
            return (number,)
        result = []
        for k, (extent, step) in enumerate(zip(shape, row_major(shape), strict=True)):
            at = number // step
            result.append(at % extent if k else at)
        return tuple(result)


def scatter_step(kind: str, held: Expr, value: Expr) -> Expr:
    """What an update does to the element that it meets."""
    return value if kind == "set" else fold_step(_FOLD.get(kind, kind), held, value)


#: The folds that scatters of these kinds do.
_FOLD = {"add": "sum", "multiply": "prod"}
