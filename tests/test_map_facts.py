"""Numbers of a map against what is known of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynsal.map_facts import map_facts


@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 8), st.data())
def test_a_single_cell(width, height, zoom, data):
    """All mass in one cell: peak and centre of mass lie at its middle in pixels, and nothing spreads."""
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    saliency = np.zeros((height, width), np.float32)
    saliency[y, x] = 0.3
    facts = map_facts(saliency, (width * zoom, height * zoom))
    middle = (
        np.arange(width * zoom).reshape(width, zoom)[x].mean(),
        np.arange(height * zoom).reshape(height, zoom)[y].mean(),
    )
    assert (facts.peak_x, facts.peak_y) == pytest.approx(middle)
    assert (facts.centre_x, facts.centre_y) == pytest.approx(middle)
    assert (facts.spread_x, facts.spread_y) == pytest.approx((0, 0), abs=1e-6)
    assert facts.peak_over_mean == pytest.approx(width * height)
    assert facts.area_share == pytest.approx(1 / (width * height))


@pytest.mark.parametrize("value", [0.0, 1e-12, 7.0])
def test_an_even_map(value):
    facts = map_facts(np.full((30, 40), value), (80, 60))
    assert (facts.peak_over_mean, facts.area_share) == pytest.approx((1, 1))
    assert (facts.centre_x, facts.centre_y) == pytest.approx((39.5, 29.5))
    assert facts.spread_x == pytest.approx(80 / np.sqrt(12), rel=1e-3)


def test_a_gaussian():
    """Its standard deviations come back in pixels of the picture, on a grid half as fine."""
    x, y = np.meshgrid(np.arange(200), np.arange(100))
    saliency = np.exp(-((x - 90) ** 2) / (2 * 8**2) - (y - 40) ** 2 / (2 * 5**2))
    facts = map_facts(saliency, (400, 200))
    assert (facts.peak_x, facts.peak_y) == (180.5, 80.5)
    assert (facts.spread_x, facts.spread_y) == pytest.approx((16, 10), rel=1e-3)
    assert facts.area_share == pytest.approx(2 * np.pi * np.e * 8 * 5 / 20_000, rel=1e-3)
