"""More elements than 32 bits count. The array's pages are never written but for one, so that the
system backs them all with a single page of zeros.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

import graphc as gx

COUNT = 2**31 + 4099
PLACE = COUNT - 3


@pytest.fixture(scope="module")
def large():
    if os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 4 * 2**30:
        pytest.skip("less than 4 GiB of free memory")
    x = np.zeros(COUNT, np.uint8)
    x[PLACE] = 9
    return x


@pytest.mark.parametrize("threads", [1, 3])
def test_positions_beyond_31_bits(large, threads):
    def fn(x, at):
        return {
            "argmax": gx.argmax(x),
            "max": gx.max(x),
            "found": gx.sum(gx.astype(x == 9, "int64")),
            "taken": gx.take(x, at),
            "tail": x[-5:] * 2,
        }

    at = np.array([PLACE, PLACE - 1, -3], np.int64)
    lowered = gx.trace(fn, large, at).lower(threads=threads)
    assert lowered.memory.peak_bytes < COUNT // 32
    got = lowered.compile()(large, at)
    assert got["argmax"] == PLACE
    assert got["max"] == 9
    assert got["found"] == 1
    assert got["taken"].tolist() == [9, 0, 9]
    assert got["tail"].tolist() == [0, 0, 18, 0, 0]
