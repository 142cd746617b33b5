"""Rudoy et al.: mean shift and Gaussian fits against independent ones, regions and boxes of a map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.optimize import curve_fit
from sklearn.cluster import MeanShift

from dynsal.baselines.rudoy.blobs import blobs, fit, mean_shift
from dynsal.baselines.rudoy.regions import shares, top_regions


def gaussian(x, y, sx, sy, peak=1.0, size=(192, 144)):
    """Return the map of one Gaussian."""
    down, across = np.mgrid[: size[1], : size[0]]
    return peak * np.exp(-0.5 * ((across - x) / sx) ** 2 - 0.5 * ((down - y) / sy) ** 2)


def rng(seed=0):
    return np.random.default_rng(seed)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(100, 250), bandwidth=st.sampled_from([7.3, 19.7]))
def test_mean_shift_is_that_of_scikit_learn(seed, n, bandwidth):
    """On clustered integer points, with repetitions; the modes come in the same order.

    Few points, or a radius that meets pixels exactly, would let scikit-learn choose other seeds, or rounding
    decide.
    """
    random = rng(seed)
    centres = random.uniform(0, [60, 40], (4, 2))
    points = np.clip(random.normal(centres[random.integers(4, size=n)], 4), 0, [59, 39]).astype(int)
    counts = np.zeros((40, 60), int)
    np.add.at(counts, (points[:, 1], points[:, 0]), 1)
    expected = MeanShift(bandwidth=bandwidth, bin_seeding=True).fit(points).cluster_centers_
    np.testing.assert_allclose(mean_shift(counts, bandwidth), expected, atol=1e-9)


def test_mean_shift_without_points_has_no_modes():
    assert mean_shift(np.zeros((5, 6), int), 2.0).shape == (0, 2)


@pytest.mark.parametrize("truth", [(20.3, 31.7, 6.0, 9.0, 2.5), (5.0, 50.0, 12.0, 4.0, 0.01)])
def test_fit_recovers_a_gaussian(truth):
    """Also one whose centre is near the window's edge, and whatever the scale of values."""
    found = fit(gaussian(*truth, size=(60, 55)))
    np.testing.assert_allclose(found, truth, rtol=1e-4)


def test_fit_of_noise_is_that_of_scipy():
    """An independent parametrisation with numerical derivatives reaches the same minimum."""
    window = gaussian(28, 22, 9, 6, size=(60, 50)) + 0.05 * rng().random((50, 60))

    def model(grid, x, y, sx, sy, peak):
        across, down = grid
        return peak * np.exp(-0.5 * ((across - x) / sx) ** 2 - 0.5 * ((down - y) / sy) ** 2)

    down, across = (axis.ravel() for axis in np.indices(window.shape))
    expected, _ = curve_fit(model, (across, down), window.ravel(), p0=(25, 25, 5, 5, 1))
    np.testing.assert_allclose(fit(window), expected, rtol=1e-3)


@pytest.mark.parametrize(
    "window",
    [
        np.zeros((10, 10)),
        np.ones((10, 10)),
        np.ones((2, 9)),
        np.outer(np.ones(12), np.arange(12.0)),  # a ramp: the Gaussian runs away
    ],
)
def test_fit_fails_where_there_is_no_gaussian(window):
    assert fit(window) is None


def test_blobs_of_a_map_with_three():
    """Order by peak, scores relative to the largest, and the one below a fifth is left out."""
    values = gaussian(40, 50, 8, 12) + gaussian(140, 100, 15, 6, 0.6) + gaussian(150, 20, 7, 7, 0.1)
    found = blobs(values, 10_000, rng())
    np.testing.assert_array_equal(found.points, [[40, 50], [140, 100]])
    np.testing.assert_allclose(found.sigmas, [[8, 12], [15, 6]], rtol=1e-3)
    np.testing.assert_allclose(found.scores, [1, 0.6], rtol=1e-3)


def test_of_many_blobs_the_five_strongest_stay():
    places = [(x, y) for y in (24, 72, 120) for x in (24, 72, 120, 168)]
    peaks = np.linspace(0.5, 1, len(places))
    values = sum(gaussian(x, y, 5, 5, peak) for (x, y), peak in zip(places, peaks, strict=True))
    found = blobs(values, 10_000, rng())
    np.testing.assert_array_equal(found.points, places[:-6:-1])


def test_a_failed_fit_leaves_the_middle_of_the_window():
    """A single bright pixel is too narrow; the window reaches 144 / 4 pixels, clipped at the top."""
    values = np.zeros((144, 192))
    values[10, 90] = 3.0
    found = blobs(values, 100, rng())
    np.testing.assert_array_equal(found.points, [[90, 23]])
    np.testing.assert_array_equal(found.sigmas, [[18, 18]])
    np.testing.assert_array_equal(found.scores, [1])


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_a_constant_map_has_no_blobs(value):
    found = blobs(np.full((144, 192), value), 1000, rng())
    assert [len(column) for column in found] == [0, 0, 0]


@pytest.mark.parametrize("shape", [(16, 16), (16, 40), (40, 16)])
def test_blobs_of_tiny_maps_lie_inside(shape):
    found = blobs(rng(1).random(shape), 500, rng())
    assert len(found.points)
    assert (found.points >= 0).all()
    assert (found.points < shape[::-1]).all()
    assert (found.sigmas > 0).all()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_top_regions_are_those_of_scipy(seed):
    """Boxes of 8-connected components of the strongest 3 %, against another labelling."""
    values = ndimage.gaussian_filter(rng(seed).random((33, 47)), 1.5)
    least = np.sort(values.ravel())[::-1][int(np.ceil(0.03 * values.size)) - 1]
    labels, _ = ndimage.label(values >= least, np.ones((3, 3)))
    expected = sorted(
        (part[1].start, part[0].start, part[1].stop - 1, part[0].stop - 1)
        for part in ndimage.find_objects(labels)
    )
    regions = top_regions(values)
    np.testing.assert_array_equal(sorted(map(tuple, regions.boxes)), expected)
    np.testing.assert_array_equal(regions.centres, (regions.boxes[:, :2] + regions.boxes[:, 2:]) / 2)


def test_diagonal_neighbours_are_one_region_and_zeros_none():
    """By hand: the third-largest of 100 pixels is 0, which is no strength."""
    values = np.zeros((10, 10))
    values[2, 3] = values[3, 4] = 1
    regions = top_regions(values)
    np.testing.assert_array_equal(regions.boxes, [[3, 2, 4, 3]])
    np.testing.assert_array_equal(regions.centres, [[3.5, 2.5]])


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_a_flat_map_has_no_regions(value):
    assert top_regions(np.full((6, 8), value)).centres.shape == (0, 2)


@settings(max_examples=50, deadline=None)
@given(
    box=st.tuples(*[st.floats(-6, 16, width=32)] * 4),
    seed=st.integers(0, 1000),
)
def test_share_of_a_box_is_a_sum_over_pixel_centres(box, seed):
    """Boxes may reach out of the frame, lie outside, or be empty."""
    values = rng(seed).random((8, 11))
    left, top, right, bottom = box
    inside = sum(
        values[y, x] for y in range(8) for x in range(11) if left <= x <= right and top <= y <= bottom
    )
    np.testing.assert_allclose(shares(values, np.array([box])), [inside / values.sum()], atol=1e-12)


def test_share_of_nothing_is_zero():
    np.testing.assert_array_equal(shares(np.zeros((4, 4)), np.array([[0.0, 0, 3, 3]])), [0])
