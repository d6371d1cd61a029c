"""The scalar code of fused members: what is computed at one point of a kernel's loops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphc.codegen.emit_c import expression
from graphc.dtypes import bool_
from graphc.ir.expr import INDEX, Const, Expr, Load, Select, Var, call, index, operands
from graphc.ir.graph import Node, Value
from graphc.ir.loops import For, Let, Share, Stmt
from graphc.ir.spec import Index, Pointwise, Reduce, Scalar, Spec, Strided, View
from graphc.schedule.kernel import Kernel, PointKernel, one_stride, reduction_axes, refine
from graphc.schedule.storage import Role

#: An expression of more parts than this gets a name of its own.
_MAX_PARTS = 8


class Names:
    """Fresh C identifiers, numbered by prefix: the only maker of names."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def fresh(self, prefix: str) -> str:
        n = self._next.get(prefix, 0)
        self._next[prefix] = n + 1
        return f"{prefix}{n}"


@dataclass(slots=True)
class Axis:
    """A loop over consecutive refined axes [first, last), with the variable that counts it."""

    first: int
    last: int
    position: Expr


class Scope:
    """A loop body under construction: its statements, and the values already computed there."""

    def __init__(self, body: list[Stmt]):
        self.body = body
        self.values: dict[object, Expr] = {}
        #: Where the loop that is being filled stands in the body; the end where there is none.
        self.open: int | None = None

    def insert(self, stmt: Stmt) -> None:
        """Adds a statement before the loop that is being filled."""
        if self.open is None:
            self.body.append(stmt)
        else:
            self.body.insert(self.open, stmt)
            self.open += 1


