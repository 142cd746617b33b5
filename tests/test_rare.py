"""RARE-style stage by stage against the definition, written out slowly, and what any rarity must do."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.decomposition import PCA

from dynsal.baselines import create
from dynsal.baselines.rare import (
    BORDER,
    ORIENTATIONS,
    WAVELENGTHS,
    fuse,
    gabor_magnitudes,
    principal_components,
    rarity,
    saliency,
)
from dynsal.config_baselines import RareStyleOptions
from dynsal.prepare import Frame

Array = NDArray[Any]


def stretched(image: Array) -> Array:
    span = image.max() - image.min()
    return (image - image.min()) / span if span > 1e-5 else np.zeros(image.shape)


def slow_components(rgb: Array) -> Array:
    model = PCA().fit(rgb.reshape(-1, 3))
    signs = [np.sign(axis[abs(axis).argmax()]) for axis in model.components_]
    return (model.transform(rgb.reshape(-1, 3)) * signs).reshape(rgb.shape)


def slow_gabor(image: Array, wavelength: float, k: int) -> Array:
    """Return one magnitude by matrices of the discrete Fourier transform."""
    padded = np.pad(image, BORDER, mode="reflect")
    up, across = (np.exp(-2j * np.pi * np.outer(range(n), range(n)) / n) for n in padded.shape)
    v, u = (np.array([i / n if 2 * i < n else i / n - 1 for i in range(n)]) for n in padded.shape)
    angle, frequency = k * np.pi / 8, 1 / wavelength
    from_centre = (u - frequency * np.cos(angle)) ** 2 + (v[:, None] - frequency * np.sin(angle)) ** 2
    gain = np.exp(-from_centre / (2 * (frequency / 3) ** 2))
    gain[0, 0] = 0
    response = up.conj() @ (up @ padded @ across * gain) @ across.conj() / padded.size
    return abs(response)[BORDER:-BORDER, BORDER:-BORDER]


def enlarged(image: Array, shape: tuple[int, ...]) -> Array:
    """Return a bilinear enlargement, one axis after the other; the border's value lies outside."""
    for axis in (0, 1):
        n_in, n_out = image.shape[axis], shape[axis]
        at = (np.arange(n_out) + 0.5) * n_in / n_out - 0.5
        image = np.apply_along_axis(lambda line, at=at: np.interp(at, range(len(line)), line), axis, image)
    return image


def slow_rarity(image: Array, bins: int) -> Array:
    level = stretched(image)
    if not level.any():
        return level
    occurrence = np.zeros(image.shape)
    for _ in range(4):
        chosen = [min(int(value * bins), bins - 1) for value in level.ravel()]
        shares = np.array([chosen.count(one) / len(chosen) for one in chosen])
        occurrence += enlarged(shares.reshape(level.shape), image.shape)
        for axis in (0, 1):
            level = ndimage.correlate1d(level, np.array([1, 4, 6, 4, 1]) / 16, axis, mode="mirror")
        level = level[::2, ::2]
    return stretched(-np.log(occurrence))


def slow_fusion(maps: list[Array]) -> Array:
    ordered = sorted(maps, key=lambda one: (one.max() - one.mean()) ** 2)
    most = (ordered[-1].max() - ordered[-1].mean()) ** 2
    total = np.zeros(maps[0].shape)
    for i, one in enumerate(ordered, start=1):
        efficiency = (one.max() - one.mean()) ** 2
        if efficiency >= 0.3 * most:
            total += i / len(maps) * efficiency * one
    return stretched(total)


