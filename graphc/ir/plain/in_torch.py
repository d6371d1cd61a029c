"""What PyTorch lacks, in PyTorch. Images have their channels last."""

from __future__ import annotations

import numpy as np
import torch

from graphc.ir.plain.in_either import taps, window_at


def place(x, fill, shape, starts, steps):
    """x inside a larger tensor of `fill`: element i lies at starts + i * steps."""
    out = torch.full(shape, fill, dtype=x.dtype)
    axes = zip(x.shape, starts, steps, strict=True)
    places = [start + step * torch.arange(n) for n, start, step in axes]
    out[torch.meshgrid(*places, indexing="ij") if places else ...] = x
    return out


def custom(function, dtypes, *arrays):
    """The results of a NumPy function of one's own, in the dtypes that it declares."""
    found = function(*[a.numpy() for a in arrays])
    results = found if isinstance(found, (tuple, list)) else (found,)
    made = [torch.from_numpy(np.array(r)) for r in results]
    return tuple(r.to(d) for r, d in zip(made, dtypes, strict=True))


def rows_at(places, shape):
    """The numbers of some places of the first axes in row-major order."""
    places = torch.broadcast_tensors(*places)
    rows = torch.zeros_like(places[0])
    for p, n in zip(places, shape, strict=False):
        rows = rows * n + torch.where(p < 0, p + n, p).clamp(0, n - 1)
    return rows.reshape(-1)


def scatter(how, x, updates, places):
    """x combined with updates at some places, by the name of a reduction."""
    rows, rest = rows_at(places, x.shape), x.shape[len(places) :]
    flat = x.reshape(x.shape[: len(places)].numel(), *rest)
    at = rows.reshape(-1, *[1] * len(rest)).expand(len(rows), *rest)
    return flat.scatter_reduce(0, at, updates.reshape(at.shape), how).reshape(x.shape)


def scatter_set(x, updates, places):
    """x with updates at some places; the last one at a place wins."""
    rows, rest = rows_at(places, x.shape), x.shape[len(places) :]
    out = x.clone().reshape(x.shape[: len(places)].numel(), *rest)
    last = torch.full((len(out),), -1)
    last = last.scatter_reduce(0, rows, torch.arange(len(rows)), "amax")
    out[last >= 0] = updates.reshape(len(rows), *rest)[last[last >= 0]]
    return out.reshape(x.shape)


def dynamic_slice(x, starts, lengths):
    """The windows of some lengths that begin at starts[b...], moved inside x."""
    lead = x.shape[: x.ndim - len(starts)]
    out = torch.zeros((*lead, *lengths), dtype=x.dtype)
    for place in window_at(x, starts, lengths):
        out[place[: len(lead)]] = x[place]
    return out


def dynamic_update_slice(x, update, starts):
    """x with the windows that begin at starts[b...] replaced by an update."""
    out = x.clone()
    lead = x.ndim - len(starts)
    for place in window_at(x, starts, update.shape[lead:]):
        out[place] = update[place[:lead]]
    return out


def padded(x, padding, fill):
    """x with `fill` around its spatial axes."""
    last_first = [p for pair in reversed(padding) for p in pair]
    return torch.nn.functional.pad(x, [0, 0, *last_first], value=fill)


def conv(x, w, strides, padding, dilation, groups):
    """y[n, o..., f] of images x[n, i..., c] and kernels w[k..., c, f]."""
    library = torch.nn.functional
    function = (library.conv1d, library.conv2d, library.conv3d)[len(strides) - 1]
    x = padded(x, padding, 0).movedim(-1, 1)
    y = function(x, w.movedim((-1, -2), (0, 1)), None, strides, 0, dilation, groups)
    return y.movedim(1, -1)


def conv_input_grad(w, y, extents, strides, padding, dilation, groups):
    """x[n, i..., c] of kernels w[k..., c, f] and y[n, o..., f]: the transpose of `conv`."""
    library = torch.nn.grad
    function = (library.conv1d_input, library.conv2d_input, library.conv3d_input)[len(strides) - 1]
    around = [n + sum(pair) for n, pair in zip(extents, padding, strict=True)]
    shape = (len(y), w.shape[-2] * groups, *around)
    w, y = w.movedim((-1, -2), (0, 1)), y.movedim(-1, 1)
    x = function(shape, w, y, strides, 0, dilation, groups)
    inside = [slice(before, before + n) for n, (before, _) in zip(extents, padding, strict=True)]
    return x[(slice(None), slice(None), *inside)].movedim(1, -1)


