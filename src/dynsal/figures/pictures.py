"""From arrays to what a panel shows: optical flow in colours, and maps over frames on one scale."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm, hsv_to_rgb
from numpy.typing import NDArray

MAPS = "inferno"
"""Name of the colours of maps: equal steps look equal, in grey too."""


def flow_colours(flow: NDArray[np.floating[Any]], bound: float) -> NDArray[np.float64]:
    """Colour a field as the paper does: hue for direction, saturation for magnitude on white.

    Parameters
    ----------
    flow
        H x W x 2, pixels.
    bound
        Magnitude of full saturation, in pixels.

    Returns
    -------
    numpy.ndarray
        H x W x 3 RGB in 0 .. 1.
    """
    u, v = np.asarray(flow, np.float64)[..., 0], np.asarray(flow, np.float64)[..., 1]
    hue = (np.arctan2(v, u) / (2 * np.pi)) % 1
    saturation = np.clip(np.hypot(u, v) / bound, 0, 1)
    return np.asarray(hsv_to_rgb(np.dstack([hue, saturation, np.ones_like(hue)])))


def colour_wheel(pixels: int = 64) -> NDArray[np.float64]:
    """Return the legend of :func:`flow_colours`, white outside the circle."""
    axis = np.linspace(-1, 1, pixels)
    u, v = np.meshgrid(axis, axis)
    wheel = flow_colours(np.dstack([u, v]), 1.0)
    wheel[np.hypot(u, v) > 1] = 1
    return wheel


def common_bound(fields: Iterable[NDArray[np.floating[Any]]]) -> float:
    """Return the magnitude that 99 % of the pixels of some fields stay below, in their unit; 1 if nothing moves.

    One bound for all fields of a picture keeps their colours comparable.
    """
    lengths = [np.linalg.norm(np.asarray(field, np.float64), axis=-1).ravel() for field in fields]
    return float(np.percentile(np.concatenate(lengths), 99)) or 1.0


def relative_density(saliency: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return a map (>= 0) as multiples of the uniform density: its mean is 1; all 0 stays 0."""
    values = np.asarray(saliency, np.float64)
    return values / max(float(values.mean()), float(np.finfo(np.float64).tiny))


@dataclass(frozen=True)
class Scale:
    """The colours of all maps of a picture: from 1 to ``top`` times the uniform density, logarithmic.

    A scale of densities makes models comparable: a map that says nothing stays dark, and one that is sure of itself
    shines. Logarithmic, because the truth is many times sharper than any model.
    """

    top: float

    @property
    def norm(self) -> LogNorm:
        """The scale for Matplotlib."""
        return LogNorm(1, self.top)

    def level(self, saliency: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return 0 where a map is at most uniform, 1 where it is ``top`` times that or more."""
        times = np.clip(relative_density(saliency), 1, self.top)
        return np.asarray(np.log(times) / np.log(self.top))


STEPS = (2, 5, 10, 20, 50, 100, 200, 500, 1000)
CLIPPED = 0.2
"""Per cent of the pixels of a picture's maps that may lie above its scale."""


def common_scale(maps: Iterable[NDArray[np.floating[Any]]]) -> Scale:
    """Return the scale for some maps: its top is the first round number that at most 0.2 % of the pixels exceed."""
    values = np.concatenate([relative_density(saliency).ravel() for saliency in maps])
    wanted = float(np.percentile(values, 100 - CLIPPED))
    return Scale(next((float(step) for step in STEPS if step >= wanted), float(STEPS[-1])))


def overlay(bgr: NDArray[np.uint8], saliency: NDArray[np.floating[Any]], scale: Scale) -> NDArray[np.float64]:
    """Lay a map over its frame in grey: the higher the density, the more of its colour shows.

    Parameters
    ----------
    bgr
        H x W x 3.
    saliency
        H x W, >= 0, any unit.
    scale
        That of the whole picture.

    Returns
    -------
    numpy.ndarray
        H x W x 3 RGB in 0 .. 1.
    """
    return blend(bgr, scale.level(saliency))


def blend(bgr: NDArray[np.uint8], level: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Lay levels (H x W, 0 to 1) over a frame in grey: at 0 the frame is seen, at 1 the brightest colour of maps."""
    grey = np.repeat(np.asarray(bgr, np.float64).mean(axis=2, keepdims=True) / 255, 3, axis=2)
    colours = np.asarray(mpl.colormaps[MAPS](level))[..., :3]
    weight = np.clip(1.6 * level, 0, 1)[..., None]
    return np.asarray((1 - weight) * (0.25 + 0.6 * grey) + weight * colours)
