"""Matlab's functions against its documented numbers and slow, literal versions."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from dynsal.baselines.matlab import (
    GREY_WEIGHTS,
    fspecial_disk,
    fspecial_gaussian,
    imfilter,
    imresize,
    mat2gray,
    rgb2gray,
    rgb_float,
    round_half_away,
)

SIDES = st.integers(1, 17)
SEEDS = st.integers(0, 2**32 - 1)
KERNELS = {
    "bicubic": (
        2,
        lambda x: 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2,
    ),
    "bilinear": (1, lambda x: 1 - x),
}


def slow_axis(samples, n_out, scale, method):
    """Resize a list of numbers, sample by sample, looking outside through a mirror step by step."""
    support, kernel = KERNELS[method]
    stretch = min(scale, 1)
    result = []
    for i in range(n_out):
        centre = (i + 0.5) / scale - 0.5
        weights = total = 0.0
        for tap in range(math.floor(centre - support / stretch), math.ceil(centre + support / stretch) + 1):
            distance = abs(centre - tap) * stretch
            if distance >= support:
                continue
            inside = tap
            while not 0 <= inside < len(samples):
                inside = -1 - inside if inside < 0 else 2 * len(samples) - 1 - inside
            weights += kernel(distance)
            total += kernel(distance) * samples[inside]
        result.append(total / weights)
    return result


def slow_resize(image, size, scales, method):
    rows = np.array([slow_axis(column, size[0], scales[0], method) for column in image.T]).T
    return np.array([slow_axis(row, size[1], scales[1], method) for row in rows])


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(sorted(KERNELS)), SEEDS)
def test_resize_to_a_size(rows, columns, new_rows, new_columns, method, seed):
    image = np.random.default_rng(seed).normal(size=(rows, columns))
    expected = slow_resize(image, (new_rows, new_columns), (new_rows / rows, new_columns / columns), method)
    assert_allclose(imresize(image, (new_rows, new_columns), method), expected, atol=1e-12)


@given(SIDES, SIDES, st.floats(0.1, 3), SEEDS)
def test_resize_by_a_scale_rounds_the_size_up_but_not_the_scale(rows, columns, scale, seed):
    image = np.random.default_rng(seed).normal(size=(rows, columns))
    size = (math.ceil(scale * rows), math.ceil(scale * columns))
    assert_allclose(imresize(image, scale), slow_resize(image, size, (scale, scale), "bicubic"), atol=1e-11)


def test_resize_by_hand():
    # Doubling puts samples at quarters; the cubic there is (-9, 111, 29, -3) / 128, and the mirror adds 29 to 111.
    assert_allclose(imresize(np.array([[128.0], [0], [0]]), (6, 1))[:, 0], [140, 102, 26, -9, -3, 0])
    # Halving stretches the triangle to four samples: 1 3 3 1.
    assert_allclose(imresize(np.array([[8.0, 0, 0, 0]]), (1, 2), "bilinear"), [[4, 0]])


def test_resize_keeps_type_and_channels():
    image = np.random.default_rng(0).random((9, 11, 3))
    resized = imresize(image, (5, 24))
    assert_array_equal(resized[..., 1], imresize(image[..., 1].copy(), (5, 24)))
    single = imresize(image.astype(np.float32), (5, 24))
    assert single.dtype == np.float32
    assert_allclose(single, resized, atol=1e-6)
    assert resized.flags.c_contiguous


@given(SIDES, SIDES, SIDES, SIDES, SEEDS)
def test_resized_bytes_are_rounded_after_each_axis(rows, columns, new_rows, new_columns, seed):
    image = np.random.default_rng(seed).choice(np.array([0, 1, 254, 255], np.uint8), (rows, columns))
    scales = (new_rows / rows, new_columns / columns)
    values = image
    halfway = (new_rows, columns) if scales[0] <= scales[1] else (rows, new_columns)
    for size in (halfway, (new_rows, new_columns)):
        values = np.floor(np.clip(imresize(values.astype(float), size), 0, 255) + 0.5)
    resized = imresize(image, (new_rows, new_columns))
    assert resized.dtype == np.uint8
    assert_array_equal(resized, values)


def test_resized_bytes_do_not_wrap():
    image = np.array([[0, 0, 255, 255]], np.uint8)
    # 255 (29 - 3) / 128 = 51.8; beside it the cubic leaves [0, 255].
    assert_array_equal(imresize(image, 2.0), [[0, 0, 0, 52, 203, 255, 255, 255]] * 2)


def test_equal_size_changes_nothing():
    image = np.random.default_rng(1).random((7, 8))
    assert_allclose(imresize(image, (7, 8)), image, atol=1e-15)


def test_mat2gray():
    assert_allclose(mat2gray(np.array([[-1.0, 0], [1, 3]])), [[0, 0.25], [0.5, 1]])
    assert_array_equal(mat2gray(np.full((2, 2), 7.0)), np.zeros((2, 2)))


def test_grey_weights_are_the_first_row_of_the_inverse_ntsc_matrix():
    ntsc = np.array([[1, 0.956, 0.621], [1, -0.272, -0.647], [1, -1.106, 1.703]])
    assert_allclose(GREY_WEIGHTS, np.linalg.inv(ntsc)[0], atol=1e-15)


def test_rgb2gray():
    # .298936 * 100 + .587043 * 50 + .114021 * 200 = 82.05; and 255 three times must not become 254.
    image = np.array([[[100, 50, 200], [255, 255, 255], [3, 0, 0]]], np.uint8)
    assert_array_equal(rgb2gray(image), np.array([[82, 255, 1]], np.uint8))
    assert rgb2gray(image).dtype == np.uint8
    assert_allclose(rgb2gray(image / 1.0), [[82.049937, 255, 0.896808]], atol=1e-5)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.5, 1), (1.5, 2), (2.5, 3), (-0.5, -1), (-2.4, -2), (np.nextafter(0.5, 0), 0)]
)
def test_halves_are_rounded_away_from_zero(value, expected):
    assert round_half_away(value) == expected
    assert_array_equal(round_half_away(np.array([value, 7.0])), [expected, 7])


@given(SIDES, SIDES, st.integers(1, 8), st.integers(1, 8), st.sampled_from(["zero", "replicate"]), SEEDS)
def test_imfilter(rows, columns, height, width, border, seed):
    rng = np.random.default_rng(seed)
    image, kernel = rng.normal(size=(rows, columns)), rng.normal(size=(height, width))
    expected = np.zeros_like(image)
    for y, x in np.ndindex(rows, columns):
        for p, q in np.ndindex(height, width):
            at = (y + p - (height - 1) // 2, x + q - (width - 1) // 2)
            inside = (min(max(at[0], 0), rows - 1), min(max(at[1], 0), columns - 1))
            if border == "replicate" or at == inside:
                expected[y, x] += kernel[p, q] * image[inside]
    assert_allclose(imfilter(image, kernel, border), expected, atol=1e-12)


def test_imfilter_with_a_large_even_kernel_reaches_one_further_ahead():
    impulse = np.zeros((40, 40))
    impulse[20, 20] = 1
    rows, columns = np.nonzero(imfilter(impulse, np.ones((14, 8))) > 0.5)
    # What looks ahead by up to n / 2 is what lies up to n / 2 before.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20 - 7, 20 + 6, 20 - 4, 20 + 3)


def test_gaussian():
    weights = np.exp(-(np.array([3.5, 2.5, 1.5, 0.5, 0.5, 1.5, 2.5, 3.5]) ** 2) / 128)
    weights /= weights.sum()
    assert_allclose(fspecial_gaussian(8, 8), np.outer(weights, weights), atol=1e-15)


def test_disk_by_the_documented_numbers():
    corner, edge, centre = 0.025079, 0.145344, 0.318310
    small = [[corner, edge, corner], [edge, centre, edge], [corner, edge, corner]]
    assert_allclose(fspecial_disk(1), small, atol=5e-7)
    quarter = [
        [0, 0.000281, 0.011025, 0.017191],
        [0.000281, 0.024517, 0.035368, 0.035368],
        [0.011025, 0.035368, 0.035368, 0.035368],
        [0.017191, 0.035368, 0.035368, 0.035368],
    ]
    half = np.hstack([quarter, np.array(quarter)[:, 2::-1]])
    assert_allclose(fspecial_disk(3), np.vstack([half, half[2::-1]]), atol=5e-7)


@pytest.mark.parametrize("radius", [1, 2, 5])
def test_disk_by_counting_points(radius):
    parts = 200
    points = (np.arange((2 * radius + 1) * parts) + 0.5) / parts - radius - 0.5
    inside = (points[:, None] ** 2 + points**2 <= radius**2).reshape(
        2 * radius + 1, parts, 2 * radius + 1, parts
    )
    areas = inside.mean(axis=(1, 3))
    assert_allclose(fspecial_disk(radius), areas / (math.pi * radius**2), atol=1e-4)


def test_rgb_float():
    bgr = np.array([[[0, 51, 255]]], np.uint8)
    assert_array_equal(rgb_float(bgr), [[[1, 0.2, 0]]])
    assert_array_equal(rgb_float(bgr), cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB) / 255)
