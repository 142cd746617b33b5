"""Flow: estimators against known motion and ground truth, direction, low-resolution copies."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal.errors import DataError
from dynsal.flow import estimator, fields, resize_field, shrink
from dynsal.prepare import Frame, stride_for, wanted_frames, working_frames

NAMES = ("deepflow", "dis", "farneback")


def texture(height=96, width=128, seed=0):
    """Return smooth random texture larger than needed, as uint8."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 2)
    return np.clip(127 + 60 * noise / noise.std(), 0, 255).astype(np.uint8)


def moved(u, v, size=(96, 128)):
    """Return two grey frames between which everything moves by (u, v) pixels."""
    big = texture(size[0] + 40, size[1] + 40)
    second = cv2.warpAffine(big, np.float32([[1, 0, u], [0, 1, v]]), big.shape[::-1], flags=cv2.INTER_LINEAR)
    crop = slice(20, -20)
    return np.ascontiguousarray(big[crop, crop]), np.ascontiguousarray(second[crop, crop])


@pytest.mark.parametrize("name", NAMES)
def test_recovers_a_known_translation(name):
    """U is positive to the right, v downwards, in pixels of the frame."""
    first, second = moved(2.0, -1.0)
    inner = estimator(name)(first, second)[16:-16, 16:-16]
    np.testing.assert_allclose(np.median(inner, axis=(0, 1)), [2.0, -1.0], atol=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_does_not_depend_on_the_number_of_threads(name):
    """The same pair gives the same bits with one and two threads, and on a second call."""
    first, second = moved(1.5, 0.5)
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = estimator(name)(first, second).copy()
        cv2.setNumThreads(2)
        estimate = estimator(name)
        two, again = estimate(first, second).copy(), estimate(first, second).copy()
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, again)


@pytest.mark.data
@pytest.mark.parametrize(("name", "published"), [("deepflow", 0.120), ("dis", 0.223), ("farneback", 0.361)])
def test_end_point_error_on_rubberwhale(mirror, name, published):
    """Real frames with ground truth (Middlebury): the end-point errors of docs and literature come out."""
    folder = mirror / "flow" / "rubberwhale"
    frames = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(folder.glob("*.png"))]
    truth = cv2.readOpticalFlow(str(next(folder.glob("*.flo"))))
    known = (np.abs(truth) < 1e9).all(axis=2)
    assert known.mean() == pytest.approx(0.984, abs=0.001)
    error = np.linalg.norm(estimator(name)(frames[0], frames[1]) - truth, axis=2)[known].mean()
    assert error == pytest.approx(published, abs=0.002)


def sequence(count, step=1):
    """Return grey-level-coded frames: frame i has level 10 * i."""
    levels = (np.full((32, 32, 3), 10 * i, np.uint8) for i in range(count))
    wanted = wanted_frames(1, step, neighbours=True)
    decoded = ((i / 10, level if wanted(i) else None) for i, level in enumerate(levels))
    return working_frames(decoded, (32, 32), stride=1, step=step)


def level_pair(first, second):
    """Stand in for an estimator: report which two frames were compared, as levels / 10."""
    return np.stack([np.full((32, 32), first[0, 0] / 10), np.full((32, 32), second[0, 0] / 10)], axis=2)


def compared(count, direction, step=1):
    """Return {kept frame: (grid frame, other frame)}."""
    return {
        frame.index: tuple(round(float(value)) for value in field[0, 0])
        for frame, field in fields(sequence(count, step), level_pair, direction)
    }


def test_forward_pairs():
    """T to t+1 on the grid of t; the last repeats the one before it."""
    assert compared(4, "forward") == {0: (0, 1), 1: (1, 2), 2: (2, 3), 3: (2, 3)}


def test_backward_pairs():
    """T to t-1 on the grid of t; the first repeats the one after it."""
    assert compared(4, "backward") == {0: (1, 0), 1: (1, 0), 2: (2, 1), 3: (3, 2)}


@given(count=st.integers(2, 14), step=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_a_step_changes_which_frames_but_not_their_flow(count, step):
    """Keeping every n-th frame leaves each kept frame's flow as it was."""
    for direction in ("forward", "backward"):
        every = compared(count, direction)
        assert compared(count, direction, step) == {i: every[i] for i in range(0, count, step)}


def test_one_frame_has_no_flow():
    """A video of one frame is refused with its name."""
    with pytest.raises(DataError, match=r"clip\.avi: fewer than two frames"):
        list(fields(sequence(1), level_pair, "forward", "clip.avi"))


def test_too_small_for_a_pyramid():
    """Tiny frames are refused instead of crashing inside OpenCV."""
    tiny = [Frame(i, 0.0, np.zeros((8, 8, 3), np.uint8), True) for i in range(2)]
    with pytest.raises(DataError, match="too small"):
        list(fields(tiny, level_pair, "forward", "clip.avi"))


@given(factor=st.sampled_from([1, 2, 4]), seed=st.integers(0, 10))
@settings(max_examples=20, deadline=None)
def test_shrink_is_the_cell_mean_divided_by_the_factor(factor, seed):
    """Against numpy; and the copy's magnitude never exceeds the mean magnitude of its cell over the factor."""
    flow = np.random.default_rng(seed).normal(0, 5, (16, 24, 2)).astype(np.float32)
    cells = flow.reshape(16 // factor, factor, 24 // factor, factor, 2)
    small = shrink(flow, factor)
    np.testing.assert_allclose(small, cells.mean(axis=(1, 3)) / factor, atol=1e-5)
    magnitude = np.linalg.norm(cells, axis=4).mean(axis=(1, 3)) / factor
    assert (np.linalg.norm(small, axis=2) <= magnitude + 1e-5).all()


def test_shrink_refuses_a_remainder():
    """No silent cropping."""
    with pytest.raises(ValueError, match="cannot be divided"):
        shrink(np.zeros((15, 24, 2), np.float32), 2)


def test_resizing_scales_each_component_by_its_own_ratio():
    """U by the width's, v by the height's."""
    flow = np.dstack([np.full((20, 40), 4.0), np.full((20, 40), 2.0)]).astype(np.float32)
    np.testing.assert_allclose(resize_field(flow, (20, 5))[2, 3], [2.0, 0.5])


@pytest.mark.parametrize(
    ("fps", "target", "stride"),
    [(24, 30, 1), (25, 30, 1), (50, 30, 2), (60, 30, 2), (20, 30, 1), (60, None, 1)],
)
def test_stride(fps, target, stride):
    """The rates of hevc33 end between 20 and 30 frames per second."""
    assert stride_for(fps, target) == stride


def test_thinning_then_stepping():
    """Stride 2 and step 3 keep every sixth source frame, and mark only these as kept."""
    wanted = wanted_frames(2, 3, neighbours=True)
    decoded = ((i / 10, np.zeros((8, 8, 3), np.uint8) if wanted(i) else None) for i in range(14))
    frames = list(working_frames(decoded, (8, 8), stride=2, step=3))
    assert [frame.index for frame in frames if frame.kept] == [0, 6, 12]
    assert [frame.index for frame in frames] == [0, 2, 4, 6, 8, 10, 12]
