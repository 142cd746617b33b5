"""PQFT against a quaternion Fourier transform written out with Hamilton's products, and its memory of frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dynsal.baselines.matlab import fspecial_disk, fspecial_gaussian, imfilter, mat2gray
from dynsal.baselines.pqft import (
    Pqft,
    guo_map,
    guo_saliency,
    pqft2_map,
    pqft2_saliency,
    quaternion_spectrum,
)
from dynsal.config_baselines import PqftOptions
from dynsal.prepare import Frame

Array = NDArray[Any]

brief = settings(max_examples=15, deadline=None)
sides = st.integers(3, 6)
seeds = st.integers(0, 2**32 - 1)

GREY = np.array([0, 1, 1, 1]) / np.sqrt(3)


def hamilton(p: Array, q: Array) -> Array:
    a, b, c, d = np.moveaxis(p, -1, 0)
    e, f, g, h = np.moveaxis(q, -1, 0)
    return np.stack(
        [
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        ],
        axis=-1,
    )


def transform(q: Array, sign: int) -> Array:
    """Return the left transform of quaternions H x W x 4 with the axis grey, sample by sample."""
    height, width = q.shape[:2]
    y, x = np.mgrid[:height, :width]
    result = np.empty_like(q)
    for v in range(height):
        for u in range(width):
            angle = 2 * np.pi * (v * y / height + u * x / width)
            wave = (
                np.cos(angle)[..., None] * np.array([1.0, 0, 0, 0]) + sign * np.sin(angle)[..., None] * GREY
            )
            result[v, u] = hamilton(wave, q).sum(axis=(0, 1))
    return result if sign < 0 else result / (height * width)


def quaternions(rgb: Array, motion: Array, clip: bool) -> Array:
    r, g, b = np.moveaxis(rgb, -1, 0)
    yellow = (r + g) / 2 - abs(r - g) / 2 - b
    yellow = np.where(yellow < 0, 0, yellow) if clip else yellow
    red_green = (r - (g + b) / 2) - (g - (r + b) / 2)
    return np.stack([motion, red_green, (b - (r + g) / 2) - yellow, rgb.mean(axis=-1)], axis=-1)


def two_frames(height: int, width: int, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.random((height, width, 3)), rng.random((height, width, 3))


@brief
@given(sides, sides, seeds)
def test_halves_are_those_of_the_quaternion_transform(height, width, seed):
    q = np.random.default_rng(seed).normal(size=(height, width, 4))
    c1, c2 = quaternion_spectrum(q[..., 0], q[..., 1:])
    expected = transform(q, -1)
    np.testing.assert_allclose(c1.real, expected[..., 0], atol=1e-10)
    np.testing.assert_allclose(c1.imag, expected[..., 1:] @ GREY[1:], atol=1e-10)
    np.testing.assert_allclose(abs(c1) ** 2 + abs(c2) ** 2, (expected**2).sum(axis=-1), atol=1e-9)


@brief
@given(sides, sides, seeds)
def test_pqft2_equals_its_definition_without_any_choice_of_basis(height, width, seed):
    now, before = two_frames(height, width, seed)
    q = transform(quaternions(now, abs(now.mean(axis=-1) - before.mean(axis=-1)), clip=False), -1)
    length = np.linalg.norm(q[..., 1:], axis=-1)
    phase = np.angle(q[..., 0] + 1j * np.sign(q[..., 1:] @ GREY[1:]) * length)
    s = abs(np.fft.ifft2(np.exp(1j * phase))) ** 2
    s[0, 0] = np.mean([s[0, 1], s[1, 1], s[1, 0]])
    expected = mat2gray(imfilter(s, fspecial_gaussian(8, 3)))
    np.testing.assert_allclose(pqft2_saliency(now, before), expected, atol=1e-8)


# Larger, because a map of few pixels inside its border is constant but for rounding.
@brief
@given(st.integers(6, 9), st.integers(6, 9), seeds)
def test_guo_equals_its_definition_without_any_choice_of_basis(height, width, seed):
    now, before = two_frames(height, width, seed)
    motion = abs((now - before) @ [0.298936, 0.587043, 0.114021])
    q = transform(quaternions(now, motion, clip=True), -1)
    back = transform(q / np.linalg.norm(q, axis=-1, keepdims=True), +1)
    s = (back**2).sum(axis=-1)
    s[[0, -1]] = 0
    s[:, [0, -1]] = 0
    expected = mat2gray(imfilter(s, fspecial_disk(3)))
    found = guo_saliency(now, before)
    np.testing.assert_allclose(found, expected, atol=1e-4)  # the grey weights have six digits


def video(n: int, kept: range | None = None) -> list[Frame]:
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (n, 30, 44, 3), dtype=np.uint8)
    return [Frame(7 * i, i / 30, pixels[i], kept is None or i in kept) for i in range(n)]


@pytest.mark.parametrize("tau", [1, 3])
@pytest.mark.parametrize("variant", ["pqft2", "guo"])
def test_motion_compares_with_tau_frames_ago_whichever_are_kept(variant, tau):
    function = {"pqft2": pqft2_map, "guo": guo_map}[variant]
    frames = video(8, kept=range(1, 8, 2))
    found = dict(Pqft(PqftOptions(variant=variant, tau=tau), {}).maps(iter(frames)))
    assert list(found) == [7, 21, 35, 49]
    for i in (i for i in range(1, 8, 2) if i >= tau):
        np.testing.assert_array_equal(found[7 * i], function(frames[i].bgr, frames[i - tau].bgr))


def test_the_first_frames_are_blank_in_pqft2_and_still_images_in_guo():
    frames = video(4)
    blank = [m for _, m in Pqft(PqftOptions(), {}).maps(frames)]
    assert [m.any() for m in blank] == [False, False, False, True]
    still = [m for _, m in Pqft(PqftOptions(variant="guo"), {}).maps(frames)]
    np.testing.assert_array_equal(still[2], guo_map(frames[2].bgr))
    assert abs(still[3] - guo_map(frames[3].bgr)).max() > 0.01


@pytest.mark.parametrize(("variant", "alone"), [("pqft2", pqft2_map), ("guo", guo_map)])
def test_a_stream_of_one_frame_is_a_still_image(variant, alone):
    (frame,) = video(1)
    ((index, saliency),) = Pqft(PqftOptions(variant=variant), {}).maps([frame])
    assert index == frame.index
    np.testing.assert_array_equal(saliency, alone(frame.bgr))
    assert saliency.any()


def test_a_still_image_has_no_motion():
    bgr = video(1)[0].bgr
    np.testing.assert_array_equal(pqft2_map(bgr), pqft2_map(bgr, bgr))


def test_a_lone_moving_thing_is_salient():
    rng = np.random.default_rng(1)
    before = np.repeat(rng.integers(110, 140, (64, 64, 1), dtype=np.uint8), 3, axis=-1)
    now = before.copy()
    now[40:44, 20:24] = 125 + 60
    y, x = np.unravel_index(pqft2_map(now, before).argmax(), (64, 64))
    assert 36 <= y < 48
    assert 16 <= x < 28


def test_colours_are_those_of_bgr_frames():
    bgr = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    rgb = bgr[..., ::-1] / 255.0
    np.testing.assert_allclose(pqft2_map(bgr), pqft2_saliency(rgb, rgb), atol=1e-6)
    assert abs(pqft2_map(bgr) - pqft2_map(bgr[..., ::-1])).max() > 0.1


def test_guo_keeps_the_aspect_at_64_rows(monkeypatch):
    seen = []
    import dynsal.baselines.pqft as module

    original = module.imresize
    monkeypatch.setattr(module, "imresize", lambda a, size, m: seen.append(size) or original(a, size, m))
    guo_map(np.zeros((480, 640, 3), np.uint8))
    assert seen == [(64, 85), (480, 640)]  # the author's own numbers for 4:3


@pytest.mark.parametrize("function", [pqft2_map, guo_map])
def test_rounding_noise_makes_no_pattern(function):
    # A flat frame has one frequency; what the others hold is noise. What remains is the filter's border of zeros.
    inner = function(np.full((64, 86, 3), 77, np.uint8))[8:-8, 8:-8]
    np.testing.assert_allclose(inner, 1, atol=1e-3)
