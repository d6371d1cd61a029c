"""Where segments end: exact positions for passes small enough to follow by hand."""

from __future__ import annotations

import pytest

from graphc.schedule.segments import Forward


def forward(filled: list[int], crossing: list[int], computed: list[int] | None = None) -> Forward:
    """A pass of which only the bytes at each position matter."""
    made = Forward((), {}, frozenset())
    vars(made).update(filled=filled, crossing=crossing, computed=computed or filled)
    return made


EVEN = forward([4, 8, 12, 16], [1, 1, 1, 0])


@pytest.mark.parametrize(
    ("limit", "ends"),
    [
        # All at once; in two, the longer one first; a byte less, and the boundary counts too.
        (16, []),
        (15, [2]),
        (12, [2]),
        (11, [1]),
        (9, [1]),
        (8, [1, 2]),
        # Each boundary leaves less for the next segment.
        (7, [0, 1, 2]),
        (5, None),
        (4, None),
    ],
)
def test_segments_end_as_late_as_they_can(limit, ends):
    assert EVEN.within(limit) == ends


def test_a_segment_ends_where_little_is_kept():
    """Up to a tenth more counts as equal; what nothing crosses is no place for an end."""
    filled = [100, 110, 120, 130, 200]
    assert forward(filled, [30, 33, 34, 35, 0]).within(190) == [1]
    assert forward(filled, [30, 34, 34, 35, 0]).within(190) == [0]
    assert forward(filled, [0, 0, 5, 0, 0]).within(190) == [2]
    assert forward(filled, [0, 0, 0, 0, 0]).within(190) is None


def test_an_end_is_in_the_later_half_and_before_what_is_not_wanted():
    # 90 of 200 is less than half of what a segment may hold.
    assert forward([90, 120, 250], [1, 9, 0]).within(200) == [1]
    assert forward([100, 120, 250], [1, 9, 0]).within(200) == [0]
    # Nothing that is wanted is made at 1 and 2: the segment ends before.
    assert forward([80, 80, 80, 160], [3, 3, 3, 0]).within(120) == [0]


def test_the_least_limit_finds_segments_and_a_little_less_does_not():
    even = forward([64 * k for k in range(1, 65)], [64] * 63 + [0])
    found = even.within(even.smallest)
    assert found is not None
    assert even.within(even.smallest - 1 - even.smallest // 32) is None
    # √(2·64) values of 64 bytes, about.
    assert 64 * 11 <= even.smallest <= 64 * 13
    lengths = [b - a for a, b in zip([-1, *found], [*found, 63], strict=True)]
    assert lengths == sorted(lengths, reverse=True)
    assert forward([], []).smallest == 0


def test_equal_segments_end_nearest_to_equal_shares():
    computed = [10 * k for k in range(1, 13)]
    same = forward(computed, [1] * 11 + [0])
    assert same.equal(1) == []
    assert same.equal(2) == [5]
    assert same.equal(3) == [3, 7]
    assert same.equal(4) == [2, 5, 8]
    # The least to keep wins within a segment's length, not beyond it.
    assert forward(computed, [1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 1, 0]).equal(2) == [5]
    assert forward(computed, [9, 9, 1, 9, 9, 9, 9, 9, 1, 9, 9, 0]).equal(2) == [2]
    assert forward(computed, [40, 40, 40, 40, 33, 40, 40, 30, 1, 40, 40, 0]).equal(2) == [4]
    assert forward(computed, [0] * 12).equal(2) == []
    assert forward([], []).equal(3) == []
