"""What NumPy lacks, in NumPy. Images have their channels last."""

from __future__ import annotations

import numpy as np

from graphc.ir.plain.in_either import taps, window_at


def place(x, fill, shape, starts, steps):
    """x inside a larger array of `fill`: element i lies at starts + i * steps."""
    out = np.full(shape, fill, x.dtype)
    axes = zip(x.shape, starts, steps, strict=True)
    places = [start + step * np.arange(n) for n, start, step in axes]
    out[np.ix_(*places) if places else ...] = x
    return out


def each(function, x):
    """A function of numbers for every element, in double."""
    return np.vectorize(function, otypes=[np.float64])(x).astype(x.dtype)


def custom(function, dtypes, *arrays):
    """The results of a function of one's own, in the dtypes that it declares."""
    found = function(*arrays)
    results = found if isinstance(found, (tuple, list)) else (found,)
    return tuple(np.asarray(r).astype(d) for r, d in zip(results, dtypes, strict=True))


def scatter(ufunc, x, updates, places):
    """x combined with updates at some places, one after another."""
    out = x.copy()
    ufunc.at(out, places, updates)
    return out


def scatter_set(x, updates, places):
    """x with updates at some places; the last one at a place wins."""
    out = x.copy()
    if updates.size:
        places = [p.reshape(-1) for p in np.broadcast_arrays(*places)]
        inside = [np.where(p < 0, p + n, p) for p, n in zip(places, x.shape, strict=False)]
        rows = np.ravel_multi_index(inside, x.shape[: len(places)])
        rest = x.shape[len(places) :]
        # The first occurrence in reversed order is the last one.
        rows, last = np.unique(rows[::-1], return_index=True)
        out.reshape(-1, *rest)[rows] = updates.reshape(-1, *rest)[::-1][last]
    return out


def dynamic_slice(x, starts, lengths):
    """The windows of some lengths that begin at starts[b...], moved inside x."""
    windows = [x[place] for place in window_at(x, starts, lengths)]
    lead = x.shape[: x.ndim - len(starts)]
    return np.array(windows, x.dtype).reshape((*lead, *lengths))


def dynamic_update_slice(x, update, starts):
    """x with the windows that begin at starts[b...] replaced by an update."""
    out = x.copy()
    lead = x.ndim - len(starts)
    places = window_at(x, starts, update.shape[lead:])
    for b, place in zip(np.ndindex(x.shape[:lead]), places, strict=True):
        out[place] = update[b]
    return out