def slow_saliency(bgr: Array, bins: int) -> Array:
    """Return the map of an image that need not be shrunk."""
    fused = []
    for component in np.moveaxis(slow_components(bgr[..., ::-1] / 255), -1, 0):
        scales = [
            slow_fusion([slow_rarity(slow_gabor(component, wavelength, k), bins) for k in range(8)])
            for wavelength in (4, 8, 16)
        ]
        fused.append(slow_fusion([slow_rarity(component, bins), slow_fusion(scales)]))
    return ndimage.gaussian_filter(slow_fusion(fused), bgr.shape[1] / 32, mode="mirror")


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return coarse and fine colour noise."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.integers(0, 256, (5, 6, 3)).astype(np.float32), (width, height))
    return np.clip(coarse + rng.normal(0, 20, (height, width, 3)), 0, 255).astype(np.uint8)


def test_a_frame_equals_the_definition():
    image = picture(36, 45)
    found, expected = saliency(image, 7), slow_saliency(image, 7)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert expected.max() > 0.3


@pytest.mark.parametrize("seed", range(4))
def test_rarity_equals_the_definition(seed):
    # Seven bins of 256 grey levels: no value of the pyramid lies on a bin's edge, where rounding would decide.
    image = picture(29, 40, seed)[..., 0].astype(np.float32)
    np.testing.assert_allclose(rarity(image, 7), slow_rarity(image.astype(float), 7), atol=1e-5)


def test_components_are_those_of_an_independent_analysis():
    rgb = (picture(30, 41)[..., ::-1] / 255).astype(np.float32)
    np.testing.assert_allclose(principal_components(rgb), slow_components(rgb), atol=1e-5)


@pytest.mark.parametrize("wavelength", WAVELENGTHS)
def test_gabor_magnitudes_equal_the_definition(wavelength):
    image = picture(23, 34)[..., 1].astype(np.float32) / 255
    expected = [slow_gabor(image, wavelength, k) for k in range(ORIENTATIONS)]
    np.testing.assert_allclose(gabor_magnitudes(image, wavelength), expected, atol=1e-6)


@pytest.mark.parametrize("wavelength", [8, 16])
@pytest.mark.parametrize("k", range(ORIENTATIONS))
def test_filters_are_waves_under_a_gaussian(wavelength, k):
    """In space: a wave along 22.5 k degrees times a Gaussian of standard deviation 3 wavelengths / 2 pi."""
    impulse = np.zeros((81, 81), np.float32)
    impulse[40, 40] = 1
    distance = np.hypot(*np.mgrid[-40:41, -40:41])
    sigma = 3 * wavelength / (2 * np.pi)
    expected = np.exp(-(distance**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    # Less than the tail of the spectrum at zero frequency, exp(-9 / 2), which is taken away from one number only.
    np.testing.assert_allclose(
        gabor_magnitudes(impulse, wavelength)[k], expected, atol=0.012 * expected.max()
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, ORIENTATIONS - 1), st.sampled_from(WAVELENGTHS), st.floats(0, 6.28))
def test_a_wave_excites_its_own_filter_most(k, wavelength, phase):
    y, x = np.mgrid[:96, :96]
    angle = k * np.pi / ORIENTATIONS
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wavelength + phase).astype(np.float32)
    centre = np.array(
        [gabor_magnitudes(wave, each)[:, 40:56, 40:56].mean(axis=(1, 2)) for each in WAVELENGTHS]
    )
    assert np.unravel_index(centre.argmax(), centre.shape) == (WAVELENGTHS.index(wavelength), k)
    assert centre.max() == pytest.approx(0.5, abs=0.01)  # a real wave is half of two complex ones


def test_fusion_by_hand():
    # Means 1/4, 1/2, 3/4; efficiencies 9/16, 1/4, 1/16. The last is below 0.3 * 9/16 and counts as the first of three.
    maps = [np.array([row], np.float32) for row in ([1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0])]
    # 3/3 * 9/16 * [1 0 0 0] + 2/3 * 1/4 * [1 1 0 0] = [35 8 0 0] / 48
    np.testing.assert_allclose(fuse(maps), [[1, 8 / 35, 0, 0]], rtol=1e-6)


