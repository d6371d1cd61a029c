"""A graph in ONNX's words: for Netron, and for runtimes that read ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.dtypes import DType, TensorType
from graphc.errors import GraphcError
from graphc.ir.expansion import expanded
from graphc.ir.graph import Graph, Input, Op, Value
from graphc.ir.phases import Phase, phases
from graphc.ir.printer import value_names
from graphc.ir.spec import Decomposed

_OPSET = 18


class Builder:
    """Nodes and constants of an ONNX graph in the making. Operators write themselves with `node`
    and `constant`, which give names of results.
    """

    def __init__(self, onnx: Any):
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._fresh = 0

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node with one result."""
        self._fresh += 1
        name = f"_{self._fresh}"
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def constant(self, array: Any) -> str:
        """An array that is part of the model; lists are int64."""
        self._fresh += 1
        name = f"c{self._fresh}"
        values = np.asarray(array, np.int64 if isinstance(array, (list, tuple)) else None)
        self.constants.append(self.onnx.numpy_helper.from_array(values, name))
        return name

    def dtype(self, dtype: DType) -> int:
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(dtype.numpy))

    def refuse(self, what: str) -> GraphcError:
        return GraphcError(f"{what} cannot be written in ONNX")


def to_onnx(graph: Graph) -> Any:
    """The forward part of a graph as an `onnx.ModelProto` (opset 18): the outputs that do not
    depend on a derivative, and what they need. Inputs and outputs carry the graph's names.

    Raises GraphcError for an operator that has no ONNX form and a graph without forward outputs;
    ImportError without the package `onnx`.
    """
    import onnx

    graph = expanded(graph, Decomposed, lambda op: type(op).onnx is not Op.onnx)
    phase = phases(graph)
    kept = [k for k, v in enumerate(graph.outputs) if phase[v.node] is Phase.FORWARD]
    forward = Graph.from_values([graph.outputs[k] for k in kept])
    if not kept:
        raise GraphcError("to_onnx: no output is computed by the forward pass alone")
    builder = Builder(onnx)
    names = value_names(graph)
    given: dict[Value, str] = {v: names[v] for v in forward.inputs}
    for node in forward.nodes:
        if isinstance(node.op, Input):
            continue
        types = [v.type for v in node.inputs]
        results = node.op.onnx(builder, types, *[given[v] for v in node.inputs])
        given.update(zip(node.outputs, results, strict=True))
    outputs = []
    for k in kept:
        label = graph.output_names[k] if graph.output_names else f"output {k}"
        builder.nodes.append(
            onnx.helper.make_node("Identity", [given[graph.outputs[k]]], [label], f"output_{k}")
        )
        outputs.append(_info(builder, label, graph.outputs[k].type))
    inputs = [_info(builder, names[v], v.type) for v in forward.inputs]
    body = onnx.helper.make_graph(builder.nodes, "graphc", inputs, outputs, builder.constants)
    opset = onnx.helper.make_opsetid("", _OPSET)
    return onnx.helper.make_model(body, opset_imports=[opset], ir_version=9)


def _info(builder: Builder, name: str, type: TensorType) -> Any:
    shape: Sequence[int] = type.shape
    return builder.onnx.helper.make_tensor_value_info(name, builder.dtype(type.dtype), shape)
