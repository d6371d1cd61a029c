"""A compiled step kernel by kernel: what every kernel reads and writes is looked at.

The kernels are those of the ordinary step. Between them Python looks at the arrays in memory, and
fills the memory that nothing uses any more with NaN, so that a plan that frees too early is seen.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from graphc import io, reference, tree
from graphc.build.library import Library
from graphc.build.pool import check_status
from graphc.errors import IndexingError, NonFiniteError
from graphc.frame import Frame
from graphc.ir.graph import Node, Value
from graphc.ir.names import value_names
from graphc.ir.printer import node_text
from graphc.ir.site import located
from graphc.schedule.kernel import Kernel
from graphc.schedule.program import Buffer, Memory, Program
from graphc.stepcode import StepCode
from graphc.trace import Signature, flatten_arguments

#: What cffi is told of a step that stops after every kernel.
STEP_CDEF = """
int graphc_kernel(void *const *in, void *const *out, void *arena, const void *runtime,
                  int64_t kernel);
"""

#: The bytes of memory that holds nothing: NaN as floats, -1 as integers.
_POISON = 0xFF


@dataclass(frozen=True)
class Moment:
    """A kernel that has run: its number, what it read (copies) and what it wrote (in memory)."""

    number: int
    kernel: Kernel
    reads: dict[Value, np.ndarray]
    writes: dict[Value, np.ndarray]


class Stepper(Frame):
    """A step that stops after every kernel."""

    def __init__(self, program: Program, signature: Signature, code: StepCode, library: Library):
        super().__init__(signature, code, library, "graphc_kernel")
        self.program = program
        first = -self.arena.__array_interface__["data"][0] % 64
        self._bytes = self.arena[first : first + program.plan.peak]

    def moments(self, args: Sequence[Any]) -> Iterator[Moment]:
        """Runs the step on the arguments; `result_tree` holds what it gives at the end. Positions
        that index are looked at before the kernel that uses them runs. Raises IndexingError.
        """
        leaves, _alive = self.arguments.take(args)
        large = self.results.place()
        self._bytes[:] = _POISON
        for number, kernel in enumerate(self.program.kernels):
            reads = {v: self.array(v).copy() for v in kernel.reads}
            _check_positions(kernel, reads)
            self._run(number)
            yield Moment(number, kernel, reads, {v: self.array(v) for v in kernel.writes})
            for buffer in self.program.arena_buffers:
                if buffer.last == number + 1:
                    self._bytes[buffer.offset : buffer.offset + buffer.nbytes] = _POISON
        self._run(len(self.program.kernels))
        self.result_tree = self.results.copied(leaves, large)

    def array(self, value: Value) -> np.ndarray:
        """A value where it lies in memory."""
        literal = value.node.op.literal
        if literal is not None:
            return literal
        buffer = self.program.buffers[value]
        place = self.program.kernels[0].storage.places[value].strided
        dtype = value.dtype.numpy
        memory = self._memory(buffer)
        bits = self.program.kernels[0].storage.packed.get(value)
        if bits is not None:
            return bits.unpacked(memory[: bits.nbytes]).reshape(place.shape)
        flat = memory[: value.type.nbytes].view(dtype)
        strides = [s * dtype.itemsize for s in place.strides]
        return np.lib.stride_tricks.as_strided(flat, place.shape, strides)

    def _memory(self, buffer: Buffer) -> np.ndarray:
        if buffer.memory in (Memory.ARENA, Memory.WORKSPACE):
            return self._bytes[buffer.offset : buffer.offset + buffer.nbytes]
        table = self.inputs if buffer.memory is Memory.INPUT else self.outputs
        if not buffer.nbytes:
            return np.empty(0, np.uint8)
        return np.frombuffer(self.ffi.buffer(table[buffer.index], buffer.nbytes), np.uint8)

    def _run(self, number: int) -> None:
        status = self.run(number)
        if status:
            check_status(status, self.threads)


class Watch:
    """A step that traps the first value that is not finite, and says where it came from."""

    def __init__(self, stepper: Stepper, kernel_names: Sequence[str]):
        self.stepper = stepper
        self.kernel_names = kernel_names
        self.names = value_names(stepper.program.graph)
        #: Values that were written without NaN.
        self._whole: set[Value] = set()

    def call(self, args: Sequence[Any]) -> Any:
        """The step's result. Raises NonFiniteError, with donated arrays as they were, for a node
        that makes NaN or an infinity of operands without them, and for an argument that holds NaN;
        IndexingError for a position outside its axis.
        """
        leaves = flatten_arguments(self.stepper.signature, args)
        before = [np.array(leaf) for leaf in leaves]
        finished = False
        self._whole.clear()
        try:
            self._check_arguments(before)
            for moment in self.stepper.moments(args):
                self._check(moment, before)
            finished = True
        finally:
            if not finished:
                for leaf, old in zip(leaves, before, strict=True):
                    if isinstance(leaf, np.ndarray) and leaf.flags.writeable:
                        np.copyto(leaf, old)
        return self.stepper.result_tree

    def _check_arguments(self, arrays: Sequence[np.ndarray]) -> None:
        for leaf, array in zip(self.stepper.signature.arguments, arrays, strict=False):
            if array.dtype.kind == "f" and np.isnan(array).any():
                raise NonFiniteError(f"{leaf.path} holds NaN at {_first(np.isnan(array))}")

    def _check(self, moment: Moment, before: Sequence[np.ndarray]) -> None:
        for value, array in moment.reads.items():
            if value in self._whole and np.isnan(array).any():
                raise NonFiniteError(
                    located(
                        f"{self.names[value]} was written without NaN, and kernel {moment.number}"
                        f" ({self.kernel_names[moment.number]}) reads NaN at"
                        f" {_first(np.isnan(array))}: its memory was freed or written over",
                        value.node.meta.site,
                    )
                )
        floats = {v: a for v, a in moment.writes.items() if a.dtype.kind == "f"}
        self._whole |= {v for v, a in floats.items() if not np.isnan(a).any()}
        if all(np.isfinite(a).all() for a in floats.values()):
            return
        culprit = _culprit(moment, self.names)
        if culprit is None:
            return
        value, array, names, turn = culprit
        node = value.node
        path = _saved(before)
        name = self.kernel_names[moment.number]
        wrong = ~np.isfinite(array)
        raise NonFiniteError(
            located(
                f"{node.op.name} made {array[wrong].flat[0]} of finite operands:"
                f" {names[value]}: {value.type} = {node_text(node, names)} at"
                f" {_first(wrong)}, {wrong.sum()} of {wrong.size} elements, in kernel"
                f" {moment.number} ({name}{turn}); the arguments are saved in {path}",
                node.meta.site,
            ),
            kernel=name,
            node=node_text(node, names),
            line=str(node.meta.site or ""),
            arguments=path,
        )


def replayed(path: str | Path, signature: Signature) -> list[Any]:
    """The arguments that a NonFiniteError saved."""
    leaves = io.load(path, [leaf.type for leaf in signature.arguments])
    if signature.bound is not None:
        leaves = signature.bound.given(leaves)
    dynamic = iter(tree.unflatten(signature.in_tree, leaves))
    static = dict(signature.static)
    return [static[k] if k in static else next(dynamic) for k in range(signature.arity)]


def _saved(leaves: Sequence[np.ndarray]) -> Path:
    with tempfile.NamedTemporaryFile(prefix="graphc-", suffix=".safetensors", delete=False) as file:
        path = Path(file.name)
    io.save(path, list(leaves))
    return path


class Culprit(NamedTuple):
    """A value that is not finite, what values around it are called, and in which turn of loops."""

    value: Value
    array: np.ndarray
    names: dict[Value, str]
    turn: str = ""


def _culprit(moment: Moment, names: dict[Value, str]) -> Culprit | None:
    """The first value of a kernel that is not finite though its operands are; a kernel's own array
    where the reference finds all finite. None where what is not finite was there before.
    """
    known = dict(moment.reads)
    with np.errstate(all="ignore"):
        found = _first_made(_members(moment.kernel), known, names)
    if found is not None:
        return found
    for value, array in moment.writes.items():
        if _is_made(array, [known[value], *moment.reads.values()]):
            return Culprit(value, array, names)
    return None


def _first_made(
    nodes: Sequence[Node],
    known: dict[Value, np.ndarray],
    names: dict[Value, str],
    turn: str = "",
) -> Culprit | None:
    """The first of some nodes whose result is not finite though its operands are, by the reference;
    in the place of a loop or a choice the first inside of it. `known` grows by what they compute.
    """
    for node in nodes:
        operands = reference.evaluate(node.inputs, known)
        results = reference.evaluate(node.outputs, known)
        known.update(zip(node.outputs, results, strict=True))
        for value, array in zip(node.outputs, results, strict=True):
            if _is_made(array, operands):
                inner = _made_inside(node, operands, turn)
                return inner or Culprit(value, array, names, turn)
    return None


def _made_inside(node: Node, operands: Sequence[np.ndarray], turn: str) -> Culprit | None:
    if node.op.runs is None:
        return None
    for number, (body, given) in enumerate(node.op.runs(*operands)):
        inputs = dict(zip(body.inputs, given, strict=True))
        inner = [n for n in body.nodes if n.inputs or n.op.literal is not None]
        where = f"{turn}, turn {number}"
        found = _first_made(inner, inputs, value_names(body), where)
        if found is not None:
            return found
    return None


def _is_made(array: np.ndarray, operands: Sequence[np.ndarray]) -> bool:
    """Whether NaN or an infinity appears that no operand has; a NaN may come of an infinity that
    was meant, as of a mask's.
    """
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return False
    floats = [a for a in operands if a.dtype.kind == "f"]
    if np.isnan(array).any():
        return not any(np.isnan(a).any() for a in floats)
    return all(np.isfinite(a).all() for a in floats)


def _check_positions(kernel: Kernel, reads: dict[Value, np.ndarray]) -> None:
    for node in _members(kernel):
        for operand, extent in node.op.positions(*[v.type for v in node.inputs]):
            (at,) = reference.evaluate([node.inputs[operand]], reads)
            wrong = (at >= extent) | (at < -extent)
            if wrong.any():
                raise IndexingError(
                    located(
                        f"{node.op.name}: position {at[wrong].flat[0]} at {_first(wrong)} is"
                        f" outside an axis of {extent}",
                        node.meta.site,
                    )
                )


def _members(kernel: Kernel) -> list[Node]:
    return sorted(kernel.nodes, key=lambda n: n.serial)


def _first(where: np.ndarray) -> list[int]:
    """The place of the first element that holds."""
    return [int(k) for k in np.argwhere(where)[0]] if where.ndim else []
