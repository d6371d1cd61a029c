"""What optimizers are made of: pairs of functions over pytrees.

The interface, names, states and formulas are optax's, so a step written for optax reads the same.
A transformation's `init(params)` gives its state; `update(updates, state, params)` gives new
updates and the new state. States are namedtuples of arrays: NumPy arrays where the parameters are
arrays, tensors where they are tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from graphc import arrays, tree
from graphc import functions as F
from graphc.errors import ArgumentError, ShapeError
from graphc.functions.promotion import as_dtype, as_tensor
from graphc.ir.site import located, required
from graphc.tensor import Tensor

PyTree: TypeAlias = Any
#: The value of a hyper-parameter after a number of updates. States count in int32; a schedule is
#: given the count in float64, so that `0.1 * 0.9 ** count` needs no conversion.
Schedule: TypeAlias = Callable[[Any], Any]

MAX_COUNT = np.iinfo(np.int32).max


class GradientTransformation(NamedTuple):
    """`init(params) -> state`, `update(updates, state, params=None) -> (updates, state)`."""

    init: Callable[[PyTree], PyTree]
    update: Callable[..., tuple[PyTree, PyTree]]


class EmptyState(NamedTuple):
    """The state of a transformation that remembers nothing."""


def stateful(
    kind: type, init: Callable[[PyTree], PyTree], update: Callable[..., tuple[PyTree, PyTree]]
) -> GradientTransformation:
    """The transformation whose states are of a type, which an update is not called without."""

    def checked(updates: PyTree, state: Any, params: PyTree = None):
        return update(updates, required(state, kind, "update: a state that init gave,"), params)

    return GradientTransformation(init, checked)


def stateless(function: Callable[[PyTree, PyTree], PyTree]) -> GradientTransformation:
    """The transformation `updates -> function(updates, params)`."""

    def update(updates: PyTree, state: EmptyState, params: PyTree = None):
        return function(updates, params), state

    return GradientTransformation(lambda params: EmptyState(), update)


def identity() -> GradientTransformation:
    """Leaves updates as they are."""
    return stateless(lambda updates, params: updates)


def chain(*transformations: GradientTransformation) -> GradientTransformation:
    """Applies transformations one after another; the state is the tuple of their states."""

    def init(params: PyTree) -> tuple:
        return tuple(t.init(params) for t in transformations)

    def update(updates: PyTree, state: tuple, params: PyTree = None):
        if len(state) != len(transformations):
            raise ArgumentError(
                located(
                    f"chain of {len(transformations)} transformations: got a state of {len(state)};"
                    " it must come from this chain's init"
                )
            )
        states = []
        for transformation, part in zip(transformations, state, strict=True):
            updates, part = transformation.update(updates, part, params)
            states.append(part)
        return updates, tuple(states)

    return stateful(tuple, init, update)


def apply_updates(params: PyTree, updates: PyTree) -> PyTree:
    """`params + updates`, leaf by leaf, in the dtypes of the parameters."""
    leaves, structure = tree.flatten(params)
    moves, given = tree.flatten(updates)
    if given != structure:
        raise ArgumentError(
            located(f"apply_updates: updates of the structure {structure} required, got {given}")
        )
    pairs = zip(map(_array, leaves), map(_array, moves), strict=True)
    return tree.unflatten(structure, [_moved(p, u) for p, u in pairs])


def _array(leaf: Any) -> Any:
    """A tensor, or an array of NumPy's as it is."""
    return leaf if isinstance(leaf, (np.ndarray, np.generic)) else as_tensor(leaf)


def _moved(p: Any, u: Any) -> Any:
    if p.shape != u.shape:
        what = f"apply_updates: an update of shape {p.shape} required, got {u.shape}"
        raise ShapeError(located(what))
    return (p + u).astype(as_dtype(p.dtype).numpy if isinstance(p, np.ndarray) else p.dtype)


def full_like(params: PyTree, value: float, dtype: Any = None) -> PyTree:
    """A state shaped like the parameters and of their dtypes, or of `dtype`: NumPy arrays for
    arrays (also those of other libraries, through DLPack) and specs, tensors for tensors.
    """

    def fill(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return F.full_like(leaf, value, dtype=dtype)
        if hasattr(leaf, "__dlpack__") and not isinstance(leaf, np.ndarray):
            leaf = np.from_dlpack(leaf)
        elif not hasattr(leaf, "shape"):
            leaf = np.asarray(leaf)
        own = as_dtype(leaf.dtype if dtype is None else dtype).numpy
        return arrays.full(leaf.shape, value, own)

    return tree.map(fill, params)


def no_updates_yet(params: PyTree) -> Any:
    """The count of updates at the beginning, an int32 of no axes."""
    if any(isinstance(leaf, Tensor) for leaf in tree.leaves(params)):
        return F.zeros((), dtype="int32")
    return np.zeros((), np.int32)


def counted(count: Tensor) -> Tensor:
    """The next count; it stays at the largest int32 rather than wrap around."""
    return F.where(count < MAX_COUNT, count + 1, MAX_COUNT)


def as_argument(count: Any) -> Any:
    """The count as a schedule takes it."""
    return count.astype("float64")


def cast(updates: PyTree, dtype: Any) -> PyTree:
    """All leaves in `dtype`; unchanged when that is None."""
    return updates if dtype is None else tree.map(lambda x: x.astype(dtype), updates)


def moving_average(updates: PyTree, average: PyTree, decay: float) -> PyTree:
    """(1 - decay)·g + decay·m."""
    return tree.map(lambda g, m: (1 - decay) * g + decay * m, updates, average)


def moving_average_of_squares(updates: PyTree, average: PyTree, decay: float) -> PyTree:
    """(1 - decay)·g² + decay·v."""
    return tree.map(lambda g, v: (1 - decay) * F.square(g) + decay * v, updates, average)


def unbiased(average: PyTree, decay: float, count: Tensor) -> PyTree:
    """An average that began at zero, divided by 1 - decay^count, the sum of its weights.

    The sum is computed in each leaf's own dtype, as optax does, and its reciprocal multiplies:
    one division a step rather than one an element.
    """

    def correct(leaf: Tensor) -> Tensor:
        return leaf * (1 / (1 - decay ** count.astype(leaf.dtype)))

    return tree.map(correct, average)
