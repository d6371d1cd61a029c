"""Graphs that NNSmith draws (Liu and others, ASPLOS 2023), a generator that nobody here wrote:
`python -m tests.fuzz --nnsmith`. Each becomes a case. PyTorch judges every line on its own, on
equal operands; what is compiled is held against the reference, as all cases are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from nnsmith.abstract.extension import activate_ext
from nnsmith.error import ConstraintError
from nnsmith.graph_gen import model_gen
from nnsmith.materialize.torch import TorchModelCPU
from nnsmith.materialize.torch.forward import forward_fn

import graphc as gx
from tests.fuzz.case import Case, Line
from tests.fuzz.smith_lines import text_of

_NODES = 10
_ELEMENTS = 2**12
#: As NNSmith writes them.
_DTYPES = ("bool", "i32", "i64", "f32", "f64")
_SUPPORTED = ("torch.bool", "torch.int32", "torch.int64", "torch.float32", "torch.float64")
#: Resampling of images has no counterpart in graphc.
OPERATORS = [op for op in TorchModelCPU.operators() if not op.__name__.endswith("Interp")]
#: Relative to the largest element: sums have other orders.
_TOLERANCE = {"float32": 5e-5, "float64": 1e-11}


def smith_case(seed: int) -> tuple[Case, list[str]] | None:
    """The case of a seed, and what PyTorch says is wrong with its lines; None where NNSmith finds
    no graph, or one that PyTorch cannot run.
    """
    activate_ext(opset=OPERATORS)
    try:
        ir = model_gen(
            opset=OPERATORS, method="symbolic-cinit", seed=seed, max_nodes=_NODES,
            max_elem_per_tensor=_ELEMENTS, dtype_choices=_DTYPES,
        ).make_concrete()  # fmt: skip
    except ConstraintError:
        return None
    torch.manual_seed(seed)
    imported = _Importer(seed)
    if any(str(t.dtype.torch()) not in _SUPPORTED for t in ir.vars.values()):
        return None
    for inst in ir.insts:
        try:
            imported.add(inst.iexpr.op, list(inst.iexpr.args), inst.retvals()[0])
        except RuntimeError:
            # Division of an integer by zero, or a dtype for which PyTorch has no kernel.
            return None
    return imported.case(f"NNSmith {seed}"), imported.wrong


class _Importer:
    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.arrays: dict[str, np.ndarray] = {}
        self.lines: list[Line] = []
        #: By NNSmith's names: the names in lines, and PyTorch's values.
        self.names: dict[str, str] = {}
        self.values: dict[str, torch.Tensor] = {}
        self.wrong: list[str] = []

    def add(self, op: Any, args: list[str], result: str) -> None:
        kind = type(op).__name__
        if kind in ("Input", "Constant"):
            self.names[result] = self._argument(self._drawn(op.abs_tensor))
            self.values[result] = torch.from_numpy(self.arrays[self.names[result]])
            return
        operands = [self.values[a] for a in args]
        module = forward_fn(op)
        weights: list[str] = []
        if isinstance(module, torch.nn.Module):
            module = module.eval().to(operands[0].dtype)
            stored = {**dict(module.named_parameters()), **dict(module.named_buffers())}
            weights = [self._argument(w.detach().numpy()) for w in stored.values() if w.ndim]
        with torch.no_grad():
            value = module(*operands)
        self.values[result] = value
        name = self.names[result] = f"v{len(self.lines)}"
        text = text_of(op, [self.names[a] for a in args], weights)
        line = Line((name,), text)
        self.lines.append(line)
        self._judge(line, [self.names[a] for a in args], operands, value)

    def _drawn(self, like: Any) -> np.ndarray:
        dtype = str(like.dtype.torch()).removeprefix("torch.")
        if dtype == "bool":
            return np.asarray(self.rng.random(like.shape) < 0.5)
        if dtype.startswith("int"):
            return np.asarray(self.rng.integers(1, 6, like.shape)).astype(dtype)
        return np.asarray(self.rng.uniform(-2, 4, like.shape)).astype(dtype)

    def _argument(self, array: np.ndarray) -> str:
        name = f"i{len(self.arrays)}"
        self.arrays[name] = np.array(array)
        return name

    def _judge(
        self, line: Line, names: Sequence[str], operands: Sequence[torch.Tensor], want: torch.Tensor
    ) -> None:
        """The reference of one line against PyTorch, on PyTorch's own operands."""
        arrays = dict(self.arrays) | {
            n: x.numpy() for n, x in zip(names, operands, strict=True) if n not in self.arrays
        }
        used = {n: gx.input(n, arrays[n].shape, arrays[n].dtype) for n in line.uses}
        known: dict[str, Any] = dict(used)
        line.run(known)
        with np.errstate(all="ignore"):
            found = gx.evaluate(known[line.targets[0]], {t: arrays[n] for n, t in used.items()})
        expected = want.numpy()
        if found.dtype != expected.dtype or found.shape != expected.shape:
            self.wrong.append(
                f"{line}: {found.dtype}{found.shape}, PyTorch {expected.dtype}{expected.shape}"
            )
        elif not _equal(found, expected, operands):
            self.wrong.append(f"{line}: {found}, PyTorch {expected}")

    def case(self, label: str) -> Case:
        """Results are what nothing reads, and a gradient by every float argument behind them."""
        read = {name for line in self.lines for name in line.uses}
        ends = [line.targets[0] for line in self.lines if line.targets[0] not in read]
        floats = [n for n, a in self.arrays.items() if a.dtype.kind == "f"]
        moving = {name: self.values[key] for key, name in self.names.items() if name in ends}
        sums = [f"gx.sum(gx.square({n}))" for n, x in moving.items() if x.is_floating_point()]
        lines = list(self.lines)
        if sums and floats:
            start = len(lines)
            targets = tuple(f"v{start + k}" for k in range(len(floats)))
            total, names = " + ".join(s for s in sums), ", ".join(floats)
            text = f"gx.grad({_same_dtype(total, moving)}, [{names}])"
            text = text if len(floats) > 1 else f"[{text}[0]]"
            lines.append(Line(targets, text if len(targets) > 1 else f"{text}[0]"))
            ends += targets
        return Case(label, self.arrays, tuple(lines), tuple(ends)).pruned()


def _same_dtype(total: str, moving: dict[str, torch.Tensor]) -> str:
    dtypes = {x.dtype for x in moving.values() if x.is_floating_point()}
    return f"gx.astype({total}, 'float64')" if len(dtypes) > 1 else total


def _equal(found: np.ndarray, want: np.ndarray, operands: Sequence[torch.Tensor]) -> bool:
    """NaN as NaN, integers exactly; what a conversion makes of numbers that do not fit differs."""
    if found.dtype.kind != "f":
        given = [x for x in operands if x.is_floating_point()]
        if given and any(bool((~(x.abs() < 2.0**31)).any()) for x in given):
            return True
        return np.array_equal(found, want)
    with np.errstate(all="ignore"):
        distance = np.abs(found.astype(np.float64) - want.astype(np.float64))
    finite = np.abs(want[np.isfinite(want)]).astype(np.float64)
    limit = _TOLERANCE[found.dtype.name] * max(1.0, float(finite.max(initial=0.0)))
    same = (found == want) | (np.isnan(found) & np.isnan(want)) | (distance <= limit)
    return bool(same.all())
