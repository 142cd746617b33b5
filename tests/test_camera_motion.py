"""The camera's share of a flow field: synthetic homographies, with and without things that move by themselves."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal.camera_motion import camera_field, pixel_grid, remove_camera

HEIGHT, WIDTH = 120, 160
PATCH = np.s_[40:80, 50:100]


def homography_flow(matrix: np.ndarray, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Return the flow of a homography by its definition, pixel by pixel: (x, y, 1) -> (X, Y, W) -> (X / W, Y / W)."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    moved = np.einsum("ij,jhw->ihw", matrix, np.stack([x, y, np.ones_like(x)]))
    return np.dstack([moved[0] / moved[2] - x, moved[1] / moved[2] - y])


@st.composite
def cameras(draw) -> np.ndarray:
    """Draw a pan, a turn, a zoom and a tilt such as happen between two frames."""
    angle, zoom = draw(st.floats(-0.03, 0.03)), draw(st.floats(0.96, 1.04))
    pan = [draw(st.floats(-6, 6)) for _ in range(2)]
    tilt = [draw(st.floats(-1e-4, 1e-4)) for _ in range(2)]
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    return np.array([[cos, -sin, pan[0]], [sin, cos, pan[1]], [*tilt, 1]])


def test_pixel_grid_holds_x_and_y():
    grid = pixel_grid(3, 4)
    assert grid.shape == (3, 4, 2)
    assert grid[2, 1].tolist() == [1, 2]


@settings(max_examples=25, deadline=None)
@given(cameras())
def test_a_camera_alone_leaves_nothing(matrix):
    flow = homography_flow(matrix)
    np.testing.assert_allclose(camera_field(flow), flow, atol=2e-2)
    assert np.abs(remove_camera(flow)).max() < 2e-2


@settings(max_examples=25, deadline=None)
@given(cameras(), st.floats(3, 10), st.floats(0, 2 * np.pi))
def test_a_moving_patch_keeps_its_own_motion_and_nothing_else_does(matrix, speed, heading):
    own = speed * np.array([np.cos(heading), np.sin(heading)])
    flow = homography_flow(matrix)
    flow[PATCH] += own
    left = remove_camera(flow)
    np.testing.assert_allclose(left[PATCH], np.broadcast_to(own, left[PATCH].shape), atol=5e-2)
    left[PATCH] = 0
    assert np.abs(left).max() < 5e-2


def test_noise_of_a_flow_estimator_does_not_matter():
    rng = np.random.default_rng(0)
    flow = homography_flow(np.array([[1.01, 0.005, 3], [-0.005, 1.01, -2], [2e-5, 0, 1]]))
    noisy = flow + 0.2 * rng.standard_normal(flow.shape)
    assert np.abs(camera_field(noisy) - flow).max() < 0.3


def test_without_a_dominant_motion_the_camera_rests():
    """Vectors at random fit no homography: they come back as they are."""
    flow = np.random.default_rng(0).uniform(-20, 20, (HEIGHT, WIDTH, 2)).astype(np.float32)
    assert not camera_field(flow).any()
    np.testing.assert_array_equal(remove_camera(flow), flow)


def test_a_horizon_within_the_picture_is_no_camera_motion():
    """Beside it the homography sends pixels anywhere; the field comes back as it is."""
    x, y = np.moveaxis(pixel_grid(96, 128), -1, 0)
    depth = 1 - x / 100.3
    flow = np.dstack([x / depth - x, y / depth - y]).astype(np.float32)
    assert np.abs(flow).max() > 1000
    np.testing.assert_array_equal(remove_camera(flow), flow)


def test_stillness_stays_still():
    """To far less than the 1/64 pixel that clips store."""
    assert np.abs(remove_camera(np.zeros((HEIGHT, WIDTH, 2), np.float16))).max() < 1e-9


@pytest.mark.parametrize("shape", [(1, 1), (4, 200), (8, 8), (12, 12)])
def test_fields_too_small_for_a_homography_come_back_as_they_are(shape):
    """Fewer than four matches, or all on one line."""
    flow = np.random.default_rng(1).normal(size=(*shape, 2)).astype(np.float32)
    np.testing.assert_array_equal(remove_camera(flow), flow)


def test_the_result_depends_on_nothing_but_the_field():
    """Neither on OpenCV's random state nor on what was computed before."""
    rng = np.random.default_rng(2)
    flow = homography_flow(np.eye(3)) + rng.uniform(-3, 3, (HEIGHT, WIDTH, 2))
    results = []
    for seed in (0, 1, 2**30):
        cv2.setRNGSeed(seed)
        camera_field(rng.normal(size=(HEIGHT, WIDTH, 2)))
        results.append(camera_field(flow))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_result_is_float32_and_the_input_unchanged():
    flow = homography_flow(np.array([[1, 0, 2.5], [0, 1, -1], [0, 0, 1]])).astype(np.float16)
    before = flow.copy()
    left = remove_camera(flow)
    assert left.dtype == np.float32
    assert left.shape == flow.shape
    np.testing.assert_array_equal(flow, before)
