"""From a function to a compiled step in one call, or at the first call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

from graphc import tree
from graphc.compiled import Compiled
from graphc.errors import ArgumentError
from graphc.functions.required import function
from graphc.trace import Traced, trace

P = ParamSpec("P")
R = TypeVar("R")


def compile(
    fn: Callable[P, R],
    *args: Any,
    donate_argnums: int | Sequence[int] = (),
    static_argnums: int | Sequence[int] = (),
    debug: bool = False,
    **options: Any,
) -> Compiled[P, R]:
    """`trace`, `lower` (with the options) and `compile` in one call."""
    traced = trace(fn, *args, donate_argnums=donate_argnums, static_argnums=static_argnums)
    return traced.lower(**options).compile(debug)


class Jitted(Generic[P, R]):
    """A function that is compiled at its first call for each new signature."""

    def __init__(self, fn: Callable[P, R], donate: Any, static: Any, options: dict[str, Any]):
        function(fn, "jit")
        self._fn = fn
        self._donate, self._static, self._options = donate, static, options
        self._compiled: dict[Any, Compiled[P, R]] = {}
        self._lock = threading.Lock()
        update_wrapper(self, fn)

    def trace(self, *args: Any) -> Traced[P, R]:
        return trace(self._fn, *args, donate_argnums=self._donate, static_argnums=self._static)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if kwargs:
            raise ArgumentError(f"{self._fn.__name__}: arguments are positional")
        key = self._key(args)
        with self._lock:
            compiled = self._compiled.get(key)
            if compiled is None:
                compiled = self.trace(*args).lower(**self._options).compile()
                self._compiled[key] = compiled
        return compiled(*args, **kwargs)

    def _key(self, args: Sequence[Any]) -> Any:
        """Structure, and for each leaf class, shape and dtype; static arguments by value."""
        given = (self._static,) if isinstance(self._static, int) else self._static
        static = {k % len(args) for k in given} if args else set()
        leaves, treedef = tree.flatten([x for k, x in enumerate(args) if k not in static])
        types = tuple((x.shape, str(x.dtype)) if hasattr(x, "shape") else type(x) for x in leaves)
        return treedef, types, tuple(args[k] for k in sorted(static))


def jit(
    fn: Callable[P, R] | None = None,
    *,
    donate_argnums: int | Sequence[int] = (),
    static_argnums: int | Sequence[int] = (),
    **options: Any,
) -> Any:
    """Compiles a function at the first call for each new signature; also used as a decorator.

    `jit(f).trace(*args)` is `trace(f, *args)`; the options are those of `compile`.
    """
    if fn is None:
        return lambda f: Jitted(f, donate_argnums, static_argnums, options)
    return Jitted(fn, donate_argnums, static_argnums, options)
