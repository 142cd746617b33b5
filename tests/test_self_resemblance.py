"""Self-resemblance against its definition, voxel by voxel with singular value decompositions; colours; blocks."""

from __future__ import annotations

from itertools import product
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dynsal.baselines.matlab import imresize, mat2gray
from dynsal.baselines.self_resemblance import (
    SelfResemblance,
    global_resemblance,
    local_resemblance,
    rgb_to_lab,
    small_grey,
    space_time,
    static_descriptors,
    static_map,
)
from dynsal.config_baselines import SelfResemblanceOptions
from dynsal.prepare import Frame

Array = NDArray[Any]

DISK = np.array(
    [[0.025079, 0.145344, 0.025079], [0.145344, 0.31831, 0.145344], [0.025079, 0.145344, 0.025079]]
)
"""The specification's numbers, six digits."""


def weights_3d() -> Array:
    k = np.empty((3, 3, 3))
    for i, j, t in np.ndindex(3, 3, 3):
        k[i, j, t] = DISK[i, j] * DISK[i, t] * DISK[j, t]
    for t in range(3):
        k[:, :, t] /= k[1, 1, t]
    return k


def naive_space_time(volume: Array) -> Array:
    """Follow the definition, step by step, rows x columns x frames."""
    z = volume / volume.std(ddof=1) if np.ptp(volume) else volume
    k = weights_3d()
    gy, gx, gt = (np.pad(g, 1, mode="reflect") for g in np.gradient(z))
    c = np.empty((*z.shape, 3, 3))
    for place in np.ndindex(z.shape):
        window = tuple(slice(p, p + 3) for p in place)
        g = np.stack([(gx[window] * k).ravel(), (gy[window] * k).ravel(), (gt[window] * k).ravel()], axis=1)
        _, s, v = np.linalg.svd(g, full_matrices=False)
        stretch = [
            (s[0] + 1) / (np.sqrt(s[1] * s[2]) + 1),
            (s[1] + 1) / (np.sqrt(s[0] * s[2]) + 1),
            (s[2] + 1) / (np.sqrt(s[0] * s[1]) + 1),
        ]
        c[place] = sum(a * np.outer(row, row) for a, row in zip(stretch, v, strict=True))
        c[place] *= ((s[0] * s[1] * s[2] + 1e-7) / k.sum()) ** 0.42
    c = np.pad(c, ((1, 1), (1, 1), (1, 1), (0, 0), (0, 0)), mode="reflect")
    d = np.empty((*z.shape, 27))
    for place in np.ndindex(z.shape):
        for n, (dy, dx, dt) in enumerate(product((-1, 0, 1), repeat=3)):
            x = np.array([dx, dy, dt])
            d[place][n] = np.exp(-0.5 * x @ c[place[0] + 1 + dy, place[1] + 1 + dx, place[2] + 1 + dt] @ x)
    padded = np.pad(d, ((1, 1), (1, 1), (1, 1), (0, 0)), mode="reflect")
    result = np.empty(z.shape)
    for place in np.ndindex(z.shape):
        total = 0.0
        for offset in product((0, 1, 2), repeat=3):
            other = padded[tuple(np.add(place, offset))]
            cosine = d[place] @ other / np.linalg.norm(d[place]) / np.linalg.norm(other)
            total += np.exp((-1 + cosine) / 0.7**2)
        result[place] = 1 / total
    return result


@settings(max_examples=6, deadline=None)
@given(st.tuples(st.integers(2, 6), st.integers(2, 6), st.integers(2, 5)), st.integers(0, 2**32 - 1))
def test_space_time_equals_its_definition(shape, seed):
    volume = np.random.default_rng(seed).random(shape)
    np.testing.assert_allclose(space_time(volume), naive_space_time(volume), rtol=1e-4)


def still(shape: tuple[int, int, int]) -> Array:
    return np.repeat(np.random.default_rng(8).random((*shape[:2], 1)), shape[2], axis=2)


@pytest.mark.parametrize(
    "volume",
    [
        np.zeros((4, 5, 3)),
        np.full((4, 5, 3), 0.3),
        still((6, 5, 3)),
        np.mgrid[:5, :6, :4].sum(axis=0) / 20,  # everywhere one direction only
        np.eye(6)[..., None] * np.linspace(0, 1, 4),
    ],
    ids=["black", "flat", "still", "ramp", "fading diagonal"],
)
def test_products_of_gradients_stand_for_their_decomposition_where_that_is_degenerate(volume):
    np.testing.assert_allclose(space_time(volume), naive_space_time(volume), rtol=1e-4)


def test_one_frame_counts_as_two_equal_ones():
    frame = still((6, 7, 2))
    np.testing.assert_array_equal(space_time(frame[..., :1])[..., 0], space_time(frame)[..., 0])


