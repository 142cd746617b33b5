"""Phase spectrum of the quaternion Fourier transform: Guo, Ma, Zhang 2008; Guo, Zhang 2010.

Two public programs differ in the phase, which alone changes the map to a correlation of .85 to .92: name the variant
wherever a score is shown.

``pqft2``
    Le Ngo's program, which the DIEM benchmark calls. Frames are squeezed to 64 x 64. Zero map for a frame that has no
    frame ``tau`` before it; a stream of one frame is a still image and has a map, without motion.
``guo``
    Guo's own program. Frames are shrunk to 64 rows at their aspect. A frame that has no frame ``tau`` before it is
    treated as a still image, without motion.

Every frame of the stream, kept or not, counts for ``tau``. In both, frequencies whose amplitude is nothing but rounding
noise (below 1e-12 of the largest) count as zero, since the phase of noise is noise; natural frames have none.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dynsal.baselines.base import Frame, Map, Maps
from dynsal.baselines.matlab import (
    Floats,
    Method,
    fspecial_disk,
    fspecial_gaussian,
    imfilter,
    imresize,
    mat2gray,
    rgb2gray,
    rgb_float,
)
from dynsal.baselines.stream import same_size
from dynsal.config_baselines import PqftOptions

Complex = NDArray[np.complex128]

SIDE = 64
"""Rows at which both programs work; `pqft2` has as many columns."""
NOISE = 1e-12
"""Share of the largest amplitude below which a frequency counts as zero."""

# An orthonormal basis of the colour space. The transform's axis is grey; which vectors complete it does not matter.
_MU = np.array([1, 1, 1]) / np.sqrt(3)
_NU = np.array([1, -1, 0]) / np.sqrt(2)
_XI = np.cross(_MU, _NU)


@dataclass(frozen=True)
class _Variant:
    """What tells the two programs apart."""

    size: Callable[[tuple[int, int]], tuple[int, int]]
    """Working size for a frame's."""
    method: Method
    saliency: Callable[[Floats, Floats], Floats]
    """Map, at the working size, of a shrunk frame and an earlier one."""

    def shrunk(self, bgr: NDArray[np.uint8]) -> Floats:
        return imresize(rgb_float(bgr), self.size((bgr.shape[0], bgr.shape[1])), self.method)

    def map(self, small: Floats, earlier: Floats, shape: tuple[int, ...]) -> Map:
        whole = imresize(self.saliency(small, earlier), (shape[0], shape[1]), self.method)
        return np.maximum(whole, 0).astype(np.float32)  # bicubic overshoots


class Pqft:
    """PQFT of frames t and t - tau.

    Parameters
    ----------
    options
        Variant and tau.
    files
        None needed.
    """

    def __init__(self, options: PqftOptions, files: Mapping[str, Path]) -> None:
        self._options = options

    def maps(self, frames: Iterable[Frame]) -> Maps:
        """Yield the map of every kept frame; see `dynsal.baselines.base.Baseline`."""
        variant = _VARIANTS[self._options.variant]
        recent: deque[_Lazy] = deque(maxlen=self._options.tau)
        checked = same_size(frames)
        opening = list(itertools.islice(checked, 2))
        if len(opening) == 1 and opening[0].kept:  # a still image: no motion, rather than no map
            small = variant.shrunk(opening[0].bgr)
            yield opening[0].index, variant.map(small, small, opening[0].bgr.shape[:2])
            return
        for frame in itertools.chain(opening, checked):
            now = _Lazy(frame.bgr, variant)
            shape = frame.bgr.shape[:2]
            if frame.kept and len(recent) == self._options.tau:
                yield frame.index, variant.map(now.small, recent[0].small, shape)
            elif frame.kept and self._options.variant == "guo":
                yield frame.index, variant.map(now.small, now.small, shape)
            elif frame.kept:
                yield frame.index, np.zeros(shape, np.float32)
            recent.append(now)


@dataclass
class _Lazy:
    """A frame that is shrunk when it is first needed, and never twice."""

    bgr: NDArray[np.uint8]
    variant: _Variant

    @cached_property
    def small(self) -> Floats:
        return self.variant.shrunk(self.bgr)


def pqft2_map(bgr: NDArray[np.uint8], earlier: NDArray[np.uint8] | None = None) -> Map:
    """Return the map of one frame, as Le Ngo's program computes it.

    Parameters
    ----------
    bgr
        H x W x 3 uint8.
    earlier
        The frame to compare with; None for a still image, whose motion channel is zero.

    Returns
    -------
    H x W, in [0, 1].
    """
    return _map(_VARIANTS["pqft2"], bgr, earlier)


