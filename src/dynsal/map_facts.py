"""What a saliency map says in a few numbers: where its peak and its middle are, and how far it spreads."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class MapFacts(NamedTuple):
    """Numbers of one map; positions and lengths in pixels of the picture, pixel centres at integers."""

    peak_x: float
    peak_y: float
    peak_over_mean: float
    """Value of the peak over the mean of the map; 1 where it is even."""
    centre_x: float
    centre_y: float
    """Centre of mass."""
    spread_x: float
    spread_y: float
    """Standard deviations around the centre of mass."""
    area_share: float
    """exp(entropy) / number of cells, in (0, 1]: the share of the picture that an even spread over it with the same
    entropy would cover."""


def map_facts(saliency: NDArray[np.floating[Any]], size: tuple[int, int]) -> MapFacts:
    """Return the numbers of a map, measured on its own cells.

    Parameters
    ----------
    saliency
        h x w, >= 0; a map that is zero everywhere counts as even. Of equal peaks the first in reading order counts.
    size
        Width and height of the picture over which the map is stretched.
    """
    values = np.asarray(saliency, np.float64)
    total = values.sum()
    if total <= 0:
        values = np.ones_like(values)
        total = float(values.size)
    height, width = values.shape
    density = values / total
    columns, rows = density.sum(0), density.sum(1)
    # Centres of the cells in the picture's pixels.
    x = (np.arange(width) + 0.5) * size[0] / width - 0.5
    y = (np.arange(height) + 0.5) * size[1] / height - 0.5
    centre_x, centre_y = float(columns @ x), float(rows @ y)
    peak_y, peak_x = np.unravel_index(int(values.argmax()), values.shape)
    positive = density[density > 0]
    entropy = -float(positive @ np.log(positive))
    return MapFacts(
        float(x[peak_x]), float(y[peak_y]), float(density.max() * values.size), centre_x, centre_y,
        float(np.sqrt(columns @ (x - centre_x) ** 2)), float(np.sqrt(rows @ (y - centre_y) ** 2)),
        min(1.0, float(np.exp(entropy)) / values.size),
    )  # fmt: skip
