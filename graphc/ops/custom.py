"""Operators that a user defines, with C of their own.

The user's text stands in one place of the generated file, the body of a function. That it cannot
leave this place is checked when the operator is defined.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphc import ops
from graphc.dtypes import TensorType, as_dtype, float32, float64
from graphc.errors import ArgumentError, GraphcError, ShapeError
from graphc.ir.expr import Expr, call
from graphc.ir.graph import Node, Op, Value, apply
from graphc.ir.onnx_graph import Builder
from graphc.ir.python import Dialect
from graphc.ir.site import Site, located
from graphc.ir.source import NotStandaloneError
from graphc.ir.spec import Native, Routine, Scalar, Spec
from graphc.ir.terms import Term
from graphc.ops.samples import Refusal, Sample, Source, refuses

#: What a call costs in simple operations: as much as a function of the runtime.
_COST = 12

Types = Sequence[TensorType]
#: From a node and the derivatives that arrive at it to those that leave.
Rule = Callable[..., Sequence[Value | None]]


@dataclass(frozen=True, eq=False)
class Definition:
    """What a user said about an operator. The rules are of graph values: `vjp(node, *cotangents)`
    and `jvp(node, *tangents)`.
    """

    label: str
    site: Site | None
    type_rule: Callable[..., Any]
    reference: Callable[..., Any]
    c: str
    elementwise: bool
    vjp: Rule | None
    jvp: Rule | None

    def __post_init__(self) -> None:
        problem = leaves_its_body(self.c, self.elementwise)
        if problem:
            kind = "an expression" if self.elementwise else "the body of a function"
            raise ArgumentError(located(f"custom_op {self.label!r}: c is {kind}; {problem}"))


@dataclass(frozen=True)
class CustomOp(Op):
    """An application of a user's operator. Two are equal if one definition made them."""

    name = "custom_op"
    definition: Definition

    @property
    def parameters(self) -> tuple[Any, ...]:
        return (self.definition.label, self.definition.c, self.definition.elementwise)

    def attributes(self) -> str:
        return repr(self.definition.label)

    @property
    def vjp(self) -> Rule | None:
        return self.definition.vjp

    @property
    def jvp(self) -> Rule | None:
        return self.definition.jvp

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        what = f"{self.definition.label}({', '.join(map(str, types))})"
        found = self.definition.type_rule(*types)
        results = tuple(found) if isinstance(found, (tuple, list)) else (found,)
        for result in results:
            if not isinstance(result, TensorType):
                raise ArgumentError(
                    located(f"{what}: type_rule gives gx.spec(shape, dtype), got {result!r}")
                )
        if self.definition.elementwise:
            shapes = {t.shape for t in (*types, *results)}
            if len(shapes) > 1 or len(results) != 1:
                raise ShapeError(
                    located(f"{what}: elementwise means one result, of the operands' shape")
                )
        return results

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        required = self.infer(*[TensorType(a.shape, as_dtype(a.dtype)) for a in arrays])
        found = self.definition.reference(*arrays)
        results = found if isinstance(found, (tuple, list)) else (found,)
        if len(results) != len(required):
            raise ShapeError(
                f"{self.definition.label}: reference gave {len(results)} results, its type rule"
                f" says {len(required)}"
            )
        return tuple(
            np.asarray(result).astype(t.dtype.numpy)
            for result, t in zip(results, required, strict=True)
        )

    def python(self, to: Dialect, types: Sequence[TensorType], *operands: Term) -> Term | None:
        """The reference, which is NumPy's also in PyTorch."""
        results = self.infer(*types)
        try:
            function = to.function_of(self.definition.reference, self.definition.label)
        except NotStandaloneError as reason:
            where = f"the reference of custom_op {self.definition.label!r}"
            what = f"{where} cannot be written in {to.name}: {reason}"
            raise GraphcError(located(what, self.definition.site)) from None
        dtypes = to.sequence([Term(to.dtype(t.dtype)) for t in results])
        found = to.plain("custom", function, dtypes, *operands)
        return Term(f"{found.text}[0]") if len(results) == 1 else found

    def onnx(self, to: Builder, types: Sequence[TensorType], *operands: str) -> Sequence[str]:
        return to.own(self.definition.label, len(self.infer(*types)), *operands)

    def spec(self, *types: TensorType) -> Spec:
        routine = self._routine(types, self.infer(*types))
        if not self.definition.elementwise:
            return Native(routine)
        (result,) = self.infer(*types)

        def body(*operands: Expr) -> Expr:
            return call(routine.name, result.dtype, *operands)

        return Scalar(body, _COST, (routine,))

    def flops(self, *types: TensorType) -> int:
        return _COST * self.infer(*types)[0].size if self.definition.elementwise else 0

    def _routine(self, types: Sequence[TensorType], results: Sequence[TensorType]) -> Routine:
        text = _scalar_text if self.definition.elementwise else _array_text
        head, body = text(self.definition.c, types, results)
        digest = hashlib.sha256(f"{head}\n{body}".encode()).hexdigest()[:12]
        name = f"custom_{digest}"
        return Routine(
            name, f"{head.format(name=name)}\n{body}", self.definition.label, self.definition.site
        )

    def batch(self, size: int, inputs: Sequence[Value], batched: Sequence[bool]):
        """An elementwise operator is one of the whole batch; another is applied to one example
        after the other.
        """
        if self.definition.elementwise:
            return apply(self, *ops.batch_all(size, inputs, batched)), (True,)
        both = list(zip(inputs, batched, strict=True))
        if size == 0:
            types = [v.type.with_shape(v.shape[1:]) if has else v.type for v, has in both]
            empty = tuple(ops.full((0, *t.shape), 0, t.dtype) for t in self.infer(*types))
            return empty, (True,) * len(empty)
        rows = [
            apply(self, *[_example(v, k) if has else v for v, has in both]) for k in range(size)
        ]
        stacked = tuple(
            ops.concat([ops.reshape(v, (1, *v.shape)) for v in column], 0)
            for column in zip(*rows, strict=True)
        )
        return stacked, (True,) * len(stacked)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        source = Source(cls.name)
        for dtype in (float32, float64):
            for shape in ((), (3, 5), (0, 2)):
                x = source.floats(shape, dtype)
                yield Sample(f"elementwise {dtype} {shape}", cls(_square()), (x,), True)
            rows = source.floats((3, 4), dtype), source.floats((4,), dtype)
            yield Sample(f"arrays {dtype}", cls(_product()), rows, True)
        empty = np.zeros((0, 4)), np.zeros(4)
        yield Sample("no rows", cls(_product()), empty, True)

    @classmethod
    def refusals(cls) -> Iterator[Refusal]:
        wide = replace(_square(), type_rule=lambda x: x.with_shape((9,)))
        yield refuses(cls(wide), ShapeError, "elementwise means one result", ((3,), float32))
        vague = replace(_square(), type_rule=lambda x: x.shape)
        yield refuses(cls(vague), ArgumentError, "type_rule gives", ((3,), float32))


