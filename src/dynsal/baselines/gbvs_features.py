"""Image pyramid and feature maps of the GBVS toolbox, for GBVS and Itti.

A level is H x W x 4 float32: R, G, B and intensity (the largest of the three), in [0, 1]. Level 0 is the frame, level n
has 2^-n of its scale.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft, sparse

from dynsal.baselines.dkl import to_dkl
from dynsal.baselines.matlab import Floats, along

Level = NDArray[np.float32]

ANGLES = (0, 45, 90, 135)
"""Degrees, of edges and of motion."""
GABOR_RADIUS = 13
GABOR_BORDER = 13
"""Lines at each side in which the response to edges fades out."""
SMALLEST_HALVED = 11
"""Side below which a level is passed on as it is."""

_FRACTIONS = (np.arange(256) / 255).astype(np.float32)


def pyramid(bgr: NDArray[np.uint8], highest: int) -> list[Level]:
    """Return levels 0 to ``highest`` of a frame (H x W x 3)."""
    blue, green, red = cv2.split(bgr)
    planes = cv2.merge([red, green, blue, cv2.max(cv2.max(red, green), blue)])
    levels = [cast(Level, cv2.LUT(planes, _FRACTIONS))]
    for _ in range(highest):
        levels.append(halved(levels[-1]))
    return levels


def halved(level: Level) -> Level:
    """Return the next level: columns, then rows, rounded to float32 after each."""
    if min(level.shape[:2]) < SMALLEST_HALVED:
        return level
    for axis in (1, 0):
        weights, totals = _halving(level.shape[axis])
        shape = (-1, 1, 1) if axis == 0 else (-1, 1)
        level = (along(weights, level, axis) / totals.reshape(shape)).astype(np.float32)
    return level


@lru_cache(maxsize=64)
def _halving(n: int) -> tuple[sparse.csr_array, Floats]:
    """Return the taps, whole numbers, of n samples for n // 2, and what to divide each sum by.

    Sums of whole multiples of float32 values are exact in float64, so the order of summation does not matter.
    """
    starts = [0, *range(0, n - 5, 2)]
    taps = [np.array([10.0, 10, 5, 1]), *[np.array([1.0, 5, 10, 10, 5, 1])] * (len(starts) - 1)]
    last = np.array([1.0, 5, 10, 10, 5] if n % 2 else [1.0, 5, 10, 10])
    matrix = sparse.lil_array((n // 2, n))
    for row, (start, values) in enumerate(zip([*starts, n - len(last)], [*taps, last], strict=True)):
        matrix[row, start : start + len(values)] = values
    weights = matrix.tocsr()
    return weights, weights.sum(axis=1)


def colour(level: Level) -> list[Floats]:
    """Return blue against yellow and red against green, in shares of the intensity; 0 where that is 0."""
    red, green, blue, intensity = np.moveaxis(level.astype(np.float64), -1, 0)
    safe = np.where(intensity == 0, np.inf, intensity)
    return [np.abs(blue - np.minimum(red, green)) / safe, np.abs(red - green) / safe]


def orientation(intensity: Floats) -> list[Floats]:
    """Return the energy of edges of four directions (H x W each); beyond the border its pixels go on."""
    height, width = intensity.shape
    # The kernels' sums are 0, so a constant may go; without it a plain image gives zeros and not rounding errors.
    padded = np.pad(intensity - intensity.min(), GABOR_RADIUS, mode="edge")
    shape = (fft.next_fast_len(padded.shape[0]), fft.next_fast_len(padded.shape[1]))
    responses = fft.ifft2(fft.fft2(padded, shape) * _gabor_spectra(shape), overwrite_x=True)
    first = 2 * GABOR_RADIUS
    responses = responses[:, first : first + height, first : first + width]
    fading = border_weights((height, width), GABOR_BORDER)
    return list(fading * (np.abs(responses.real) + np.abs(responses.imag)))


@lru_cache(maxsize=16)
def _gabor_spectra(shape: tuple[int, int]) -> NDArray[np.complex128]:
    """Return the transforms of the four pairs of kernels, each pair as one complex kernel."""
    kernels = np.stack([gabor(angle, 0) + 1j * gabor(angle, 90) for angle in ANGLES])
    return cast(NDArray[np.complex128], fft.fft2(kernels, shape))


def gabor(angle: float, phase: float) -> Floats:
    """Return a kernel of 27 x 27 taps with sum 0 and norm 1: a wave of period pi under a Gaussian of 2 x 4 pixels."""
    offsets = np.arange(-GABOR_RADIUS, GABOR_RADIUS + 1)
    down, right = offsets[:, None], offsets
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    across, along_edge = down * cos - right * sin, -down * sin - right * cos
    kernel: Floats = np.cos(2 * across + math.radians(phase)) * np.exp(-(across**2) / 8 - along_edge**2 / 32)
    kernel -= kernel.mean()
    kernel /= np.sqrt(np.square(kernel).sum())
    return kernel


def motion(intensity: Floats, before: Floats | None) -> list[Floats]:
    """Return the motion in four directions since the frame before (H x W each), after Reichardt.

    Without a frame before, the toolbox takes the same frame, and zeros as its shifted copies.
    """
    maps = []
    for angle in ANGLES:
        now_shifted = shifted(intensity, angle)
        if before is None:
            maps.append(np.abs(intensity * now_shifted))
        else:
            maps.append(np.abs(intensity * shifted(before, angle) - before * now_shifted))
    return maps


def shifted(image: Floats, angle: float) -> Floats:
    """Return the image read one pixel further in a direction (degrees, counter-clockwise from the right)."""
    height, width = image.shape
    padded = np.pad(image, 2, mode="edge")
    right, down = math.cos(math.radians(angle)), -math.sin(math.radians(angle))
    left, top = math.floor(right), math.floor(down)
    part_x, part_y = right - left, down - top

    def read(dy: int, dx: int) -> Floats:
        y, x = 2 + top + dy, 2 + left + dx
        return padded[y : y + height, x : x + width]

    upper = (1 - part_x) * read(0, 0) + part_x * read(0, 1)
    lower = (1 - part_x) * read(1, 0) + part_x * read(1, 1)
    return (1 - part_y) * upper + part_y * lower


def border_weights(size: tuple[int, int], lines: int) -> Floats:
    """Return what fades out an image towards its border: i / (lines + 1) in line i = 1 ... from each side.

    Sides shorter than twice the lines limit these to half a side, for both axes.
    """
    lines = min(lines, size[0] // 2, size[1] // 2)
    vertical, horizontal = (
        np.minimum(1, np.minimum(np.arange(1, side + 1), np.arange(side, 0, -1)) / (lines + 1))
        for side in size
    )
    weights: Floats = vertical[:, None] * horizontal
    return weights


def feature_maps(channel: str, level: Level, before: Level | None, table: Floats) -> list[Floats]:
    """Return the maps (H x W float64) of a channel at one level.

    Parameters
    ----------
    channel
        C (opponent colours), D (DKL colours), F (flicker), I (intensity), M (motion) or O (orientation).
    level
        The frame's level.
    before
        The same level of the frame before, for F and M; None at the start of a video.
    table
        The monitor's table for D; see `dynsal.baselines.dkl`.
    """
    intensity = level[..., 3].astype(np.float64)
    earlier = None if before is None else before[..., 3].astype(np.float64)
    if channel == "C":
        return colour(level)
    if channel == "D":
        return to_dkl(level[..., :3], table)
    if channel == "I":
        return [intensity]
    if channel == "O":
        return orientation(intensity)
    if channel == "F":
        return [np.abs(intensity - (intensity if earlier is None else earlier))]
    return motion(intensity, earlier)