@pytest.mark.parametrize(("ones", "share"), [(45, 0.5 * 0.55**2), (46, 0)])
def test_fusion_leaves_out_what_is_below_three_tenths_of_the_best(ones, share):
    best, other = np.zeros((2, 1, 100), np.float32)
    best[0, 0], other[0, :ones] = 1, 1
    # Efficiencies .99^2 and .55^2 (.309 of it) or .54^2 (.298).
    assert fuse([best, other])[0, 1] == pytest.approx(share / (0.99**2 + share), rel=1e-5)


@given(st.permutations(range(4)))
def test_fusion_does_not_depend_on_the_order(order):
    maps = np.random.default_rng(1).random((4, 5, 6), np.float32) ** np.arange(1, 5)[:, None, None]
    shuffled = fuse([maps[i].astype(np.float32) for i in order])
    np.testing.assert_allclose(shuffled, fuse(list(maps.astype(np.float32))), atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(3)), st.integers(0, 3))
def test_permuting_the_channels_changes_nothing_but_rounding(order, seed):
    image = picture(60, 80, seed)
    # A pixel that rounding moved across the edge of a bin would change by itself; the final Gaussian would spread it.
    np.testing.assert_allclose(saliency(image[..., order], 32), saliency(image, 32), atol=1e-3)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (3, 150, 77)])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (300, 400)])
def test_a_plain_image_has_nothing_rare(colour, size):
    assert not saliency(np.full((*size, 3), colour, np.uint8), 32).any()


def test_a_grey_image_has_one_component():
    grey = np.repeat(picture(40, 50)[..., :1], 3, axis=2)
    components = principal_components(grey.astype(np.float32) / 255)
    assert not components[..., 1:].any()
    values = (grey[..., 0] / 255 - (grey[..., 0] / 255).mean()) * np.sqrt(3)
    np.testing.assert_allclose(components[..., 0], values, atol=1e-6)
    np.testing.assert_allclose(saliency(grey, 7), slow_saliency(grey, 7), atol=1e-4)


def striped(height: int, width: int, seed: int) -> Array:
    noise = np.random.default_rng(seed).normal(0, 5, (height, width))
    stripes = 128 + 60 * np.sin(2 * np.pi * np.arange(width) / 16) + noise
    return np.repeat(stripes[..., None], 3, axis=2)


@settings(max_examples=10, deadline=None)
@given(
    st.integers(40, 160), st.integers(40, 230), st.sampled_from(["colour", "orientation"]), st.integers(0, 99)
)
def test_the_odd_one_out_is_the_maximum(top, left, kind, seed):
    image = striped(240, 320, seed)
    patch = (slice(top, top + 44), slice(left, left + 44))
    if kind == "colour":
        image[patch] += (-50, 0, 50)
    else:
        image[patch] = striped(44, 44, seed + 1).swapaxes(0, 1)
    found = saliency(np.clip(image, 0, 255).astype(np.uint8), 32)
    y, x = np.unravel_index(found.argmax(), found.shape)
    assert abs(y - top - 21.5) < 35
    assert abs(x - left - 21.5) < 35


def test_large_images_are_shrunk_to_256_pixels_by_averaging():
    small = np.clip(picture(192, 256), 40, 200)
    # The details have a mean of zero in every nine pixels.
    details = np.tile(np.array([[-5, -5, -5], [-5, 40, -5], [-5, -5, -5]]), (192, 256))
    large = (small.repeat(3, axis=0).repeat(3, axis=1) + details[..., None]).astype(np.uint8)
    expected = cv2.resize(saliency(small, 7), (768, 576), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(saliency(large, 7), expected, atol=1e-3)


def test_the_number_of_bins_is_an_option_and_frames_stand_alone():
    frames = [Frame(i, i / 30, picture(30, 40, i), i != 1) for i in range(3)]
    found = dict(create(RareStyleOptions(bins=5), {}).maps(frames))
    assert list(found) == [0, 2]
    np.testing.assert_array_equal(found[2], saliency(frames[2].bgr, 5))
    assert not np.array_equal(found[2], saliency(frames[2].bgr, 32))
