"""Blocks of a stream: their sizes, their overlap, and how little is held."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynsal.baselines.stream import blocks, same_size
from dynsal.errors import DataError
from dynsal.prepare import Frame


@given(st.data(), st.integers(0, 60), st.integers(2, 12))
def test_blocks_cover_the_stream_and_none_is_short(data, n, length):
    overlap = data.draw(st.integers(0, length - 1))
    held = list(blocks(range(n), length, overlap))
    covered: list[int] = []
    for block in held:
        assert block == list(range(block[0], block[0] + len(block)))
        shared = overlap if covered else 0
        assert block[:shared] == covered[len(covered) - shared :]
        assert block[-1] not in covered
        covered += [item for item in block if item not in covered]
    assert covered == list(range(n))
    assert all(len(block) == length for block in held[:-1])
    if n >= length:
        assert length / 2 <= len(held[-1]) <= max(1.5 * length, length + 1)
    else:
        assert len(held) == (n > 0)


def test_blocks_by_hand():
    assert [len(block) for block in blocks(range(10), 4)] == [4, 4, 2]
    assert [len(block) for block in blocks(range(9), 4)] == [4, 5]
    assert list(blocks(range(8), 4, 2)) == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]
    assert list(blocks(range(5), 4, 3)) == [[0, 1, 2, 3], [1, 2, 3, 4]]


def test_no_more_than_one_and_a_half_blocks_are_read_ahead():
    read = 0

    def stream():
        nonlocal read
        for item in range(100):
            read += 1
            yield item

    for number, block in enumerate(blocks(stream(), 10)):
        assert read <= 10 * number + 15
        assert block[0] == 10 * number


def frame(index: int, height: int, width: int) -> Frame:
    return Frame(index, index / 30, np.zeros((height, width, 3), np.uint8), True)


def test_frames_of_another_size_are_refused():
    frames = same_size([frame(0, 4, 6), frame(5, 6, 4)])
    assert next(frames).index == 0
    with pytest.raises(DataError, match="frame 5: has 4x6 pixels, the first one 6x4"):
        next(frames)


def test_frames_without_pixels_are_refused():
    with pytest.raises(DataError, match="frame 0: has 0x4 pixels"):
        next(same_size([frame(0, 4, 0)]))
