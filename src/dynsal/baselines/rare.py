"""RARE-style: how rare are a pixel's colour and texture in its own image, at several scales? Our reconstruction.

RARE2012 (Riche et al., ICIP 2012; Signal Processing: Image Communication 28(6), 2013) is public as compiled code only. Its
parameter file and README (numediart/VisualAttention-Rare2012) tell of colour decorrelated by a principal component analysis
of the image's own RGB, 8 orientations and 3 scales of Gabor filters, rarity over 4 pyramid levels, and two thresholds of .3.
The rest is from memory of the papers, or chosen here, so this is not RARE2012 and must not be called so:

- An image is shrunk, never enlarged, until its longer side has 256 pixels, and the filters have wavelengths of 4, 8 and 16
  pixels there, bandwidths of a third of their frequency, and no response to a constant. The image is mirrored at its border.
- Each of the three components counts as a map, and each response's magnitude. A map is stretched to [0, 1] and cut into
  bins; the shares of pixels in a pixel's bin, counted level by level in a Gaussian pyramid, are brought back to one size
  and added; rarity is minus the logarithm of the sum, stretched to [0, 1].
- Maps are fused by efficiency: orientations, then scales, then a component's own map with its texture, then the components.
  Each result is stretched to [0, 1], so that the next efficiencies can be compared.
- The final Gaussian has a standard deviation of 20 pixels at a width of 640, in proportion at others, portrait ones
  included. RARE2012 has none, and its README asks for one where maps are compared with gaze.

Every frame is treated by itself. Maps are in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dynsal.baselines.base import Frame, Map, Maps
from dynsal.baselines.matlab import mat2gray
from dynsal.baselines.stream import same_size
from dynsal.config_baselines import RareStyleOptions

Image = NDArray[np.float32]

SIDE = 256
"""Most pixels of the longer side at which rarity is computed."""
ORIENTATIONS = 8
WAVELENGTHS = (4, 8, 16)
"""Pixels at that size."""
BANDWIDTH = 1 / 3
"""Standard deviation of a filter's spectrum, in units of its frequency."""
BORDER = 16
"""Pixels mirrored on each side, twice the standard deviation of the largest filter."""
LEVELS = 4
"""Levels of the pyramid, the map itself being the first."""
LEAST = 0.3
"""Share of the largest efficiency below which a map is left out."""
SMOOTHING = 20 / 640
"""Standard deviation of the final Gaussian, in widths."""
FLAT = 1e-5
"""Range, and share of the largest standard deviation of a component, up to which differences are rounding."""


class RareStyle:
    """The maps of one video; see `dynsal.baselines.base.Baseline`.

    Parameters
    ----------
    options
        Number of bins.
    files
        None needed.
    """

    def __init__(self, options: RareStyleOptions, files: Mapping[str, Path]) -> None:
        self._bins = options.bins

    def maps(self, frames: Iterable[Frame]) -> Maps:
        """Yield the map of every kept frame; see `dynsal.baselines.base.Baseline`."""
        for frame in same_size(frames):
            if frame.kept:
                yield frame.index, saliency(frame.bgr, self._bins)


def saliency(bgr: NDArray[np.uint8], bins: int) -> Map:
    """Return the map of one frame.

    Parameters
    ----------
    bgr
        H x W x 3.
    bins
        Number of bins in which values are counted.

    Returns
    -------
    H x W float32 in [0, 1]; all zero where nothing is rarer than anything else.
    """
    height, width = bgr.shape[:2]
    ratio = min(1.0, SIDE / max(height, width))
    size = (max(1, round(ratio * width)), max(1, round(ratio * height)))
    small = cv2.resize(bgr.astype(np.float32) / 255, size, interpolation=cv2.INTER_AREA)
    components = principal_components(cast(Image, small))
    fused = fuse([_component_rarity(components[..., k], bins) for k in range(3)])
    smooth = cv2.GaussianBlur(fused, (0, 0), SMOOTHING * size[0])
    return cast(Map, cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR))


