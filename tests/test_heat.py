"""The fast overlay is the figures' overlay, but for rounding and the halved resolution of colours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from odd_videos import moving

from dynsal import heat
from dynsal.figures import blend
from dynsal.video import resize


def blob(size, x, y, sigma):
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))


@pytest.mark.parametrize("scale", [1e-9, 1.0, 400.0])
@pytest.mark.parametrize("small", [(80, 60), (320, 240)])
def test_it_looks_as_in_the_figures(scale, small):
    size = (320, 240)
    bgr = np.repeat(cv2.cvtColor(moving(1, size)[0], cv2.COLOR_BGR2GRAY)[..., None], 3, 2)
    saliency = blob(small, small[0] * 0.7, small[1] * 0.4, small[0] / 8) * scale
    found = heat.bgr_of(heat.lay_over(heat.planes_of(bgr), saliency, size))
    whole = resize(saliency, size)
    expected = 255 * blend(bgr, whole / whole.max())[..., ::-1]
    error = np.abs(found - expected)
    assert error.mean() < 3
    assert np.percentile(error, 99) < 14


def test_an_empty_map_leaves_the_dimmed_grey_picture():
    bgr = np.full((48, 64, 3), 200, np.uint8)
    found = heat.bgr_of(heat.lay_over(heat.planes_of(bgr), np.zeros((6, 8)), (64, 48)))
    np.testing.assert_allclose(found, 255 * (0.25 + 0.6 * 200 / 255), atol=3)


def test_odd_sides_get_a_repeated_row_and_column():
    """The map covers the picture, not the padding."""
    bgr = moving(1, (63, 47))[0]
    planes = heat.planes_of(bgr)
    assert heat.bgr_of(planes).shape == (48, 64, 3)
    out = heat.lay_over(planes, blob((63, 47), 30, 20, 6), (63, 47))
    luma = out[:48]
    np.testing.assert_array_equal(luma[:, 63], luma[:, 62])
    np.testing.assert_array_equal(luma[47], luma[46])
    even = heat.lay_over(heat.planes_of(bgr[:46, :62]), blob((63, 47), 30, 20, 6)[:46, :62], (62, 46))
    assert np.abs(luma[:46, :62].astype(int) - even[:46]).max() <= 2


def test_side_by_side():
    left, right = (heat.planes_of(frame) for frame in moving(2, (64, 48)))
    both = heat.bgr_of(heat.beside(left, right))
    assert both.shape == (48, 128, 3)
    np.testing.assert_array_equal(both[:, :62], heat.bgr_of(left)[:, :62])
    np.testing.assert_array_equal(both[:, 66:], heat.bgr_of(right)[:, 2:])