def guo_map(bgr: NDArray[np.uint8], earlier: NDArray[np.uint8] | None = None) -> Map:
    """Return the map of one frame, as Guo's program computes it; see `pqft2_map`. Bicubic overshoot may exceed 1."""
    return _map(_VARIANTS["guo"], bgr, earlier)


def _map(variant: _Variant, bgr: NDArray[np.uint8], earlier: NDArray[np.uint8] | None) -> Map:
    small = variant.shrunk(bgr)
    return variant.map(small, small if earlier is None else variant.shrunk(earlier), bgr.shape)


def quaternion_spectrum(motion: Floats, colours: Floats) -> tuple[Complex, Complex]:
    """Return the left quaternion Fourier transform, with grey as its axis, of ``motion + RG i + BY j + I k``.

    Parameters
    ----------
    motion
        H x W.
    colours
        H x W x 3: RG, BY, I.

    Returns
    -------
    The two complex halves, H x W, of ``C1 + C2 nu`` with nu orthogonal to the axis mu: the real part of C1 is the
    quaternion's scalar, its imaginary part the component along mu; C2 holds those along nu and mu x nu.
    """
    along = colours @ np.stack([_MU, _NU, _XI], axis=1)
    halves = fft.fft2(np.stack([motion + 1j * along[..., 0], along[..., 1] + 1j * along[..., 2]]))
    power = (halves.real**2 + halves.imag**2).sum(axis=0)
    halves[:, power <= NOISE**2 * power.max()] = 0
    return halves[0], halves[1]


def _opponents(rgb: Floats, clip_yellow: bool) -> Floats:
    """Return RG, BY and I (H x W x 3) of an RGB image."""
    r, g, b = np.moveaxis(rgb, -1, 0)
    red, green, blue = r - (g + b) / 2, g - (r + b) / 2, b - (r + g) / 2
    yellow = (r + g) / 2 - np.abs(r - g) / 2 - b
    if clip_yellow:
        yellow = np.maximum(yellow, 0)
    return np.stack([red - green, blue - yellow, (r + g + b) / 3], axis=-1)


def pqft2_saliency(small: Floats, earlier: Floats) -> Floats:
    """Return the map, in [0, 1], of two shrunk RGB frames (H x W x 3, in [0, 1]), as Le Ngo's program computes it."""
    colours = _opponents(small, clip_yellow=False)
    motion = np.abs(colours[..., 2] - earlier.mean(axis=-1))
    c1, c2 = quaternion_spectrum(motion, colours)
    # The quaternion's angle, with the sign of its component along the axis; then an ordinary complex inverse, which is
    # not what the paper describes.
    vector = np.sqrt(c1.imag**2 + c2.real**2 + c2.imag**2)
    phase = np.arctan2(np.sign(c1.imag) * vector, c1.real)
    back = fft.ifft2(np.exp(1j * phase))
    saliency = back.real**2 + back.imag**2
    saliency[0, 0] = (saliency[0, 1] + saliency[1, 1] + saliency[1, 0]) / 3
    return mat2gray(imfilter(saliency, fspecial_gaussian(8, 3)))


def guo_saliency(small: Floats, earlier: Floats) -> Floats:
    """Return the map of two shrunk RGB frames as Guo's program computes it; see `pqft2_saliency`."""
    motion = np.abs(rgb2gray(earlier) - rgb2gray(small))
    halves = np.stack(quaternion_spectrum(motion, _opponents(small, clip_yellow=True)))
    norm = np.sqrt((halves.real**2 + halves.imag**2).sum(axis=0))
    norm[norm == 0] = 1
    back = fft.ifft2(halves / norm)
    saliency = (back.real**2 + back.imag**2).sum(axis=0)
    inner = np.zeros_like(saliency)
    inner[1:-1, 1:-1] = saliency[1:-1, 1:-1]
    return mat2gray(imfilter(inner, fspecial_disk(3)))


def _at_aspect(shape: tuple[int, int]) -> tuple[int, int]:
    # Guo's scripts say 64 x 85 for frames of 4:3 (85.33).
    return SIDE, max(1, round(SIDE * shape[1] / shape[0]))


_VARIANTS = {
    "pqft2": _Variant(lambda _: (SIDE, SIDE), "bilinear", pqft2_saliency),
    "guo": _Variant(_at_aspect, "bicubic", guo_saliency),
}