class Points:
    """Computes members at the current point. `arrays` names the memory of every root; `mutable`
    are the roots whose memory the kernel also writes: they are read into a variable before
    anything is stored.
    """

    def __init__(
        self, kernel: Kernel, arrays: Mapping[Value, str], mutable: set[Value], names: Names
    ):
        self.kernel = kernel
        self.storage = kernel.storage
        self.arrays = arrays
        self.mutable = mutable
        self.own = frozenset(kernel.nodes)
        self.names = names
        self.scopes: list[Scope] = []
        self.axes: list[Axis] = []
        self.level_of: dict[str, int] = {}
        self.uses = self._count_uses()
        #: Copies of rows that all rows of a tile read alike, and what counts their elements.
        self.alike: dict[Value, str] = {}
        self.counter: Expr | None = None

    def _count_uses(self) -> dict[Node, int]:
        uses: dict[Node, int] = {}
        for node in self.kernel.nodes:
            for member in self.kernel.member_inputs(node):
                uses[member] = uses.get(member, 0) + 1
            if any(v in self.arrays for v in node.outputs):
                uses[node] = uses.get(node, 0) + 1
        return uses

    # Scopes: the body of the function, of the loop over rows, of the loop over a row. Where rows
    # have one element there is no such loop: its scope has the body of the one around it.

    def enter(self, body: list[Stmt], counters: Sequence[Var] = ()) -> None:
        if self.scopes and self.scopes[-1].body is not body:
            self.scopes[-1].open = len(self.scopes[-1].body) - 1
        self.scopes.append(Scope(body))
        for counter in counters:
            self.level_of[counter.name] = len(self.scopes) - 1

    def leave(self) -> None:
        self.scopes.pop()
        if self.scopes:
            self.scopes[-1].open = None

    @property
    def depth(self) -> int:
        return len(self.scopes) - 1

    def level(self, expr: Expr) -> int:
        """The outermost scope in which an expression can be computed."""
        deepest, stack = 0, [expr]
        while stack:
            part = stack.pop()
            if isinstance(part, Var):
                deepest = max(deepest, self.level_of.get(part.name, 0))
            stack.extend(operands(part))
        return deepest

    def bind(self, expr: Expr, prefix: str = "s", level: int | None = None) -> Expr:
        """Gives an expression a name in the outermost scope where it is defined."""
        if isinstance(expr, (Const, Var)):
            return expr
        level = self.level(expr) if level is None else level
        var = Var(expr.dtype, self.names.fresh(prefix))
        self.level_of[var.name] = level
        self.scopes[level].insert(Let(var, expr))
        return var

    # Positions.

    def let(self, prefix: str, value: Expr) -> Expr:
        """A position under a name of its own in the current scope; constants and names stay."""
        if isinstance(value, (Const, Var)):
            return value
        var = Var(value.dtype, self.names.fresh(prefix))
        self.level_of[var.name] = self.depth
        self.scopes[-1].body.append(Let(var, value))
        return var

    def loop(self, prefix: str, begin: Expr, end: Expr, step: int = 1) -> Var:
        """Begins a loop in the current scope and enters its body, which `leave` ends."""
        var = Var(INDEX, self.names.fresh(prefix))
        body: list[Stmt] = []
        self.scopes[-1].body.append(For(var, begin, end, body, step))
        self.enter(body, [var])
        return var

    def share(self, extent: int, grain: int, prefix: str) -> tuple[Var, Expr]:
        """Begins a loop over the thread's share of some units; gives their number and the first."""
        part = self.names.fresh("part")
        self.scopes[-1].body.append(Share(part, index(extent), grain))
        begin = Var(INDEX, f"{part}.begin")
        return self.loop(prefix, begin, Var(INDEX, f"{part}.end")), begin

    def add(self, stmt: Stmt) -> None:
        """A statement at the end of the current scope."""
        self.scopes[-1].body.append(stmt)

    def leading(self, shape: Sequence[int]) -> list[tuple[int, int]]:
        """The refined axes [first, last) that make up each axis of a shape."""
        spans, axis = [], 0
        for extent in shape:
            first, covered = axis, 1
            while covered < extent:
                covered *= self.dims[axis]
                axis += 1
            spans.append((first, axis))
        return spans

    def offset(self, strides: Sequence[int], start: int = 0) -> Expr:
        """The offset of an access, given its strides over the refined axes."""
        total: Expr = index(0)
        for axis in self.axes:
            step = one_stride(strides[axis.first : axis.last], self.dims[axis.first : axis.last])
            if step is not None:
                total = total + axis.position * step
                continue
            for d in range(axis.first, axis.last):
                if strides[d]:
                    total = total + self.position(d) * strides[d]
        return total + start

    @property
    def dims(self) -> tuple[int, ...]:
        assert isinstance(self.kernel, PointKernel)
        return self.kernel.dims

    def position(self, d: int) -> Expr:
        """The position along one refined axis."""
        axis = next(a for a in self.axes if a.first <= d < a.last)
        inner = 1
        for e in range(d + 1, axis.last):
            inner *= self.dims[e]
        at = axis.position // inner
        outer = 1
        for e in range(axis.first, d):
            outer *= self.dims[e]
        if outer > 1:
            at = at % self.dims[d]
        if isinstance(at, (Var, Const)):
            return at
        key = ("position", d)
        level = self.level(at)
        known = self.scopes[level].values.get(key) if level < len(self.scopes) else None
        if known is None:
            known = self.scopes[level].values[key] = self.bind(at, "j")
        return known

    def coordinates(self, shape: tuple[int, ...], dims: Sequence[int]) -> Index:
        """The position of the current point in a shape that the leading axes `dims` refine."""
        steps = [refine(_axis_steps(shape, a), dims) for a in range(len(shape))]
        result = []
        for moves in steps:
            at: Expr = index(0)
            for d, step in enumerate(moves):
                if step:
                    at = at + self.position(d) * step
            result.append(at)
        return tuple(result)

    # Values.

    def member(self, node: Node) -> Expr:
        """The value of a member at the current point."""
        for scope in reversed(self.scopes):
            known = scope.values.get(node)
            if known is not None:
                return known
        expr = self.expression(node)
        return self.keep(node, expr)

    def keep(self, node: Node, expr: Expr) -> Expr:
        """Remembers a member's value, under a name where it is used again or is large."""
        if self.uses.get(node, 0) > 1 or _parts(expr) > _MAX_PARTS:
            expr = self.bind(expr, level=self.depth)
        self.scopes[self.depth].values[node] = expr
        return expr

    def define(self, node: Node, expr: Expr) -> None:
        """Sets a member's value for the current scope."""
        self.scopes[self.depth].values[node] = expr

    def expression(self, node: Node) -> Expr:
        spec = self.storage.spec[node]
        if isinstance(spec, Scalar):
            return self.scalar(spec, [self.operand(node, v) for v in node.inputs])
        assert isinstance(spec, Pointwise)
        return spec.body(self.here(node), lambda k, i: self.read(node.inputs[k], i))

    def scalar(self, spec: Scalar, values: Sequence[Expr]) -> Expr:
        expr = spec.body(*values)
        if isinstance(expr, Select):
            # Both sides are there to be read: a load under a condition would not vectorize.
            expr = spec.body(*[self.bind(v, "c", self.depth) for v in values])
        return expr

    def here(self, node: Node) -> Index:
        """The current point in a member's own coordinates."""
        kernel = self.kernel
        assert isinstance(kernel, PointKernel)
        dims = kernel.dims if kernel.is_full(node) else kernel.dims[: kernel.row_axis]
        return self.coordinates(node.types[0].shape, dims)

    def operand(self, node: Node, value: Value) -> Expr:
        """The element of an input that belongs to the current point of a member."""
        member = self.kernel.member_of(value)
        if member is not None:
            return self.member(member)
        place = self.storage.places.get(value)
        if place is None:
            return self.free(value, self._lazy_here(node, value))
        assert isinstance(self.kernel, PointKernel)
        strides = self.kernel.strides(node, place.strided)
        return self.element(place.root, strides, place.strided.offset)

    def _lazy_here(self, node: Node, value: Value) -> Index:
        if self.storage.is_uniform(value):
            return tuple(index(0) for _ in value.shape)
        return self.here(node)

    def fold_operand(self, fold: Node) -> Expr:
        """The element that a reduction folds at the current point."""
        value = fold.inputs[0]
        member = self.kernel.member_of(value)
        if member is not None:
            return self.member(member)
        kernel = self.kernel
        assert isinstance(kernel, PointKernel)
        place = self.storage.places.get(value)
        spec = self.storage.spec[fold]
        assert isinstance(spec, Reduce)
        if place is not None:
            strides = kernel.fold_strides(fold)
            return self.element(place.root, strides, place.strided.offset)
        ordered = reduction_axes(spec, Strided.contiguous(value.shape))
        at = self.coordinates(ordered.shape, kernel.dims)
        order = spec.order(len(value.shape))
        return self.free(value, tuple(at[order.index(a)] for a in range(len(value.shape))))

    def element(self, root: Value, strides: Sequence[int], start: int) -> Expr:
        """The element of a root that belongs to the current point, by strides over the axes."""
        if root in self.alike and self.counter is not None:
            return Load(root.dtype, self.alike[root], self.counter)
        bits = self.storage.packed.get(root)
        if bits is None:
            return self.load(root, self.offset(strides, start))
        rows, columns = bits.parts(strides)
        first, second = divmod(start, bits.columns)
        row = self.bind(self.offset(rows, first), "row")
        byte = bits.byte(row, self.offset(columns, second))
        return call("gx_bit", bool_, self.load(root, byte), row)

    def load(self, root: Value, offset: Expr) -> Expr:
        """One element of a root, or a byte; what does not move in a loop is read before it."""
        expr = Load(root.dtype, self.arrays[root], offset)
        level = self.level(offset)
        key = (root, _text_key(offset))
        for scope in self.scopes[level:]:
            known = scope.values.get(key)
            if known is not None:
                return known
        if root in self.mutable or root.node in self.own:
            # Written by this kernel, perhaps in a loop that stands between here and the outside.
            level = self.depth
        elif level == self.depth:
            return expr
        bound = self.bind(expr, "c", level)
        self.scopes[level].values[key] = bound
        return bound

    def read(self, value: Value, at: Index) -> Expr:
        """Element `at` of a value in memory, or of a free one."""
        place = self.storage.places.get(value)
        if place is None:
            return self.free(value, at)
        root, strided = place.root, place.strided
        bits = self.storage.packed.get(root)
        if bits is None:
            return Load(root.dtype, self.arrays[root], _at(at, strided.strides, strided.offset))
        rows, columns = bits.parts(strided.strides)
        first, second = divmod(strided.offset, bits.columns)
        row = _at(at, rows, first)
        byte = bits.byte(row, _at(at, columns, second))
        return call("gx_bit", bool_, Load(root.dtype, self.arrays[root], byte), row)

    def free(self, value: Value, at: Index) -> Expr:
        """Element `at` of a value that is computed wherever it is read."""
        node = value.node
        role = self.storage.role[node]
        if role not in (Role.FREE, Role.REBUILT):
            return self.read(value, at)
        spec: Spec = self.storage.spec[node]
        if isinstance(spec, View):
            return self.free(node.inputs[0], spec.index(at))
        if isinstance(spec, Scalar):
            values = [self.free(v, at) for v in node.inputs]
            # What is free is made of literals and positions: there is nothing to load.
            return self.scalar(spec, values) if role is Role.REBUILT else spec.body(*values)
        assert isinstance(spec, Pointwise)
        return spec.body(at, lambda k, i: self.free(node.inputs[k], i))


def _at(at: Index, strides: Sequence[int], start: int) -> Expr:
    """An offset, from positions and steps."""
    offset: Expr = index(start)
    for k, stride in zip(at, strides, strict=True):
        offset = offset + k * stride
    return offset


def _axis_steps(shape: tuple[int, ...], axis: int) -> Strided:
    """Counts along one axis of a shape."""
    return Strided(shape, tuple(int(a == axis) for a in range(len(shape))))


def _parts(expr: Expr) -> int:
    count, stack = 0, [expr]
    while stack and count <= _MAX_PARTS:
        part = stack.pop()
        count += 1
        if not isinstance(part, Load):
            stack.extend(operands(part))
    return count


def _text_key(expr: Expr) -> str:
    return expression(expr)