def naive_static_descriptors(channel: Array) -> Array:
    k = DISK / DISK[1, 1]
    gy, gx = (np.pad(g, 1, mode="reflect") for g in np.gradient(channel))
    c = np.empty((*channel.shape, 2, 2))
    for y, x in np.ndindex(channel.shape):
        window = slice(y, y + 3), slice(x, x + 3)
        g = np.stack([(gx[window] * k).ravel(), (gy[window] * k).ravel()], axis=1)
        _, s, v = np.linalg.svd(g, full_matrices=False)
        first, second = (s[0] + 1) / (s[1] + 1), (s[1] + 1) / (s[0] + 1)
        energy = ((s[0] * s[1] + 1e-7) / k.sum()) ** 0.42
        c[y, x] = (first * np.outer(v[0], v[0]) + second * np.outer(v[1], v[1])) * energy
    c = np.pad(c, ((1, 1), (1, 1), (0, 0), (0, 0)), mode="reflect")
    d = np.empty((*channel.shape, 9))
    for y, x in np.ndindex(channel.shape):
        for n, (dy, dx) in enumerate(product((-1, 0, 1), repeat=2)):
            m = c[y + 1 + dy, x + 1 + dx]  # m[0, 0] comes from d/dx and yet multiplies the row offset
            d[y, x, n] = np.exp(-0.5 * (m[0, 0] * dy**2 + 2 * m[0, 1] * dx * dy + m[1, 1] * dx**2) / 0.2**2)
    return d


def test_static_descriptors_equal_their_definition_with_the_authors_slip():
    coarse = np.random.default_rng(4).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    bgr = cv2.resize(coarse, (90, 70), interpolation=cv2.INTER_CUBIC)
    small = imresize(rgb_to_lab(bgr), (64, 64), "bilinear")
    expected = np.concatenate([naive_static_descriptors(mat2gray(small[..., k])) for k in range(3)], axis=-1)
    np.testing.assert_allclose(static_descriptors(bgr), expected, atol=1e-5)


def described(shape: tuple[int, int], seed: int) -> Array:
    return np.exp(-np.random.default_rng(seed).random((*shape, 5)))


def windows(array: Array, side: int) -> Array:
    """Return the window around each sample of an array that is already padded, as vectors of length 1."""
    height, width = array.shape[0] - side + 1, array.shape[1] - side + 1
    rows = [array[y : y + side, x : x + side].ravel() for y in range(height) for x in range(width)]
    return (np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)).reshape(height, width, -1)


@settings(max_examples=8, deadline=None)
@given(st.tuples(st.integers(4, 9), st.integers(4, 9)), st.integers(0, 2**32 - 1))
def test_global_resemblance_equals_its_definition(shape, seed):
    d = described(shape, seed)
    features = windows(np.pad(d, ((3, 3), (3, 3), (0, 0)), mode="reflect"), 7).reshape(
        d.shape[0] * d.shape[1], -1
    )
    expected = np.exp((-1 + features @ features.T) / 0.07**2).sum(axis=1).reshape(shape)
    np.testing.assert_allclose(global_resemblance(d), expected, rtol=1e-8)


@settings(max_examples=8, deadline=None)
@given(st.tuples(st.integers(5, 9), st.integers(5, 9)), st.integers(0, 2**32 - 1))
def test_local_resemblance_equals_its_definition(shape, seed):
    d = described(shape, seed)
    once = np.pad(d, ((4, 4), (4, 4), (0, 0)), mode="reflect")
    twice = np.pad(once, ((3, 3), (3, 3), (0, 0)), mode="reflect")
    centre, around = windows(once, 9), windows(twice, 9)
    expected = np.zeros(shape)
    for y, x in np.ndindex(shape):
        expected[y, x] = np.exp((-1 + around[y : y + 7, x : x + 7] @ centre[y, x]) / 0.07**2).sum()
    np.testing.assert_allclose(local_resemblance(d), expected, rtol=1e-8)


@pytest.mark.parametrize("local", [False, True])
def test_static_map_is_the_stretched_inverse_of_the_resemblance(local):
    bgr = cv2.resize(np.random.default_rng(6).integers(0, 256, (8, 8, 3), dtype=np.uint8), (80, 60))
    d = static_descriptors(bgr)
    small = 1 / (local_resemblance(d) if local else global_resemblance(d))
    expected = imresize((small - small.min()) / np.ptp(small), (60, 80), "bilinear")
    np.testing.assert_allclose(static_map(bgr, local), expected, atol=1e-6)