def principal_components(image: Image) -> Image:
    """Return an image's principal components, H x W x 3, strongest first.

    An axis' largest entry is positive. One along which pixels hardly differ, as two of a grey image, gives zeros: stretched
    to full range, rounding errors would become a map.

    Parameters
    ----------
    image
        H x W x 3, any order of channels.
    """
    pixels = image.reshape(-1, 3).astype(np.float64)
    pixels -= pixels.mean(axis=0)
    variances, axes = np.linalg.eigh(np.einsum("pi,pj->ij", pixels, pixels) / len(pixels))
    axes *= np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0))
    axes[:, variances <= FLAT**2 * variances[-1]] = 0
    # Not by BLAS, whose sums depend on the number of threads.
    components = np.einsum("pi,ij->pj", pixels, axes[:, ::-1])
    return cast(Image, components.reshape(image.shape).astype(np.float32))


def gabor_magnitudes(image: Image, wavelength: float) -> Image:
    """Return the magnitudes of the Gabor filters of one wavelength.

    Parameters
    ----------
    image
        H x W.
    wavelength
        Pixels.

    Returns
    -------
    Orientations x H x W; the k-th filter's wave runs along k * 22.5 degrees, from x towards y.
    """
    padded = cv2.copyMakeBorder(image, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REFLECT_101)
    bank = gabor_spectra((padded.shape[0], padded.shape[1]), wavelength)
    responses = np.abs(fft.ifft2(fft.fft2(padded) * bank, overwrite_x=True))
    return cast(Image, responses[:, BORDER:-BORDER, BORDER:-BORDER])


@lru_cache(maxsize=32)
def gabor_spectra(shape: tuple[int, int], wavelength: float) -> Image:
    """Return the spectra of the Gabor filters of one wavelength, orientations x H x W: Gaussians of height 1, 0 at 0."""
    y, x = fft.fftfreq(shape[0])[:, None], fft.fftfreq(shape[1])
    angles = np.pi / ORIENTATIONS * np.arange(ORIENTATIONS)[:, None, None]
    squares = (x - np.cos(angles) / wavelength) ** 2 + (y - np.sin(angles) / wavelength) ** 2
    spectra = np.exp(-squares / (2 * (BANDWIDTH / wavelength) ** 2))
    spectra[:, 0, 0] = 0
    return cast(Image, spectra.astype(np.float32))


def rarity(image: Image, bins: int) -> Image:
    """Return how rare each pixel's value is, H x W in [0, 1]; zeros if all are equally rare.

    Parameters
    ----------
    image
        H x W, of any range.
    bins
        Number of equal bins between the smallest and the largest value.
    """
    if np.ptp(image) <= FLAT:
        return np.zeros_like(image)
    level: Image = mat2gray(image)
    occurrence = np.zeros_like(level)
    for _ in range(LEVELS):
        chosen = np.minimum((level * bins).astype(np.intp), bins - 1)
        shares = np.bincount(chosen.ravel(), minlength=bins) / chosen.size
        occurrence += cv2.resize(shares.astype(np.float32)[chosen], image.shape[::-1])
        level = cast(Image, cv2.pyrDown(level))
    return cast(Image, mat2gray(-np.log(occurrence)))


def fuse(maps: Sequence[Image]) -> Image:
    """Return the sum of maps in [0, 1], weighted by efficiency and rank, stretched to [0, 1].

    Efficiency is (maximum - mean)^2. The i-th smallest of K has the weight i / K times its efficiency, and none if that
    is below .3 of the largest.
    """
    efficiencies = np.array([(float(one.max()) - float(one.mean())) ** 2 for one in maps])
    ranks = efficiencies.argsort(kind="stable").argsort() + 1
    weights = np.where(efficiencies < LEAST * efficiencies.max(), 0, ranks / len(maps) * efficiencies)
    total: Image = np.einsum("k,khw->hw", weights.astype(np.float32), np.stack(maps))
    return mat2gray(total)


def _component_rarity(component: Image, bins: int) -> Image:
    """Return the rarity of one principal component: its own, fused with that of its texture."""
    if np.ptp(component) <= FLAT:
        return np.zeros_like(component)
    scales = [
        fuse([rarity(one, bins) for one in gabor_magnitudes(component, wavelength)])
        for wavelength in WAVELENGTHS
    ]
    return fuse([rarity(component, bins), fuse(scales)])
