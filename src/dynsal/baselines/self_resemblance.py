"""Self-resemblance: a place is salient if its surroundings resemble it little (Seo, Milanfar 2009; programs of 2011).

``space_time``
    3 x 3 x 3 descriptors of a block of frames, each compared with its 27 neighbours (with itself among them). Every frame
    of the stream is part of the volume, kept or not. Volumes are blocks of ``block`` frames that share ``overlap`` ones;
    the last takes the remainder, and has between half and one and a half times as many (`dynsal.baselines.stream.blocks`).
    Each is divided by its own standard deviation and its maps are stretched to [0, 1] together; where blocks overlap,
    their maps are averaged. A video of one frame counts as two equal ones, a constant block gives zero maps.
``static_global``, ``static_local``
    3 x 3 descriptors of each frame's Lab channels, compared with those of the whole frame, or of a 7 x 7 surround. A
    channel without contrast is zero, and so is the map of a flat frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dynsal.baselines import lark
from dynsal.baselines.base import Frame, Map, Maps
from dynsal.baselines.matlab import Floats, imresize, mat2gray, rgb2gray
from dynsal.baselines.stream import blocks, same_size
from dynsal.config_baselines import SelfResemblanceOptions

SIDE = 64
"""Rows and columns to which every frame is squeezed."""
FALL_OFF = 0.7
"""sigma of the space-time form."""
STATIC_FALL_OFF = 0.07
STATIC_SMOOTHING = 0.2
"""h of the static descriptors; it is 1 in the space-time form."""
WINDOW_GLOBAL, WINDOW_LOCAL, SURROUND = 7, 9, 7
"""Sides of the window of descriptors that stands for a pixel, and of its surround in the local form."""

_FLAT_LAB, _FLAT = 1e-6, 1e-12
"""Contrast that is taken for rounding noise: range of a Lab channel (of about 100), range of maps by their maximum."""

# Linear sRGB to XYZ; its row sums are the white point, D65.
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_LEVELS = np.arange(256) / 255
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)


class SelfResemblance:
    """Self-resemblance in one of its three forms.

    Parameters
    ----------
    options
        Form, length and overlap of blocks.
    files
        None needed.
    """

    def __init__(self, options: SelfResemblanceOptions, files: Mapping[str, Path]) -> None:
        self._options = options

    def maps(self, frames: Iterable[Frame]) -> Maps:
        """Yield the map of every kept frame; see `dynsal.baselines.base.Baseline`."""
        options = self._options
        if options.form == "space_time":
            yield from _space_time_maps(same_size(frames), options.block, options.overlap)
            return
        for frame in same_size(frames):
            if frame.kept:
                yield frame.index, static_map(frame.bgr, local=options.form == "static_local")


@dataclass
class _Place:
    """A frame whose maps are being collected."""

    index: int
    kept: bool
    shape: tuple[int, int]
    grey: Floats
    total: Floats
    blocks: int = 0

    def finished(self) -> Iterator[tuple[int, Map]]:
        if self.kept:
            yield self.index, np.clip(imresize(self.total / self.blocks, self.shape), 0, 1).astype(np.float32)


def _space_time_maps(frames: Iterable[Frame], length: int, overlap: int) -> Maps:
    places = (
        _Place(frame.index, frame.kept, frame.bgr.shape[:2], small_grey(frame.bgr), np.zeros((SIDE, SIDE)))
        for frame in frames
    )
    waiting: deque[_Place] = deque()
    for block in blocks(places, length, overlap):
        while waiting and waiting[0] is not block[0]:
            yield from waiting.popleft().finished()
        maps = space_time(np.stack([place.grey for place in block], axis=-1))
        maps = _stretched(maps, block[0].shape)
        for k, place in enumerate(block):
            place.total += maps[..., k]
            place.blocks += 1
        waiting.extend(block[len(waiting) :])
    for place in waiting:
        yield from place.finished()


def small_grey(bgr: NDArray[np.uint8]) -> Floats:
    """Return a frame as 64 x 64 grey values in [0, 1], rounded to 8 bits after each step."""
    small = imresize(bgr, (SIDE, SIDE))
    grey: Floats = rgb2gray(small[..., ::-1]) / 255.0
    return grey


def _stretched(maps: Floats, shape: tuple[int, int]) -> Floats:
    """Return the maps (64 x 64 x T) so that, all enlarged to ``shape``, they reach from 0 to 1; zero if constant."""
    # Enlarging commutes with stretching, so that no full-size map needs to be held, but the bicubic overshoot counts.
    enlarged = [imresize(maps[..., k], shape) for k in range(maps.shape[-1])]
    low, high = min(map(np.min, enlarged)), max(map(np.max, enlarged))
    return np.zeros_like(maps) if _flat(low, high) else (maps - low) / (high - low)


def space_time(volume: Floats) -> Floats:
    """Return how little every sample resembles its 27 neighbours, itself included.

    Parameters
    ----------
    volume
        Rows x columns x frames, at least 2 x 2 x 1; of any scale, since it is divided by its standard deviation.

    Returns
    -------
    Same shape, between 1/27 and 1.
    """
    if volume.shape[2] == 1:
        return space_time(np.repeat(volume, 2, axis=2))[..., :1]
    deviation = volume.std(ddof=1)
    unit = volume / deviation if deviation > 0 else volume
    described = lark.descriptors(lark.steering(unit, lark.kernel(3)), smoothing=1)
    described /= np.linalg.norm(described, axis=-1, keepdims=True)
    rows, columns, frames = volume.shape
    result = np.zeros_like(volume)
    # Row by row, so that what is compared stays in the cache.
    for row in range(rows):
        for offset in product((-1, 0, 1), repeat=3):
            places = (lark.mirrored(n, o) for n, o in zip((columns, frames), offset[1:], strict=True))
            others = described[lark.mirrored(rows, offset[0])[row]][np.ix_(*places)]
            cosine = np.einsum("xtk,xtk->xt", described[row], others)
            result[row] += np.exp((cosine - 1) / FALL_OFF**2)
    return 1 / result


def static_map(bgr: NDArray[np.uint8], local: bool = False) -> Map:
    """Return the static map of one frame.

    Parameters
    ----------
    bgr
        H x W x 3 uint8.
    local
        Compare every pixel with its surround instead of all pixels.

    Returns
    -------
    H x W, in [0, 1].
    """
    described = static_descriptors(bgr)
    small = 1 / (local_resemblance(described) if local else global_resemblance(described))
    if _flat(small.min(), small.max()):
        return np.zeros(bgr.shape[:2], np.float32)
    return imresize(mat2gray(small), bgr.shape[:2], "bilinear").astype(np.float32)


def static_descriptors(bgr: NDArray[np.uint8]) -> Floats:
    """Return the descriptors of the Lab channels, 64 x 64 x 27 (channel by channel).

    The author's program takes the offset along the rows for that along the columns; so does this.
    """
    small = imresize(rgb_to_lab(bgr), (SIDE, SIDE), "bilinear")
    weights = lark.kernel(2)
    described = []
    for channel in np.moveaxis(small, -1, 0):
        stretched = np.zeros_like(channel) if np.ptp(channel) < _FLAT_LAB else mat2gray(channel)
        described.append(lark.descriptors(lark.steering(stretched, weights), STATIC_SMOOTHING, swapped=True))
    return np.concatenate(described, axis=-1)


def rgb_to_lab(bgr: NDArray[np.uint8]) -> Floats:
    """Return CIE L*a*b* (D65) of an sRGB image; L in [0, 100].

    OpenCV's float conversion interpolates in tables and is off by up to .3.
    """
    relative = _LINEAR[bgr[..., ::-1]] @ (_XYZ / _XYZ.sum(axis=1, keepdims=True)).T
    f = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1
    )


def global_resemblance(described: Floats) -> Floats:
    """Return how much every pixel's window of 7 x 7 descriptors resembles those of all pixels.

    The products of two windows are sums, along a diagonal, of the products of single descriptors. Taking these once, for
    pairs of rows at one distance at a time, saves most of the work of multiplying all windows.

    Parameters
    ----------
    described
        H x W x K.

    Returns
    -------
    H x W, at least 1.
    """
    rows, columns = described.shape[:2]
    reach = WINDOW_GLOBAL // 2
    padded = np.pad(described, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    norms = np.sqrt(_box((padded**2).sum(axis=-1), WINDOW_GLOBAL))
    result = np.zeros((rows, columns))
    for distance in range(rows):
        upper, lower = padded[: len(padded) - distance], padded[distance:]
        products = upper @ np.swapaxes(lower, -1, -2)  # of rows y and y + distance: y, column, other column
        inner = _total(products[:, i : i + columns, i : i + columns] for i in range(WINDOW_GLOBAL))
        inner = _total(inner[i : i + rows - distance] for i in range(WINDOW_GLOBAL))
        inner /= norms[: rows - distance, :, None] * norms[distance:, None, :]
        alike = np.exp((inner - 1) / STATIC_FALL_OFF**2)
        result[: rows - distance] += alike.sum(axis=2)
        if distance:
            result[distance:] += alike.sum(axis=1)
    return result


def local_resemblance(described: Floats) -> Floats:
    """Return how much every pixel's window of 9 x 9 descriptors resembles those of its 7 x 7 surround.

    The border is mirrored twice, once for the windows and once more for the surround. Parameters and result as in
    `global_resemblance`.
    """
    rows, columns = described.shape[:2]
    reach, beyond = WINDOW_LOCAL // 2, SURROUND // 2
    windows = np.pad(described, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    around = np.pad(windows, ((beyond, beyond), (beyond, beyond), (0, 0)), mode="reflect")
    height, width = windows.shape[:2]
    norms = np.sqrt(_box((around**2).sum(axis=-1), WINDOW_LOCAL))
    own = norms[beyond : beyond + rows, beyond : beyond + columns]
    result = np.zeros((rows, columns))
    for y, x in product(range(SURROUND), repeat=2):
        inner = _box(np.einsum("yxk,yxk->yx", windows, around[y : y + height, x : x + width]), WINDOW_LOCAL)
        cosine = inner / (own * norms[y : y + rows, x : x + columns])
        result += np.exp((cosine - 1) / STATIC_FALL_OFF**2)
    return result


def _flat(low: float, high: float) -> bool:
    return high - low <= _FLAT * high


def _box(array: Floats, side: int) -> Floats:
    """Return the sums over all whole windows of side x side."""
    return np.asarray(sliding_window_view(array, (side, side)).sum(axis=(-2, -1)))


def _total(arrays: Iterator[Floats]) -> Floats:
    total = next(arrays).copy()
    for array in arrays:
        total += array
    return total
