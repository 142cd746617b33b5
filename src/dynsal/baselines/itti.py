"""Itti, Koch, Niebur 1998: centre minus surround, as the GBVS toolbox computes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from dynsal.baselines.base import Frame, Map, Maps
from dynsal.baselines.dkl import fitted_table
from dynsal.baselines.gbvs_features import Level, feature_maps, pyramid
from dynsal.baselines.gbvs_frames import checked, enlarged, finished, map_size
from dynsal.baselines.matlab import Floats, imresize, mat2gray, round_half_away
from dynsal.config_baselines import IttiOptions

CHANNELS = "CIO"
CENTRES = (2, 3)
SURROUND = 2
"""Levels from a centre to its surround. The paper also has 3, which the toolbox leaves out for small images' sake."""
REDUCTION = 8
"""Frame's longer side in that of the small map."""
PEAK = 10.0
LEAST_MAXIMUM = 1.0
BLUR = 0.03
SAME = 1e-12
"""Relative difference up to which centre and surround are equal but for rounding."""


class Itti:
    """The maps of one video; see `dynsal.baselines.base.Baseline`. No files are needed."""

    def __init__(self, options: IttiOptions, files: Mapping[str, Path]) -> None:
        pass

    def maps(self, frames: Iterable[Frame]) -> Maps:
        """Yield the map of every kept frame; see `dynsal.baselines.base.Baseline.maps`."""
        for frame in checked(frames):
            if frame.kept:
                bgr, doubled = enlarged(frame.bgr)
                yield frame.index, _map(pyramid(bgr, max(CENTRES) + SURROUND), doubled)


def _map(levels: list[Level], doubled: int) -> Map:
    height, width = levels[0].shape[:2]
    size = map_size((height, width), float(round_half_away(max(height, width) / REDUCTION)))
    combined = np.zeros(size)
    for channel in CHANNELS:
        maps = {
            number: feature_maps(channel, levels[number], None, fitted_table())
            for centre in CENTRES
            for number in (centre, centre + SURROUND)
        }
        contrasts = [
            normalised(imresize(contrast(centre, surround), size))
            for level in CENTRES
            for centre, surround in zip(maps[level], maps[level + SURROUND], strict=True)
        ]
        combined += normalised(np.sum(contrasts, axis=0))
    return finished(combined, BLUR, (height, width), doubled)


def contrast(centre: Floats, surround: Floats) -> Floats:
    """Return the squared difference (H x W) of a map and a smaller one, which is enlarged to its size."""
    difference = centre - imresize(surround, (centre.shape[0], centre.shape[1]))
    if np.abs(difference).max() <= SAME * np.abs(centre).max():
        # A plain image: stretched to full range, rounding errors would become a map.
        return np.zeros_like(centre)
    squared: Floats = np.square(difference)
    return squared


def normalised(image: Floats) -> Floats:
    """Return a map stretched to [0, 10] and weighted by how far its peak stands out from its other local maxima.

    Local maxima are inner pixels of at least 1 that none of their four neighbours exceeds.
    """
    stretched: Floats = PEAK * mat2gray(image)
    inner = stretched[1:-1, 1:-1]
    highest = inner >= LEAST_MAXIMUM
    for neighbour in (stretched[:-2, 1:-1], stretched[2:, 1:-1], stretched[1:-1, :-2], stretched[1:-1, 2:]):
        highest &= inner >= neighbour
    maxima = inner[highest]
    if len(maxima) > 1:
        return stretched * (PEAK - float(maxima.mean())) ** 2
    return stretched * PEAK**2 if len(maxima) else stretched