def conv(x, w, strides, padding, dilation, groups):
    """y[n, o..., f] of images x[n, i..., c] and kernels w[k..., c, f]."""
    x = np.pad(x, [(0, 0), *padding, (0, 0)])
    x = x.reshape(*x.shape[:-1], groups, w.shape[-2])
    w = w.reshape(*w.shape[:-1], groups, w.shape[-1] // groups)
    axes = zip(x.shape[1:], w.shape, strides, dilation, strict=False)
    counts = [(n - (k - 1) * d - 1) // s + 1 for n, k, s, d in axes]
    y = np.zeros((len(x), *counts, *w.shape[-2:]), x.dtype)
    for k, place in taps(counts, w.shape[:-3], strides, dilation):
        y += np.einsum("...gc,cgf->...gf", x[place], w[k])
    return y.reshape(*y.shape[:-2], y.shape[-2] * y.shape[-1])


def conv_input_grad(w, y, extents, strides, padding, dilation, groups):
    """x[n, i..., c] of kernels w[k..., c, f] and y[n, o..., f]: the transpose of `conv`."""
    w = w.reshape(*w.shape[:-1], groups, w.shape[-1] // groups)
    y = y.reshape(*y.shape[:-1], *w.shape[-2:])
    padded = [n + sum(pair) for n, pair in zip(extents, padding, strict=True)]
    x = np.zeros((len(y), *padded, groups, w.shape[-3]), y.dtype)
    for k, place in taps(y.shape[1:-2], w.shape[:-3], strides, dilation):
        x[place] += np.einsum("cgf,...gf->...gc", w[k], y)
    inside = [slice(before, before + n) for n, (before, _) in zip(extents, padding, strict=True)]
    return x[(slice(None), *inside)].reshape(len(y), *extents, groups * w.shape[-3])


def conv_weight_grad(x, y, extents, strides, padding, dilation, groups):
    """w[k..., c, f] of images x[n, i..., c] and y[n, o..., f]."""
    x = np.pad(x, [(0, 0), *padding, (0, 0)])
    x = x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)
    y = y.reshape(*y.shape[:-1], groups, y.shape[-1] // groups)
    rows = int(np.prod(y.shape[:-2]))
    w = np.zeros((*extents, x.shape[-1], *y.shape[-2:]), x.dtype)
    for k, place in taps(y.shape[1:-2], extents, strides, dilation):
        part = x[place].reshape(rows, *x.shape[-2:])
        w[k] = np.einsum("ngc,ngf->cgf", part, y.reshape(rows, *y.shape[-2:]))
    return w.reshape(*w.shape[:-2], w.shape[-2] * w.shape[-1])


def windows(x, kernel, strides, dilation):
    """All windows [n, o..., k..., c] of x[n, i..., c]."""
    axes = tuple(range(1, x.ndim - 1))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    every = np.lib.stride_tricks.sliding_window_view(x, reach, axes)
    outer, inner = ([slice(None, None, s) for s in steps] for steps in (strides, dilation))
    return np.moveaxis(every[(slice(None), *outer, slice(None), *inner)], len(axes) + 1, -1)


def fold(x, extents, strides, dilation):
    """The sum of all windows x[n, o..., k..., c] at their places: the transpose of `windows`."""
    d = len(extents)
    out = np.zeros((len(x), *extents, x.shape[-1]), x.dtype)
    for k, place in taps(x.shape[1 : 1 + d], x.shape[1 + d : -1], strides, dilation):
        out[place] += x[(slice(None),) * (1 + d) + k]
    return out


def max_pool(x, kernel, strides, padding):
    """The largest element of each window of x[n, i..., c]."""
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    x = np.pad(x, [(0, 0), *padding, (0, 0)], constant_values=lowest)
    every = windows(x, kernel, strides, [1] * len(kernel))
    return every.max(tuple(range(1 + len(kernel), every.ndim - 1)))


def max_pool_taps(x, kernel, strides, bits):
    """The number of the first largest element of each window, in so many bits: that of channel
    j + q * h is in bits q * bits of element j, h = ceil(channels / (8 / bits)).
    """
    d, parts = len(kernel), max(1, 8 // bits)
    every = np.moveaxis(windows(x, kernel, strides, [1] * d), -1, 1 + d)
    taps = every.reshape(*every.shape[: 2 + d], int(np.prod(kernel))).argmax(-1)
    taps = np.pad(taps, [(0, 0)] * (1 + d) + [(0, -taps.shape[-1] % parts)])
    taps = taps.reshape(*taps.shape[:-1], parts, taps.shape[-1] // parts)
    return (taps << bits * np.arange(parts)[:, None]).sum(-2)


def max_pool_spread(taps, g, kernel, bits):
    """g[n, o..., c] at the tap of each window that is named, zero elsewhere:
    out[n, o1, k1, o2, k2, ..., c].
    """
    d, parts = len(kernel), max(1, 8 // bits)
    named = taps[..., None, :].astype(np.int64) >> bits * np.arange(parts)[:, None]
    named = named.reshape(*taps.shape[:-1], parts * taps.shape[-1]) % (1 << bits)
    named = named[..., : g.shape[-1]]
    chosen = named[..., None] == np.arange(int(np.prod(kernel)))
    given = np.where(chosen, g[..., None], 0).astype(g.dtype).reshape(*g.shape, *kernel)
    between = [a for k in range(d) for a in (1 + k, 2 + d + k)]
    return given.transpose(0, *between, 1 + d)


def argsort_descending(x, axis):
    """Places in descending order, equal elements in their order, NaN first."""
    turned = np.argsort(np.flip(x, axis), axis, kind="stable")
    return x.shape[axis] - 1 - np.flip(turned, axis)


def searchsorted(rows, values, side):
    """For ascending rows[b..., n] where each of values[b..., m...] belongs."""
    lead = rows.shape[:-1]
    found = np.zeros(values.shape, np.int64)
    for b in np.ndindex(*lead):
        found[b] = np.searchsorted(rows[b], values[b], side)
    return found


def recurrence(a, b, axis):
    """h[0] = b[0], h[k] = a[k] * h[k-1] + b[k] along an axis, carried in double."""
    factors, terms = (np.moveaxis(v, axis, 0).astype(np.float64) for v in (a, b))
    h = np.empty_like(terms)
    for k in range(len(h)):
        h[k] = factors[k] * h[k - 1] + terms[k] if k else terms[k]
    return np.moveaxis(h, 0, axis).astype(a.dtype)


def lu(a):
    """L below the diagonal and U in one matrix, the pivot of each step, and the order of rows."""
    lu = a.copy()
    n = a.shape[-1]
    pivots, order = (np.zeros(a.shape[:-1], np.int64) for _ in range(2))
    for b in np.ndindex(a.shape[:-2]):
        matrix, rows = lu[b], np.arange(n)
        for j in range(n):
            pivot = j + int(np.argmax(np.nan_to_num(np.abs(matrix[j:, j]), nan=-1.0)))
            pivots[(*b, j)] = pivot
            matrix[[j, pivot]] = matrix[[pivot, j]]
            rows[[j, pivot]] = rows[[pivot, j]]
            if matrix[j, j] != 0:
                matrix[j + 1 :, j] /= matrix[j, j]
                matrix[j + 1 :, j + 1 :] -= np.outer(matrix[j + 1 :, j], matrix[j, j + 1 :])
        order[b] = rows
    return lu, pivots, order


def philox(key, block, high=0):
    """The words uint32[..., 4] of the blocks whose 128-bit counter is `block` + 2^64 * `high`; key
    is uint32[..., 2], its leading axes broadcast against those of `block` (uint64).

    Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    block, high = np.asarray(block, np.uint64), np.asarray(high, np.uint64)
    c0, c1, c2, c3 = block & low, block >> half, high & low, high >> half
    k0, k1 = key[..., 0].astype(np.uint64), key[..., 1].astype(np.uint64)
    for turn in range(10):
        # 32-bit factors, so that 64-bit products are exact.
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        key0 = (k0 + np.uint64(turn * 0x9E3779B9)) & low
        key1 = (k1 + np.uint64(turn * 0xBB67AE85)) & low
        c0, c1 = (p1 >> half) ^ c1 ^ key0, p1 & low
        c2, c3 = (p0 >> half) ^ c3 ^ key1, p0 & low
    return np.stack(np.broadcast_arrays(c0, c1, c2, c3), -1).astype(np.uint32)


def random_bits(key, shape):
    """Uniform uint32 of a key uint32[..., 2]: element e is word e % 4 of Philox block e // 4."""
    size = int(np.prod(shape))
    words = philox(key[..., None, :], np.arange(-(-size // 4), dtype=np.uint64))
    flat = words.reshape((*key.shape[:-1], -(-size // 4) * 4))[..., :size]
    return flat.reshape((*key.shape[:-1], *shape))


def gelu_tanh(x):
    """x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))), with the digits that 1 + tanh loses."""
    return x / (1 + np.exp(-1.5957691216057308 * x * (1 + 0.044715 * x * x)))


def softmax(x, axes):
    """exp(x) over its sum along some axes."""
    e = np.exp(x - np.max(x, axis=axes, keepdims=True))
    return e / np.sum(e, axis=axes, keepdims=True)


def log_softmax(x, axes):
    """The logarithm of softmax, without underflow."""
    z = x - np.max(x, axis=axes, keepdims=True)
    return z - np.log(np.sum(np.exp(z), axis=axes, keepdims=True))
