"""Motion summed over five frames: along paths, without the camera, every field once."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal.errors import DataError
from dynsal.flow import estimator
from dynsal.prepare import Frame
from dynsal.summed_motion import SIZE, SPAN, chain, labelled

HEIGHT, WIDTH = 96, 128


def still(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.zeros((height, width, 2), np.float32)


def test_size_and_span_are_the_papers():
    assert (SIZE, SPAN) == ((320, 240), 5)


def test_without_motion_there_is_no_sum():
    assert np.abs(chain([still()] * 5)).max() < 1e-9


def walked(fields: list[np.ndarray]) -> np.ndarray:
    """Return the sums along paths, one pixel after the other, for whole vectors that stay in the picture."""
    total = np.zeros_like(fields[0])
    for start in np.ndindex(HEIGHT, WIDTH):
        y, x = start
        for field in fields:
            u, v = field[y, x]
            total[start] += (u, v)
            y, x = y + int(v), x + int(u)
    return total


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([(2, 0), (-2, 0), (0, 2), (0, -2), (2, -2), (3, 1)]), min_size=1, max_size=5))
def test_vectors_are_summed_along_paths(steps):
    """A square on a resting ground; ground that it passes over is carried along for that time.

    Steps exceed a pixel, the tolerance of the homography, so that it cannot take the square for the ground.
    """
    top, left, side = 40, 50, 24
    fields, x, y = [], left, top
    for u, v in steps:
        field = still()
        field[y : y + side, x : x + side] = (u, v)
        fields.append(field)
        x, y = x + u, y + v
    summed = chain(fields)
    np.testing.assert_allclose(summed, walked(fields), atol=1e-4)
    square = summed[top : top + side, left : left + side]
    np.testing.assert_allclose(square, np.broadcast_to(np.sum(steps, axis=0), square.shape), atol=1e-4)


@settings(max_examples=10, deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3))
def test_a_pan_is_followed_but_not_counted(u, v):
    """Paths move with the camera (the square is met again), but only the square's own motion is summed."""
    own = np.array([2.0, 1.0])
    fields, place = [], np.array([50.0, 40.0])
    for _ in range(5):
        field = still() + np.array([u, v], np.float32)
        x, y = np.round(place).astype(int)
        field[y : y + 20, x : x + 20] += own.astype(np.float32)
        fields.append(field)
        place = place + own + (u, v)
    inside = chain(fields)[43:57, 53:67]
    np.testing.assert_allclose(inside, np.broadcast_to(5 * own, inside.shape), atol=0.05)


def test_a_path_that_leaves_the_picture_goes_on_with_its_border():
    """At the right border a square leaves; its last vectors are repeated."""
    field = still()
    field[40:60, WIDTH - 20 :] = (8, 0)
    summed = chain([field] * 3)
    np.testing.assert_allclose(summed[45:55, WIDTH - 15 :, 0], 24, atol=1e-3)


def video(n: int) -> list[Frame]:
    """Return frames with a textured square that goes right by 3 pixels a frame on a textured ground."""
    rng = np.random.default_rng(0)
    width, height = SIZE
    ground, thing = (
        cv2.GaussianBlur(rng.integers(0, 256, (*shape, 3)).astype(np.uint8), (0, 0), 2)
        for shape in ((height, width), (80, 80))
    )
    frames = []
    for k in range(n):
        bgr = ground.copy()
        bgr[80:160, 100 + 3 * k : 180 + 3 * k] = thing
        frames.append(Frame(k, k / 25, bgr, True))
    return frames


def constant(calls: list[tuple[int, int]]):
    """Return an estimator that notes its arguments (a grey value tells the frame) and finds no motion."""

    def estimate(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        calls.append((int(before[0, 0]), int(after[0, 0])))
        return np.zeros((*before.shape, 2), np.float32)

    return estimate


def numbered(n: int) -> list[Frame]:
    return [Frame(k, k / 25, np.full((16, 24, 3), k, np.uint8), True) for k in range(n)]


@settings(max_examples=30, deadline=None)
@given(st.integers(SPAN + 1, 40), st.integers(1, 12))
def test_every_nth_frame_with_five_successors_gets_a_label_and_no_field_is_computed_twice(n, step):
    calls: list[tuple[int, int]] = []
    labels = list(labelled(numbered(n), constant(calls), step, "clip"))
    chosen = list(range(0, n - SPAN, step))
    assert [label.frame.index for label in labels] == chosen
    needed = sorted({(k, k + 1) for first in chosen for k in range(first, first + SPAN)})
    assert sorted(calls) == needed


def test_a_label_is_the_chain_of_the_fields_that_follow():
    frames = video(8)
    estimate = estimator("farneback")
    greys = [cv2.cvtColor(frame.bgr, cv2.COLOR_BGR2GRAY) for frame in frames]
    fields = [estimate(before, after) for before, after in pairwise(greys)]
    labels = list(labelled(iter(frames), estimate, 2, "clip"))
    assert len(labels) == 2
    for label, first in zip(labels, (0, 2), strict=True):
        np.testing.assert_array_equal(label.motion, chain(fields[first : first + SPAN]))
        np.testing.assert_array_equal(label.frame.bgr, frames[first].bgr)


def test_a_real_estimator_sees_the_square_move_by_fifteen_pixels_in_five_frames():
    (label,) = labelled(video(6), estimator("dis"), 5, "clip")
    inside = label.motion[90:150, 110:160]
    assert abs(np.median(inside[..., 0]) - 15) < 0.5
    assert abs(np.median(inside[..., 1])) < 0.5
    assert np.abs(np.median(label.motion[180:], axis=(0, 1))).max() < 0.1


@pytest.mark.parametrize("n", [0, 1, 5])
def test_a_video_without_five_successors_is_refused(n):
    with pytest.raises(DataError, match=rf"clip: has {n} frames .after thinning., too few"):
        list(labelled(numbered(n), constant([]), 1, "clip"))
