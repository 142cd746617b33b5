"""ROC curves: against the definition, and their area against the metric."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal.metrics import sauc
from dynsal.roc import GRID, curve, mean_curve, spread

MAPS = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def points(rng, count, shape) -> np.ndarray:
    return np.stack([rng.integers(0, shape[1], count), rng.integers(0, shape[0], count)], axis=1).astype(
        float
    )


@given(MAPS, st.integers(1, 8), st.integers(1, 12), st.integers(1, 6))
@settings(max_examples=200, deadline=None)
def test_the_area_is_the_metric(rng, fixations, negatives, levels):
    """Exactly, on a grid that holds every rate and the points just below; ties and upright pieces included."""
    shape = (5, 6)
    saliency = rng.integers(0, levels, shape).astype(float)
    own, others = points(rng, fixations, shape), points(rng, negatives, shape)
    rates = np.arange(negatives + 1) / negatives
    grid = np.unique(np.concatenate([rates, np.maximum(rates - 1e-9, 0)]))
    found = curve(saliency, own, others, grid)
    assert (np.diff(found) >= -1e-9).all()
    assert found[-1] == 1
    assert np.trapezoid(found, grid) == pytest.approx(sauc(saliency, own, others), abs=1e-6)


def test_a_curve_by_hand():
    """Two fixations, one above all negatives and one below the first of two: up half, along half, up half."""
    saliency = np.array([[4.0, 3.0, 2.0, 1.0]])
    found = curve(saliency, [[0, 0], [2, 0]], [[1, 0], [3, 0]], np.array([0, 0.25, 0.5, 0.75, 1]))
    np.testing.assert_allclose(found, [0.5, 0.5, 1, 1, 1])


def test_ties_count_one_half():
    """A constant map is the diagonal."""
    np.testing.assert_allclose(curve(np.ones((3, 3)), [[0, 0]], [[1, 1], [2, 2]]), GRID)


def test_nothing_to_compare():
    none = np.empty((0, 2))
    assert np.isnan(curve(np.ones((3, 3)), none, [[1, 1]])).all()
    assert np.isnan(curve(np.ones((3, 3)), [[1, 1]], none)).all()


def test_the_mean_is_over_videos():
    """Of two frames and of one; a frame without a curve, and a video without any, do not count."""
    nan = np.full(3, np.nan)
    one, two, three = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]), np.array([1.0, 1.0, 1.0])
    found = mean_curve([np.stack([one, two, nan]), three[None], nan[None]])
    np.testing.assert_allclose(found, [0.5, 0.75, 1])


@pytest.mark.parametrize(
    ("count", "most", "expected"), [(10, 2, [2, 7]), (3, 5, [0, 1, 2]), (7, 1, [3]), (0, 4, [])]
)
def test_frames_are_spread_evenly(count, most, expected):
    assert spread(np.arange(count), most).tolist() == expected
