"""Arithmetic that becomes double without being asked."""

from __future__ import annotations

from collections.abc import Iterator

from graphc.dtypes import float32, float64
from graphc.ir.graph import Input, Node
from graphc.lint.finding import Subject, behind
from graphc.ops.convert import AsType


def accidental_float64(subject: Subject) -> Iterator[tuple[Node, str, str]]:
    """A float64 array from outside makes all that it meets float64: twice the bytes, half the
    speed.
    """
    for node in subject.nodes(AsType):
        if node.inputs[0].dtype is not float32 or node.types[0].dtype is not float64:
            continue
        for reader in subject.readers(node):
            for other in reader.inputs:
                source = behind(other).node
                given = isinstance(source.op, Input) or source.op.literal is not None
                if given and source.types[0].dtype is float64 and source.types[0].shape:
                    yield (
                        reader,
                        f"float64 {_what(source)} makes float32{list(other.shape)} float64",
                        "array.astype(np.float32), or gx.astype(x, gx.float32) where it comes in",
                    )
                    break


def _what(source: Node) -> str:
    if source.op.literal is not None:
        return "constant array"
    return f"argument {source.meta.name or source.op.attributes()}"
