"""What needs no function of an array library."""

from __future__ import annotations

import itertools


def taps(counts, kernel, strides, dilation):
    """Every tap of a kernel, with what it meets in all windows, `counts` along each axis."""
    for k in itertools.product(*map(range, kernel)):
        axes = zip(k, counts, strides, dilation, strict=True)
        yield k, (slice(None), *[slice(t * d, t * d + s * (o - 1) + 1, s) for t, o, s, d in axes])


def window_at(x, starts, lengths):
    """The index of the window at starts[b...] for each place b...; moved inside x."""
    lead = x.ndim - len(starts)
    for b in itertools.product(*map(range, x.shape[:lead])):
        parts = []
        for start, n, w in zip(starts, x.shape[lead:], lengths, strict=True):
            at = int(start[b])
            at = max(0, min(at + n if at < 0 else at, n - w))
            parts.append(slice(at, at + w))
        yield (*b, *parts)


def scan(body, consts, carries, slices, stacked, steps):
    """Runs a body for some steps: carries go from one to the next, further results are stacked."""
    for t in steps:
        found = body(*consts, *carries, *[x[t] for x in slices])
        carries = found[: len(carries)]
        for array, part in zip(stacked, found[len(carries) :], strict=True):
            array[t] = part
    return (*carries, *stacked)


def while_loop(condition, body, consts, carries, slices, stacked, steps):
    """The same as long as a condition of constants and carries holds."""
    for t in steps:
        (goes_on,) = condition(*consts, *carries)
        if not goes_on:
            break
        carries = scan(body, consts, carries, slices, stacked, [t])[: len(carries)]
    return (*carries, *stacked)
