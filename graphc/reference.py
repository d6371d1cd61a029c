"""The NumPy interpreter: the oracle that compiled graphs are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from graphc.dtypes import TensorType, as_dtype
from graphc.errors import ArgumentError, GraphcError
from graphc.ir.graph import Graph, Input, Node, Value
from graphc.ir.site import located
from graphc.ir.structure import needed


def evaluate(
    outputs: Graph | Sequence[Value], arrays: Mapping[Value, np.ndarray]
) -> list[np.ndarray]:
    """Computes values node by node with the operators' NumPy references.

    `arrays` gives the inputs, of exactly their types; it may also give intermediates, which are
    then not computed. Results are fresh arrays. Every result is checked against its declared type.
    Raises ArgumentError for an input that is missing or of another type.
    """
    wanted = outputs.outputs if isinstance(outputs, Graph) else tuple(outputs)
    known: dict[Value, np.ndarray] = {}
    for value, array in arrays.items():
        known[value] = _checked(value, np.asarray(array))
    nodes = needed(wanted, known)
    remaining = _last_readers(nodes, wanted)
    for node in nodes:
        if isinstance(node.op, Input):
            raise ArgumentError(
                located(f"no array was given for the input {node.op.attributes()}", node.meta.site)
            )
        results = node.op.reference(*[known[v] for v in node.inputs])
        if not isinstance(results, tuple):
            results = (results,)
        for value, result in zip(node.outputs, results, strict=True):
            known[value] = _declared(node, value, np.asarray(result))
        for value in node.inputs:
            if remaining.get(value) is node:
                del known[value], remaining[value]
    return [np.array(known[v]) for v in wanted]


def _last_readers(nodes: Sequence[Node], wanted: Sequence[Value]) -> dict[Value, Node]:
    last = {v: node for node in nodes for v in node.inputs}
    for value in wanted:
        last.pop(value, None)
    return last


def _checked(value: Value, array: np.ndarray) -> np.ndarray:
    found = TensorType(array.shape, as_dtype(array.dtype))
    if found != value.type:
        raise ArgumentError(f"{value.node.op.attributes()}: expected {value.type}, got {found}")
    return array


def _declared(node: Node, value: Value, array: np.ndarray) -> np.ndarray:
    if array.shape != value.shape or array.dtype != value.dtype.numpy:
        raise GraphcError(
            f"the reference of {node.op.name} gave {array.dtype}{list(array.shape)}, "
            f"its type rule says {value.type}"
        )
    return array
