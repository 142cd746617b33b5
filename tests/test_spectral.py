"""Spectral residual per frame and in time, slice by slice against the definition."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from dynsal.baselines.matlab import fspecial_disk, imresize
from dynsal.baselines.spectral import (
    SpectralResidual,
    TemporalSpectral,
    phase_response,
    small_grey,
    temporal_residual,
)
from dynsal.config_baselines import SpectralOptions, TemporalSpectralOptions
from dynsal.prepare import Frame

Array = NDArray[Any]


def video(n: int, kept: range | None = None) -> list[Frame]:
    pixels = np.random.default_rng(3).integers(0, 256, (n, 30, 44, 3), dtype=np.uint8)
    return [Frame(i, i / 30, pixels[i], kept is None or i in kept) for i in range(n)]


def test_the_static_model_is_opencvs():
    frames = video(3, kept=range(0, 3, 2))
    found = dict(SpectralResidual(SpectralOptions(), {}).maps(frames))
    assert list(found) == [0, 2]
    _, expected = cv2.saliency.StaticSaliencySpectralResidual_create().computeSaliency(frames[2].bgr)
    np.testing.assert_array_equal(found[2], expected)


def slice_response(image: Array) -> Array:
    """Return the smoothed squared spectral residual of one slice."""
    spectrum = np.fft.fft2(image)
    amplitude = np.log(1 + abs(spectrum))
    padded = np.pad(amplitude, 1, mode="edge")
    mean = sum(padded[i : i + image.shape[0], j : j + image.shape[1]] for i in range(3) for j in range(3)) / 9
    back = np.fft.ifft2(np.exp(amplitude - mean + 1j * np.angle(spectrum)))
    return ndimage.gaussian_filter(abs(back) ** 2, 2.5)


def test_temporal_residual_adds_the_x_t_and_the_y_t_slices():
    volume = np.random.default_rng(7).integers(0, 256, (9, 12, 7)).astype(float)
    expected = np.zeros_like(volume)
    for y in range(9):
        expected[y] += slice_response(volume[y])
    for x in range(12):
        expected[:, x] += slice_response(volume[:, x])
    np.testing.assert_allclose(temporal_residual(volume), expected, rtol=1e-9)


def test_phase_response_equals_its_definition():
    volume = np.random.default_rng(7).random((9, 8, 11))
    spectrum = np.fft.fftn(volume)
    raw = np.pad(abs(np.fft.ifftn(spectrum / abs(spectrum))) ** 2, ((3, 3), (3, 3), (2, 3)))
    disk = fspecial_disk(3)
    expected = np.zeros_like(volume)
    for y, x, t in np.ndindex(volume.shape):
        # Six frames, of which the third is the centre: two before to three after.
        expected[y, x, t] = (raw[y : y + 7, x : x + 7, t : t + 6] * disk[..., None]).sum() / 6
    np.testing.assert_allclose(phase_response(volume), expected, rtol=1e-9)


def test_a_still_block_has_no_noise_to_amplify():
    # All its energy is in the frequencies without time, and so must the response's be (but for zeros before and after).
    still = np.repeat(np.random.default_rng(1).random((16, 16, 1)), 15, axis=2)
    for response in (temporal_residual(255 * still), phase_response(still)[..., 2:-3]):
        np.testing.assert_allclose(
            response, np.repeat(response[..., :1], response.shape[2], axis=2), rtol=1e-6
        )


@pytest.mark.parametrize(("form", "respond"), [("residual", temporal_residual), ("phase3d", phase_response)])
def test_blocks_hold_all_frames_and_give_maps_of_those_kept(form, respond):
    frames = video(9, kept=range(1, 9, 3))
    options = TemporalSpectralOptions(form=form, block=4)
    found = dict(TemporalSpectral(options, {}).maps(iter(frames)))
    assert list(found) == [1, 4, 7]
    last = np.stack([small_grey(frame.bgr) for frame in frames[4:]], axis=-1)
    np.testing.assert_allclose(
        found[7], imresize(respond(last)[..., 3], (30, 44), "bilinear"), rtol=1e-5, atol=1e-12
    )


@pytest.mark.parametrize("form", ["residual", "phase3d"])
def test_a_lone_change_is_salient(form):
    rng = np.random.default_rng(2)
    grey = rng.integers(100, 150, (64, 64, 1)) + rng.integers(
        -2, 3, (24, 64, 64, 1)
    )  # texture, and camera noise
    frames = [
        Frame(i, i / 30, np.repeat(one, 3, axis=2).astype(np.uint8), True) for i, one in enumerate(grey)
    ]
    for i, frame in enumerate(frames):
        frame.bgr[20:26, 4 + 2 * i : 10 + 2 * i] = 250
    found = dict(TemporalSpectral(TemporalSpectralOptions(form=form), {}).maps(frames))
    y, x = np.unravel_index(found[12].argmax(), (64, 64))
    assert 17 <= y < 29
    assert 22 <= x < 44