def test_colours_by_hand():
    rgb = [(255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 0, 255), (119, 119, 119)]
    known = [(100, 0, 0), (0, 0, 0), (53.24, 80.09, 67.20), (32.30, 79.19, -107.86), (50.03, 0, 0)]
    found = rgb_to_lab(np.array([rgb], np.uint8)[..., ::-1])[0]
    np.testing.assert_allclose(found, known, atol=0.02)


def test_colours_are_close_to_opencvs():
    bgr = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    expected = cv2.cvtColor((bgr / 255).astype(np.float32), cv2.COLOR_BGR2Lab)
    np.testing.assert_allclose(rgb_to_lab(bgr), expected, atol=0.4)  # its tables are coarse


def test_grey_has_no_colour_to_stretch():
    grey = np.repeat(np.random.default_rng(0).integers(0, 256, (64, 64, 1), dtype=np.uint8), 3, axis=2)
    found = static_descriptors(grey)
    assert np.ptp(found[..., :9], axis=(0, 1)).max() > 0.1
    np.testing.assert_array_equal(found[..., 9:], np.broadcast_to(found[:1, :1, 9:], (64, 64, 18)))


def video(n: int, kept: range | None = None) -> list[Frame]:
    coarse = np.random.default_rng(9).integers(0, 256, (n + 8, 12, 3), dtype=np.uint8)
    pixels = cv2.resize(coarse, (48, 6 * (n + 8)))
    return [
        Frame(i, i / 30, np.ascontiguousarray(pixels[3 * i : 3 * i + 36]), kept is None or i in kept)
        for i in range(n)
    ]


def test_grey_values_are_rounded_after_each_step():
    bgr = video(1)[0].bgr
    small = imresize(bgr, (64, 64)).astype(float) @ [0.114021, 0.587043, 0.298936]
    np.testing.assert_allclose(small_grey(bgr), np.floor(small + 0.5) / 255, atol=1e-12)


def block_maps(frames: list[Frame]) -> list[Array]:
    """Return the full-size maps of a block, stretched together."""
    volume = space_time(np.stack([small_grey(frame.bgr) for frame in frames], axis=-1))
    maps = np.stack([imresize(volume[..., k], frames[0].bgr.shape[:2]) for k in range(len(frames))])
    return list((maps - maps.min()) / np.ptp(maps))


def test_blocks_are_stretched_each_and_averaged_where_they_overlap():
    frames = video(7)
    found = list(SelfResemblance(SelfResemblanceOptions(block=4, overlap=2), {}).maps(frames))
    expected: list[list[Array]] = [[] for _ in frames]
    for start, stop in ((0, 4), (2, 6), (4, 7)):
        for k, one in enumerate(block_maps(frames[start:stop])):
            expected[start + k].append(one)
    assert [index for index, _ in found] == list(range(7))
    for (_, one), some in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, np.mean(some, axis=0), atol=1e-6)


def test_frames_that_are_not_kept_are_part_of_the_volume():
    frames = video(5)
    expected = block_maps(frames)
    found = dict(SelfResemblance(SelfResemblanceOptions(), {}).maps(video(5, kept=range(1, 5, 2))))
    assert list(found) == [1, 3]
    np.testing.assert_allclose(found[3], expected[3], atol=1e-6)


@pytest.mark.parametrize("form", ["space_time", "static_global", "static_local"])
@pytest.mark.parametrize("colour", [(0, 0, 0), (30, 77, 201)])
def test_rounding_noise_of_flat_frames_is_not_stretched(form, colour):
    frames = [Frame(i, i / 30, np.full((37, 53, 3), colour, np.uint8), True) for i in range(3)]
    for _, found in SelfResemblance(SelfResemblanceOptions(form=form), {}).maps(frames):
        assert not found.any()


def test_a_still_picture_keeps_its_contrast():
    # Without change in time what distinguishes places is minute, yet far above rounding.
    frames = [Frame(i, i / 30, video(1)[0].bgr, True) for i in range(3)]
    ((_, found), *_) = SelfResemblance(SelfResemblanceOptions(), {}).maps(frames)
    assert found.max() == pytest.approx(1)


def test_a_lone_change_is_salient():
    grey = np.random.default_rng(2).integers(100, 150, (64, 64, 1), dtype=np.uint8)
    frames = [Frame(i, i / 30, np.repeat(grey, 3, axis=2), True) for i in range(6)]
    for i, frame in enumerate(frames):
        frame.bgr[20:26, 30 + 2 * i : 36 + 2 * i] = 255
    found = dict(SelfResemblance(SelfResemblanceOptions(), {}).maps(frames))
    y, x = np.unravel_index(found[3].argmax(), (64, 64))
    assert 17 <= y < 29
    assert 33 <= x < 45


def test_overlap_must_leave_something_new():
    with pytest.raises(ValueError, match="overlap 5 must be smaller than block 5"):
        SelfResemblanceOptions(block=5, overlap=5)
