"""Spectral residual: per frame (Hou, Zhang 2007), and in time, after Cui, Liu, Metaxas 2009, from memory.

The temporal model looks at blocks of frames, squeezed to 64 x 64 grey values (rounded to 8 bits, then bilinear); every
frame of the stream is part of its block, kept or not. Blocks do not overlap; the last takes the remainder, and has between
half and one and a half times as many frames (`dynsal.baselines.stream.blocks`). Its forms:

``residual``
    After Cui et al., from memory: no code is known, and the paper's last step, feature projection and a threshold, is
    left out because a map needs none. The spectral residual of every X-T and every Y-T slice is squared, smoothed, and
    the two families are added. As in the program of 2007 a spectrum's mean is taken over 3 x 3 frequencies, border ones
    repeated, and the Gaussian has sigma 2.5. As in OpenCV's version the logarithm is that of 1 + amplitude (grey levels
    up to 255), which a zero amplitude does not upset. It presumes some noise: slices that stay exactly the same, as in
    synthetic clips, respond no less than those with motion.
``phase3d``
    The phase of the block's 3-D spectrum alone, squared, averaged over disks of radius 3 in 6 frames (2 before to 3
    after); zeros lie outside the block.

In both, frequencies whose amplitude is nothing but rounding noise (below 1e-12 of the largest) are left out, since the
phase of noise is noise. Maps have no fixed range.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from dynsal.baselines.base import Frame, Maps
from dynsal.baselines.matlab import Floats, fspecial_disk, imresize, rgb2gray
from dynsal.baselines.stream import blocks, same_size
from dynsal.config_baselines import SpectralOptions, TemporalSpectralOptions

SIDE = 64
"""Rows and columns to which every frame is squeezed."""
NOISE = 1e-12
"""Share of the largest amplitude below which a frequency is left out."""
SMOOTHING = 2.5
"""Standard deviation of the Gaussian over a slice's responses, in frames and in small pixels."""
RADIUS, DURATION = 3, 6
"""Extent of the mean over the responses of `phase3d`, in small pixels and in frames."""


class SpectralResidual:
    """OpenCV's spectral residual of every kept frame, which it squeezes to 64 x 64; maps are in [0, 1].

    Parameters
    ----------
    options
        There are none.
    files
        None needed.
    """

    def __init__(self, options: SpectralOptions, files: Mapping[str, Path]) -> None:
        pass

    def maps(self, frames: Iterable[Frame]) -> Maps:
        """Yield the map of every kept frame; see `dynsal.baselines.base.Baseline`."""
        saliency_module: Any = cv2.saliency  # whose stubs are empty
        model = saliency_module.StaticSaliencySpectralResidual_create()
        for frame in same_size(frames):
            if frame.kept:
                _, saliency = model.computeSaliency(frame.bgr)
                yield frame.index, saliency


@dataclass(frozen=True)
class _Place:
    """What is kept of a frame until its block is complete."""

    index: int
    kept: bool
    shape: tuple[int, int]
    grey: Floats


class TemporalSpectral:
    """Spectral residual of the slices in time (after Cui et al., from memory), or the phase of the 3-D spectrum.

    Parameters
    ----------
    options
        Form and length of blocks.
    files
        None needed.
    """

    def __init__(self, options: TemporalSpectralOptions, files: Mapping[str, Path]) -> None:
        self._options = options

    def maps(self, frames: Iterable[Frame]) -> Maps:
        """Yield the map of every kept frame; see `dynsal.baselines.base.Baseline`."""
        respond = temporal_residual if self._options.form == "residual" else phase_response
        places = (
            _Place(frame.index, frame.kept, frame.bgr.shape[:2], small_grey(frame.bgr))
            for frame in same_size(frames)
        )
        for block in blocks(places, self._options.block):
            responses = respond(np.stack([place.grey for place in block], axis=-1))
            for k, place in enumerate(block):
                if place.kept:
                    whole = imresize(responses[..., k], place.shape, "bilinear")
                    yield place.index, np.maximum(whole, 0).astype(np.float32)


def small_grey(bgr: NDArray[np.uint8]) -> Floats:
    """Return a frame as 64 x 64 grey levels in [0, 255]."""
    grey = rgb2gray(bgr[..., ::-1]).astype(np.float64)
    return imresize(grey, (SIDE, SIDE), "bilinear")


def temporal_residual(volume: Floats) -> Floats:
    """Return the responses of the X-T slices and of the Y-T slices, added.

    Parameters
    ----------
    volume
        Rows x columns x frames, grey levels up to 255.

    Returns
    -------
    Same shape, >= 0.
    """
    return _slice_responses(volume, (1, 2)) + _slice_responses(volume, (0, 2))


def phase_response(volume: Floats) -> Floats:
    """Return the smoothed response to the phase of the 3-D spectrum.

    Parameters
    ----------
    volume
        Rows x columns x frames, of any scale.

    Returns
    -------
    Same shape, >= 0 but for rounding.
    """
    phase, _ = _phase_and_amplitude(fft.fftn(volume), axes=(0, 1, 2))
    back = fft.ifftn(phase)
    disks = np.repeat(fspecial_disk(RADIUS)[..., None] / DURATION, DURATION, axis=-1)
    # Like Matlab's, the centre of six taps is the third.
    origin = cast(int, (0, 0, -1))  # the stubs know of no sequence
    smoothed: Floats = ndimage.correlate(back.real**2 + back.imag**2, disks, mode="constant", origin=origin)
    return smoothed


def _slice_responses(volume: Floats, axes: tuple[int, int]) -> Floats:
    """Return the smoothed squared spectral residual of all slices along two axes."""
    phase, amplitude = _phase_and_amplitude(fft.fft2(volume, axes=axes), axes)
    logarithm = np.log1p(amplitude)
    mean = ndimage.uniform_filter(logarithm, size=3, mode="nearest", axes=axes)
    back = fft.ifft2(np.exp(logarithm - mean) * phase, axes=axes)
    return ndimage.gaussian_filter(back.real**2 + back.imag**2, SMOOTHING, axes=axes)


def _phase_and_amplitude(
    spectrum: NDArray[np.complex128], axes: tuple[int, ...]
) -> tuple[NDArray[np.complex128], Floats]:
    """Return unit phases, zero where there is no more than noise, and the amplitudes of the spectra along some axes."""
    amplitude = np.abs(spectrum)
    audible = amplitude > NOISE * amplitude.max(axis=axes, keepdims=True)
    return np.divide(spectrum, amplitude, out=np.zeros_like(spectrum), where=audible), amplitude