def _square() -> Definition:
    def slope(node: Node, moved: Value | None) -> Sequence[Value | None]:
        (x,) = node.inputs
        return (None if moved is None else ops.multiply(ops.multiply(2, x), moved),)

    return Definition("square", None, lambda x: x, np.square, "x0 * x0", True, slope, slope)


def _product() -> Definition:
    """A matrix by a vector."""

    def vjp(node: Node, g: Value) -> Sequence[Value | None]:
        m, v = node.inputs
        column = ops.reshape(g, (*g.shape, 1))
        by_m = ops.multiply(ops.broadcast(g, m.shape, (0,)), ops.broadcast(v, m.shape))
        return by_m, ops.reshape(ops.matmul(ops.permute(m, (1, 0)), column), v.shape)

    def jvp(node: Node, *tangents: Value | None) -> Sequence[Value | None]:
        m, v = node.inputs
        dm, dv = tangents
        terms = [] if dm is None else [apply(node.op, dm, v)[0]]
        return (ops.add_all(terms + ([] if dv is None else [apply(node.op, m, dv)[0]])),)

    return Definition(
        "product",
        None,
        lambda m, v: m.with_shape(m.shape[:1]),
        np.matmul,
        """
        for (int64_t i = 0; i < x0_dim0; i++) {
            y0[i] = 0;
            for (int64_t k = 0; k < x0_dim1; k++)
                y0[i] += x0[i * x0_dim1 + k] * x1[k];
        }
        """,
        False,
        vjp,
        jvp,
    )


