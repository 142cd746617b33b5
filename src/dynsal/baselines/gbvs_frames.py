"""From frames to what the GBVS toolbox accepts, and from its small map back to the frame's size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from dynsal.baselines.base import Frame, Map
from dynsal.baselines.gbvs_features import border_weights
from dynsal.baselines.matlab import Floats, imfilter, imresize, mat2gray, round_half_away
from dynsal.baselines.stream import same_size
from dynsal.errors import DataError

SMALLEST_SIDE = 128
"""The toolbox refuses less."""
LONGEST = 64
"""Long side in short sides, beyond which a map of 32 pixels would lose the short one."""
FADED_LINES = 4


def checked(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Pass frames on, all of one size and not too elongated.

    Raises
    ------
    DataError
        If a frame is not like that.
    """
    for frame in same_size(frames):
        height, width = frame.bgr.shape[:2]
        if max(height, width) > LONGEST * min(height, width):
            raise DataError(
                f"frame {frame.index}",
                f"is {width} x {height} pixels, too elongated for GBVS and Itti",
                f"Use frames whose sides differ by a factor of at most {LONGEST}",
            )
        yield frame


def enlarged(bgr: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """Return a frame doubled until the toolbox accepts it, and how often that was.

    The code behind the published DIEM figures doubles once if there are fewer than 128 rows.
    """
    times = 0
    while min(bgr.shape[:2]) < SMALLEST_SIDE:
        bgr = imresize(bgr, 2.0)
        times += 1
    return bgr, times


def map_size(size: tuple[int, int], longest: float) -> tuple[int, int]:
    """Return (rows, columns) of the small map of a frame of that (rows, columns)."""
    scale = longest / max(size)
    return int(round_half_away(size[0] * scale)), int(round_half_away(size[1] * scale))


def finished(combined: Floats, blur: float, size: tuple[int, int], doubled: int) -> Map:
    """Return the map of a frame from the sum of all channels.

    Parameters
    ----------
    combined
        Small map.
    blur
        Sigma of the blur, in the small map's longer side.
    size
        (rows, columns) of the enlarged frame.
    doubled
        How often it was doubled.
    """
    small = mat2gray(combined * border_weights(combined.shape, FADED_LINES))
    small = mat2gray(blurred(small, blur * max(small.shape)))
    large = mat2gray(imresize(small, size))
    for _ in range(doubled):
        large = imresize(large, 0.5)
    # Shrinking may undershoot.
    return np.maximum(large, 0).astype(np.float32)


def blurred(image: Floats, sigma: float) -> Floats:
    """Return the image under a Gaussian cut off at two sigma; beyond the border its pixels go on."""
    radius = int(round_half_away(2 * sigma))
    weights = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))[:, None]
    weights /= weights.sum()
    return imfilter(imfilter(image, weights, "replicate"), weights.T, "replicate")