def conv_weight_grad(x, y, extents, strides, padding, dilation, groups):
    """w[k..., c, f] of images x[n, i..., c] and y[n, o..., f]."""
    library = torch.nn.grad
    choice = (library.conv1d_weight, library.conv2d_weight, library.conv3d_weight)
    shape = (y.shape[-1], x.shape[-1] // groups, *extents)
    x, y = padded(x, padding, 0).movedim(-1, 1), y.movedim(-1, 1)
    w = choice[len(strides) - 1](x, shape, y, strides, 0, dilation, groups)
    return w.movedim((0, 1), (-1, -2))


def windows(x, kernel, strides, dilation):
    """All windows [n, o..., k..., c] of x[n, i..., c]."""
    for axis, (k, s, d) in enumerate(zip(kernel, strides, dilation, strict=True), 1):
        x = x.unfold(axis, (k - 1) * d + 1, s)[..., ::d]
    return x.movedim(1 + len(kernel), -1)


def fold(x, extents, strides, dilation):
    """The sum of all windows x[n, o..., k..., c] at their places: the transpose of `windows`."""
    d = len(extents)
    out = torch.zeros((len(x), *extents, x.shape[-1]), dtype=x.dtype)
    for k, place in taps(x.shape[1 : 1 + d], x.shape[1 + d : -1], strides, dilation):
        out[place] += x[(slice(None),) * (1 + d) + k]
    return out


def max_pool(x, kernel, strides, padding):
    """The largest element of each window of x[n, i..., c]."""
    lowest = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    every = windows(padded(x, padding, lowest), kernel, strides, [1] * len(kernel))
    return every.amax(tuple(range(1 + len(kernel), every.ndim - 1)))


def max_pool_taps(x, kernel, strides, bits):
    """The number of the first largest element of each window, in so many bits: that of channel
    j + q * h is in bits q * bits of element j, h = ceil(channels / (8 / bits)).
    """
    d, parts = len(kernel), max(1, 8 // bits)
    taps = windows(x, kernel, strides, [1] * d).movedim(-1, 1 + d).flatten(2 + d).argmax(-1)
    taps = torch.nn.functional.pad(taps, (0, -taps.shape[-1] % parts))
    taps = taps.unflatten(-1, (parts, taps.shape[-1] // parts))
    return (taps << bits * torch.arange(parts)[:, None]).sum(-2)


def max_pool_spread(taps, g, kernel, bits):
    """g[n, o..., c] at the tap of each window that is named, zero elsewhere:
    out[n, o1, k1, o2, k2, ..., c].
    """
    d, parts = len(kernel), max(1, 8 // bits)
    named = taps[..., None, :].long() >> bits * torch.arange(parts)[:, None]
    named = (named % (1 << bits)).flatten(-2)[..., : g.shape[-1]]
    chosen = named[..., None] == torch.arange(torch.Size(kernel).numel())
    given = torch.where(chosen, g[..., None], 0).reshape(*g.shape, *kernel)
    between = [a for k in range(d) for a in (1 + k, 2 + d + k)]
    return given.permute(0, *between, 1 + d)


def searchsorted(rows, values, side):
    """For ascending rows[b..., n] where each of values[b..., m...] belongs."""
    lead = rows.ndim - 1
    flat = values.reshape(*rows.shape[:lead], values.shape[lead:].numel())
    return torch.searchsorted(rows.contiguous(), flat, side=side).reshape(values.shape)


def recurrence(a, b, axis):
    """h[0] = b[0], h[k] = a[k] * h[k-1] + b[k] along an axis, carried in double."""
    factors, terms = (v.movedim(axis, 0).double() for v in (a, b))
    h = torch.empty_like(terms)
    for k in range(len(h)):
        h[k] = factors[k] * h[k - 1] + terms[k] if k else terms[k]
    return h.movedim(0, axis).to(a.dtype)


def lu(a):
    """L below the diagonal and U in one matrix, the pivot of each step, and the order of rows."""
    packed, pivots, _ = torch.linalg.lu_factor_ex(a)
    order = torch.lu_unpack(packed, pivots)[0].argmax(-2)
    return packed, pivots.long() - 1, order


def random_bits(key, shape):
    """Uniform uint32 of a key uint32[..., 2]: element e is word e % 4 of Philox4x32-10 block e // 4
    (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
    """
    low, size = 0xFFFFFFFF, torch.Size(shape).numel()
    block = torch.arange(-(-size // 4))
    k0, k1 = key.long()[..., None, :].unbind(-1)
    c0, c1, c2, c3 = block, block * 0, block * 0, block * 0
    for turn in range(10):
        # Products wrap at 64 bits, which leaves their bits right.
        p0, p1 = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        key0, key1 = (k0 + turn * 0x9E3779B9) & low, (k1 + turn * 0xBB67AE85) & low
        c0, c1 = (p1 >> 32 & low) ^ c1 ^ key0, p1 & low
        c2, c3 = (p0 >> 32 & low) ^ c3 ^ key1, p0 & low
    words = torch.stack(torch.broadcast_tensors(c0, c1, c2, c3), -1)
    flat = words.reshape((*key.shape[:-1], 4 * len(block)))[..., :size]
    return flat.reshape((*key.shape[:-1], *shape)).to(torch.uint32)


def softmax(x, axes):
    """exp(x) over its sum along some axes."""
    e = torch.exp(x - torch.amax(x, dim=axes, keepdim=True))
    return e / torch.sum(e, dim=axes, keepdim=True)


def log_softmax(x, axes):
    """The logarithm of softmax, without underflow."""
    return x - torch.logsumexp(x, dim=axes, keepdim=True)