def _example(v: Value, k: int) -> Value:
    starts = (k, *(0,) * (len(v.shape) - 1))
    part = ops.slice(v, starts, (1, *v.shape[1:]), (1,) * len(v.shape))
    return ops.reshape(part, v.shape[1:])


def _scalar_text(
    c: str, types: Sequence[TensorType], results: Sequence[TensorType]
) -> tuple[str, str]:
    params = ", ".join(f"const {t.dtype.c} x{k}" for k, t in enumerate(types))
    head = f"static inline {results[0].dtype.c} {{name}}({params or 'void'})"
    return head, f"{{\n    return ({c.strip()});\n}}"


def _array_text(
    c: str, types: Sequence[TensorType], results: Sequence[TensorType]
) -> tuple[str, str]:
    given = [(f"x{k}", t) for k, t in enumerate(types)]
    made = [(f"y{k}", t) for k, t in enumerate(results)]
    params = [f"const {t.dtype.c} *restrict {n}" for n, t in given]
    params += [f"{t.dtype.c} *restrict {n}" for n, t in made]
    head = f"static void {{name}}({', '.join(params)})"
    constants = [
        ", ".join([f"{n}_size = {t.size}", *(f"{n}_dim{a} = {e}" for a, e in enumerate(t.shape))])
        for n, t in (*given, *made)
    ]
    lines = "".join(f"    enum {{ {line} }};\n" for line in constants)
    unused = "".join(f"    (void){n};\n" for n, _ in given)
    return head, "{\n" + lines + unused + _indented(c) + "}"


def _indented(c: str) -> str:
    lines = c.strip("\n").rstrip().split("\n")
    margin = min((len(s) - len(s.lstrip()) for s in lines if s.strip()), default=0)
    return "".join(f"    {s[margin:]}\n" if s.strip() else "\n" for s in lines)


_TOKENS = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)
#: Other spellings of characters, and joined lines: they would hide what the check looks for.
_DISGUISES = re.compile(r"\?\?[=/'()!<>-]|<:|:>|<%|%>|%:|\\\r?\n|\\$")


def leaves_its_body(c: str, expression: bool) -> str:
    """Why a text could end the body in which it stands, or change what stands around it; "" if it
    cannot. Strings and comments end where they begin, brackets are balanced, there are no
    directives of the preprocessor.
    """
    if not c.strip():
        return "it is empty"
    if _DISGUISES.search(c) or not all(
        ch in "\t\n\r" or " " <= ch <= "~" for ch in _TOKENS.sub("", c)
    ):
        return "digraphs, trigraphs, joined lines and other than printable ASCII are not allowed"
    if expression and _TOKENS.search(c):
        return "comments and strings are not part of one"
    code = _TOKENS.sub(" ", c)
    if any(mark in code for mark in ('"', "'", "/*", "*/")):
        return "a string or a comment does not end"
    if "#" in code:
        return "directives of the preprocessor are not allowed"
    if expression and any(mark in code for mark in ";{}"):
        return "statements are not part of one"
    waiting: list[str] = []
    for ch in code:
        if ch in "([{":
            waiting.append(")]}"["([{".index(ch)])
        elif ch in ")]}" and (not waiting or waiting.pop() != ch):
            return f"{ch!r} closes nothing"
    return f"{waiting[-1]!r} is missing" if waiting else ""
