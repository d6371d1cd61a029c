"""A graph in ONNX's words: for Netron, and for runtimes that read ONNX."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from graphc.dtypes import DType, TensorType
from graphc.errors import GraphcError
from graphc.ir.expansion import expanded
from graphc.ir.graph import Graph, Input, Node
from graphc.ir.names import value_names
from graphc.ir.phases import Phase, phases
from graphc.ir.site import located
from graphc.ir.spec import Decomposed

_OPSET = 18
_DOMAIN = "graphc.custom"


class Builder:
    """Nodes and constants of an ONNX graph in the making. Operators write themselves with `node`
    and `constant`, which give names of results. Names are unique in the whole model.
    """

    def __init__(self, onnx: Any, numbers: Iterator[int] | None = None):
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.domains: set[str] = set()
        self._numbers = itertools.count(1) if numbers is None else numbers

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node with one result."""
        return self.several(kind, 1, *inputs, **attributes)[0]

    def several(self, kind: str, results: int, *inputs: str, **attributes: Any) -> list[str]:
        """A node with some results."""
        names = [self.fresh() for _ in range(results)]
        make = self.onnx.helper.make_node
        self.nodes.append(make(kind, inputs, names, names[0], **attributes))
        return names

    def own(self, label: str, results: int, *inputs: str) -> list[str]:
        """A node that no runtime knows: an operator of the user's, in a domain of its own."""
        self.domains.add(_DOMAIN)
        return self.several(label, results, *inputs, domain=_DOMAIN)

    def constant(self, array: Any) -> str:
        """An array that is part of the model; lists are int64."""
        name = self.fresh()
        values = np.asarray(array, np.int64 if isinstance(array, (list, tuple)) else None)
        self.constants.append(self.onnx.numpy_helper.from_array(values, name))
        return name

    def fresh(self) -> str:
        return f"_{next(self._numbers)}"

    def dtype(self, dtype: DType) -> int:
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(dtype.numpy))

    def info(self, name: str, type: TensorType) -> Any:
        """The declaration of a value."""
        shape: Sequence[int] = type.shape
        return self.onnx.helper.make_tensor_value_info(name, self.dtype(type.dtype), shape)

    def cast(self, name: str, dtype: DType) -> str:
        return self.node("Cast", name, to=self.dtype(dtype))

    def inner(self) -> Builder:
        """The builder of a graph that stands inside of a node and sees what is outside."""
        builder = Builder(self.onnx, self._numbers)
        builder.domains = self.domains
        return builder

    def graph(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """The nodes and constants so far as a graph with declared inputs and outputs."""
        return self.onnx.helper.make_graph(
            self.nodes, f"graphc_{self.fresh()}", inputs, outputs, self.constants
        )

    def written(self, graph: Graph, given: Sequence[str]) -> list[str]:
        """The outputs of a graph of which the inputs are given. Raises GraphcError for an operator
        that has no ONNX form.
        """

        def is_known(node: Node) -> bool:
            names = [f"x{k}" for k in range(len(node.inputs))]
            types = [v.type for v in node.inputs]
            return node.op.onnx(Builder(self.onnx), types, *names) is not None

        graph = expanded(graph, Decomposed, is_known)
        names = dict(zip(graph.inputs, given, strict=True))
        for node in graph.nodes:
            if isinstance(node.op, Input):
                continue
            types = [v.type for v in node.inputs]
            results = node.op.onnx(self, types, *[names[v] for v in node.inputs])
            if results is None:
                what = f"{node.op.name}({', '.join(map(str, types))}) cannot be written in ONNX"
                raise GraphcError(located(what, node.meta.site))
            names.update(zip(node.outputs, results, strict=True))
        return [names[v] for v in graph.outputs]


def to_onnx(graph: Graph) -> Any:
    """The forward part of a graph as an `onnx.ModelProto` (opset 18): the outputs that do not
    depend on a derivative, and what they need. Inputs and outputs carry the graph's names; a user's
    operator is a node of the domain "graphc.custom", which a runtime has to be told about.

    Raises GraphcError for an operator that has no ONNX form and a graph without forward outputs;
    ImportError without the package `onnx`.
    """
    import onnx

    phase = phases(graph)
    kept = [k for k, v in enumerate(graph.outputs) if phase[v.node] is Phase.FORWARD]
    if not kept:
        raise GraphcError("to_onnx: no output is computed by the forward pass alone")
    forward = Graph.from_values([graph.outputs[k] for k in kept])
    builder = Builder(onnx)
    names = value_names(graph)
    inputs = [names[v] for v in forward.inputs]
    outputs = []
    for k, result in zip(kept, builder.written(forward, inputs), strict=True):
        label = graph.output_names[k] if graph.output_names else f"output {k}"
        builder.nodes.append(onnx.helper.make_node("Identity", [result], [label], f"output_{k}"))
        outputs.append(builder.info(label, graph.outputs[k].type))
    declared = [builder.info(n, v.type) for n, v in zip(inputs, forward.inputs, strict=True)]
    body = builder.graph(declared, outputs)
    opsets = [onnx.helper.make_opsetid("", _OPSET)]
    opsets += [onnx.helper.make_opsetid(domain, 1) for domain in sorted(builder.domains)]
    model = onnx.helper.make_model(body, opset_imports=opsets, ir_version=9)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as reason:
        raise GraphcError(f"to_onnx: {str(reason).splitlines()[0]}") from None
    return model
