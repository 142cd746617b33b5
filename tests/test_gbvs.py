"""GBVS and Itti, stage by stage against literal versions of their description, then as a whole."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve2d
from threadpoolctl import threadpool_limits

from dynsal.baselines import create
from dynsal.baselines.dkl import fitted_table, read_table, to_dkl
from dynsal.baselines.gbvs import activations, is_flat
from dynsal.baselines.gbvs_features import (
    border_weights,
    colour,
    feature_maps,
    gabor,
    halved,
    motion,
    orientation,
    pyramid,
    shifted,
)
from dynsal.baselines.gbvs_frames import blurred, enlarged, map_size
from dynsal.baselines.itti import contrast, normalised
from dynsal.baselines.matlab import imresize
from dynsal.config_baselines import GbvsOptions, IttiOptions
from dynsal.errors import DataError
from dynsal.prepare import Frame

SEEDS = st.integers(0, 2**32 - 1)
EVERY = [
    GbvsOptions(channels="DIO"),
    GbvsOptions(channels="CIO"),
    GbvsOptions(channels="DIOFM"),
    IttiOptions(),
]


def scene(seed, height=144, width=170):
    """Return a smooth colourful image with a black border at the left, BGR."""
    noise = np.random.default_rng(seed).random((height, width, 3))
    smooth = gaussian_filter(noise, (5, 5, 0))
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    smooth[:, :10] = 0
    return np.round(255 * smooth).astype(np.uint8)


def frames(*images, kept=None):
    return [
        Frame(index, index / 25, image, True if kept is None else kept[index])
        for index, image in enumerate(images)
    ]


def maps(options, *images, kept=None, files=()):
    return dict(create(options, dict(files)).maps(frames(*images, kept=kept)))


# ---- literal versions -------------------------------------------------------------------------------------------------


def literal_half(samples):
    n = len(samples)
    x = [float(value) for value in samples]
    result = [(10 * x[0] + 10 * x[1] + 5 * x[2] + x[3]) / 26]
    start = 0
    while start < n - 5:
        a, b, c, d, e, f = x[start : start + 6]
        result.append((a + 5 * b + 10 * c + 10 * d + 5 * e + f) / 32)
        start += 2
    if n % 2:
        a, b, c, d, e = x[-5:]
        result.append((a + 5 * b + 10 * c + 10 * d + 5 * e) / 31)
    else:
        a, b, c, d = x[-4:]
        result.append((a + 5 * b + 10 * c + 10 * d) / 26)
    return np.array(result, np.float32)


def literal_halved(plane):
    if min(plane.shape) <= 10:
        return plane
    narrow = np.array([literal_half(row) for row in plane])
    return np.array([literal_half(column) for column in narrow.T]).T


def literal_levels(bgr, highest):
    """Return, per plane R, G, B, I, its levels 0 to highest."""
    b, g, r = np.moveaxis((bgr / 255).astype(np.float32), -1, 0)
    planes = []
    for plane in (r, g, b, np.maximum(np.maximum(r, g), b)):
        levels = [plane]
        for _ in range(highest):
            levels.append(literal_halved(levels[-1]))
        planes.append([level.astype(float) for level in levels])
    return planes


def literal_faded(image, lines):
    for side in image.shape:
        if 2 * lines > side:
            lines = side // 2
    image = image.copy()
    for i in range(1, lines + 1):
        image[i - 1] *= i / (lines + 1)
        image[-i] *= i / (lines + 1)
        image[:, i - 1] *= i / (lines + 1)
        image[:, -i] *= i / (lines + 1)
    return image


def literal_gabor(angle, phase):
    kernel = np.zeros((27, 27))
    t = math.radians(angle)
    for p in range(-13, 14):
        for q in range(-13, 14):
            u = p * math.cos(t) - q * math.sin(t)
            w = -p * math.sin(t) - q * math.cos(t)
            kernel[p + 13, q + 13] = math.cos(2 * u + math.radians(phase)) * math.exp(-(u**2) / 8 - w**2 / 32)
    kernel -= kernel.mean()
    return kernel / np.linalg.norm(kernel)


def literal_energy(image, angle):
    padded = np.pad(image, 13, mode="edge")
    energy = sum(abs(convolve2d(padded, literal_gabor(angle, phase), mode="valid")) for phase in (0, 90))
    return literal_faded(energy, 13)


def literal_read(image, y, x):
    """Read between pixels, outside at the border."""
    height, width = image.shape
    value = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            weight = (1 - abs(y - row)) * (1 - abs(x - column))
            value += weight * image[min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
    return value


def literal_shift(image, angle):
    t = math.radians(angle)
    return np.array(
        [
            [literal_read(image, y - math.sin(t), x + math.cos(t)) for x in range(image.shape[1])]
            for y in range(image.shape[0])
        ]
    )


def literal_matrix(image):
    """Return the column-stochastic matrix of a map's graph."""
    height, width = image.shape
    sigma = 0.15 * (height + width) / 2
    y, x = np.divmod(np.arange(height * width), width)
    distances = np.hypot(y[:, None] - y, x[:, None] - x)
    values = image[y, x]
    weights = abs(values[:, None] - values) * np.exp(-(distances**2) / (2 * sigma**2))
    return weights / weights.sum(axis=0)


def literal_walk(matrix):
    v = np.full(len(matrix), 1 / len(matrix))
    change = 1
    while change > 1e-4:
        new = matrix @ v
        change = np.linalg.norm(new - v)
        v = new
    return v / v.sum()


def literal_stretch(image):
    return (image - image.min()) / (image.max() - image.min())


def literal_blur(image, sigma):
    radius = math.floor(2 * sigma + 0.5)
    weights = np.array([math.exp(-(i**2) / (2 * sigma**2)) for i in range(-radius, radius + 1)])
    kernel = np.outer(weights, weights) / weights.sum() ** 2
    return convolve2d(np.pad(image, radius, mode="edge"), kernel, mode="valid")


def literal_features(channel, level, planes, before):
    r, g, b, i = (plane[level] for plane in planes)
    previous = None if before is None else before[3][level]
    if channel == "I":
        return [i]
    if channel == "C":
        safe = np.where(i == 0, 1, i)
        return [
            np.where(i == 0, 0, abs(b - np.minimum(r, g)) / safe),
            np.where(i == 0, 0, abs(r - g) / safe),
        ]
    if channel == "D":
        light = [
            fitted_table()[np.clip(np.ceil(255 * plane), 1, 256).astype(int) - 1, k]
            for k, plane in enumerate((r, g, b))
        ]
        matrix = [[18.32535, 44.60077, 7.46216], [4.09544, 28.20135, 6.66066], [0.02114, 0.10325, 1.05258]]
        long0, middle0, short0 = 34.9185389578, 19.3147966765, 0.5856108185
        f = 1 / (long0 + middle0)
        lms = np.tensordot(matrix, light, 1) - np.array([long0, middle0, short0])[:, None, None]
        rotation = np.array(
            [
                [math.sqrt(3) * f, math.sqrt(3) * f, 0],
                [
                    f * math.sqrt(long0**2 + middle0**2) / long0,
                    -f * math.sqrt(long0**2 + middle0**2) / middle0,
                    0,
                ],
                [-f, -f, f * (long0 + middle0) / short0],
            ]
        )
        return list(np.array([0.5774, 2.7525, 0.4526])[:, None, None] * np.tensordot(rotation, lms, 1))
    if channel == "O":
        return [literal_energy(i, angle) for angle in (0, 45, 90, 135)]
    if channel == "F":
        return [np.zeros_like(i) if previous is None else abs(i - previous)]
    result = []
    for angle in (0, 45, 90, 135):
        now = literal_shift(i, angle)
        earlier = 0 if previous is None else literal_shift(previous, angle)
        result.append(abs(i * earlier - (i if previous is None else previous) * now))
    return result


def literal_finish(total, share, size):
    small = literal_stretch(literal_faded(total, 4))
    small = literal_stretch(literal_blur(small, share * max(small.shape)))
    return literal_stretch(imresize(small, size))


def literal_gbvs(channels, images):
    """Return the map of the last image."""
    size = images[-1].shape[:2]
    scale = 32 / max(size)
    small = tuple(math.floor(side * scale + 0.5) for side in size)
    before = None if len(images) == 1 else literal_levels(images[-2], 4)
    planes = literal_levels(images[-1], 4)
    total = np.zeros(small)
    for channel in channels:
        for level in (2, 3, 4):
            for feature in literal_features(channel, level, planes, before):
                resized = imresize(feature, small)
                if np.ptp(resized) > 1e-12:
                    walk = literal_walk(literal_matrix(resized)).reshape(small)
                else:
                    walk = np.full(small, 1 / math.prod(small))
                total += walk**1.5
    return literal_finish(total, 0.02, size)


def literal_n(image):
    image = 10 * literal_stretch(image)
    found = []
    for y in range(1, image.shape[0] - 1):
        for x in range(1, image.shape[1] - 1):
            around = (image[y - 1, x], image[y + 1, x], image[y, x - 1], image[y, x + 1])
            if image[y, x] >= 1 and all(image[y, x] >= value for value in around):
                found.append(image[y, x])
    if not found:
        return image
    return image * (100 if len(found) == 1 else (10 - sum(found) / len(found)) ** 2)


def literal_itti(image):
    size = image.shape[:2]
    scale = math.floor(max(size) / 8 + 0.5) / max(size)
    small = tuple(math.floor(side * scale + 0.5) for side in size)
    planes = literal_levels(image, 5)
    total = np.zeros(small)
    for channel in "CIO":
        conspicuity = np.zeros(small)
        for level in (2, 3):
            centres = literal_features(channel, level, planes, None)
            surrounds = literal_features(channel, level + 2, planes, None)
            for centre, surround in zip(centres, surrounds, strict=True):
                difference = (centre - imresize(surround, centre.shape)) ** 2
                conspicuity += literal_n(imresize(difference, small))
        total += literal_n(conspicuity)
    return literal_finish(total, 0.03, size)


# ---- pyramid ----------------------------------------------------------------------------------------------------------


@given(st.integers(11, 24), st.integers(11, 24), SEEDS)
def test_halving(height, width, seed):
    level = np.random.default_rng(seed).random((height, width, 4)).astype(np.float32)
    result = halved(level)
    assert result.dtype == np.float32
    assert result.shape == (height // 2, width // 2, 4)
    for channel in range(4):
        assert_array_equal(result[..., channel], literal_halved(level[..., channel]))


def test_halving_by_hand():
    line = np.zeros((11, 12, 1), np.float32)
    line[:, 3] = 832  # 26 x 32
    assert_allclose(halved(line)[2, :, 0], [32, 260, 26 * 5, 0, 0, 0])
    line = np.zeros((12, 11, 1), np.float32)
    line[:, 8] = 992  # 31 x 32
    assert_allclose(halved(line)[2, :, 0], [0, 0, 0, 155, 320])


def test_sides_up_to_ten_are_passed_on():
    level = np.ones((10, 40, 4), np.float32)
    assert halved(level) is level


def test_levels_of_a_frame():
    image = scene(0, 144, 256)
    levels = pyramid(image, 5)
    assert [level.shape for level in levels] == [
        (144, 256, 4),
        (72, 128, 4),
        (36, 64, 4),
        (18, 32, 4),
        (9, 16, 4),
        (9, 16, 4),
    ]
    assert_array_equal(levels[0][..., :3], (image[..., ::-1] / 255).astype(np.float32))
    assert_array_equal(levels[0][..., 3], levels[0][..., :3].max(axis=2))


def test_plain_areas_keep_their_exact_value():
    # The table of the DKL colours jumps at multiples of 1 / 255.
    for value in (1, 77, 128, 254):
        level = pyramid(np.full((128, 131, 3), value, np.uint8), 4)[4]
        assert_array_equal(level, np.full_like(level, np.float32(value / 255)))


# ---- features ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 13))
def test_borders_fade(height, width, lines):
    assert_allclose(border_weights((height, width), lines), literal_faded(np.ones((height, width)), lines))


def test_borders_by_hand():
    weights = [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]
    # Half of the shorter side limits the lines of both.
    assert_allclose(border_weights((4, 5), 13), np.outer([1 / 3, 2 / 3, 2 / 3, 1 / 3], weights))


@pytest.mark.parametrize("angle", [0, 45, 90, 135])
def test_gabor_kernels(angle):
    even, odd = gabor(angle, 0), gabor(angle, 90)
    for kernel, phase in ((even, 0), (odd, 90)):
        assert_allclose(kernel, literal_gabor(angle, phase), atol=1e-14)
        assert kernel.sum() == pytest.approx(0, abs=1e-12)
        assert np.square(kernel).sum() == pytest.approx(1)
    assert_allclose(even, even[::-1, ::-1], atol=1e-14)
    assert_allclose(odd, -odd[::-1, ::-1], atol=1e-14)


@pytest.mark.parametrize("number", range(4))
def test_orientation_prefers_gratings_across_its_wave(number):
    angle = math.radians((0, 45, 90, 135)[number])
    y, x = np.indices((60, 60))
    grating = np.cos(2 * (y * math.cos(angle) - x * math.sin(angle)))
    strengths = [energy[30, 30] for energy in orientation(grating)]
    assert np.argmax(strengths) == number
    assert strengths[number] > 3 * np.delete(strengths, number).max()


@pytest.mark.parametrize("size", [(40, 33), (9, 16)])
def test_orientation(size):
    image = np.random.default_rng(2).random(size)
    for energy, angle in zip(orientation(image), (0, 45, 90, 135), strict=True):
        assert_allclose(energy, literal_energy(image, angle), atol=1e-12)


def test_orientation_of_nothing_is_zero():
    assert not np.any(orientation(np.full((20, 30), 0.3)))


def test_opponent_colours_by_hand():
    level = np.array([[[0, 0, 0, 0], [0.5, 0.25, 1, 1], [0.5, 0.1, 0.2, 0.5]]], np.float32)
    blue_yellow, red_green = colour(level)
    assert_allclose(blue_yellow, [[0, 0.75, 0.2]], atol=1e-7)
    assert_allclose(red_green, [[0, 0.25, 0.8]], atol=1e-7)


def test_shift_by_whole_pixels():
    image = np.arange(12.0).reshape(3, 4)
    assert_allclose(shifted(image, 0), image[:, [1, 2, 3, 3]])
    assert_allclose(shifted(image, 90), image[[0, 0, 1]], atol=1e-12)


@pytest.mark.parametrize("angle", [45, 135])
def test_shift_between_pixels(angle):
    image = np.random.default_rng(3).random((5, 6))
    assert_allclose(shifted(image, angle), literal_shift(image, angle), atol=1e-14)


def test_motion_answers_along_its_axis():
    x = np.indices((40, 40))[1]
    before, now = np.sin(0.8 * x), np.sin(0.8 * (x - 1))
    horizontal, _, vertical, _ = motion(now, before)
    # sin(a - d) sin(a + d) - sin(a) sin(a) = -sin^2 d; and a vertical shift changes nothing.
    assert_allclose(horizontal[5:35, 5:35], math.sin(0.8) ** 2, atol=1e-12)
    assert_allclose(vertical, 0, atol=1e-12)


def test_first_frame_has_no_flicker_and_motion_of_itself():
    level = pyramid(scene(1), 2)[2]
    (flicker,) = feature_maps("F", level, None, fitted_table())
    assert not flicker.any()
    intensity = level[..., 3].astype(float)
    assert_allclose(feature_maps("M", level, None, fitted_table())[0], intensity * shifted(intensity, 0))


# ---- DKL colours ------------------------------------------------------------------------------------------------------


def test_dkl_of_the_adapted_grey_is_zero():
    cones = np.array(
        [[18.32535, 44.60077, 7.46216], [4.09544, 28.20135, 6.66066], [0.02114, 0.10325, 1.05258]]
    )
    light = np.linalg.solve(cones, [34.9185389578, 19.3147966765, 0.5856108185])
    zero = to_dkl(np.full((1, 1, 3), 0.5), np.tile(light, (256, 1)))
    assert_allclose(zero, 0, atol=1e-12)


def test_dkl_rows_of_the_table():
    # Brightness is the only thing that a table equal in all channels and rising by rows can tell.
    table = np.repeat(np.arange(256.0)[:, None], 3, axis=1)
    values = np.array([0, 1 / 255, 1.0001 / 255, 1, 1.01])
    brightness = to_dkl(np.repeat(values[None, :, None], 3, axis=2), table)[0][0]
    expected = to_dkl(
        np.repeat(((np.array([1, 1, 2, 255, 256]) - 0.5) / 255)[None, :, None], 3, axis=2), table
    )
    assert_allclose(brightness, expected[0][0])
    assert brightness[4] > brightness[3] > brightness[2] > brightness[1] == brightness[0]


def write_table(path, rows, before="", after=" ];\nlms0 = [ 34.9, 19.3, .58 ];\n"):
    body = ";\n".join("    " + ", ".join(f"{value:.5g}" for value in row) for row in rows)
    path.write_text(f"function dkl = rgb2dkl(rgb)\n% lut_rgb = [ 1 2 ]\n{before}lut_rgb = [\n{body}{after}")
    return path


def test_table_of_the_toolbox(tmp_path):
    knots = np.arange(0, 256, 5)
    light = np.array([[0.02, 0.01, 0.04]]) + (knots[:, None] / 255) ** [[2.2, 2, 1.8]] * 0.9
    table = np.stack([np.interp(np.arange(256), knots, light[:, k]) for k in range(3)], axis=1)
    path = write_table(tmp_path / "rgb2dkl.m", table)
    assert_allclose(read_table(path), table, rtol=1e-4)
    image = scene(4)
    exact = maps(GbvsOptions(colours="table"), image, files={"rgb2dkl.m": path})[0]
    fitted = maps(GbvsOptions(), image)[0]
    assert not np.array_equal(exact, fitted)
    assert np.corrcoef(exact.ravel(), fitted.ravel())[0, 1] > 0.95


def test_table_in_other_layouts(tmp_path):
    path = tmp_path / "rgb2dkl.m"
    rows = "\n".join(f"  .5 1e-3 {row} % row {row}" for row in range(256))
    path.write_text(f"lut_rgb=[ ... the table\n{rows}\n]")
    assert_array_equal(read_table(path), [[0.5, 0.001, row] for row in range(256)])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("function nothing", "holds no matrix"),
        ("lut_rgb = [1 2 3]", "has 3 numbers"),
        ("lut_rgb = [a b c]", "not made of numbers"),
        ("lut_rgb = [" + "nan " * 768 + "]", "finite"),
        (None, "cannot be read"),
    ],
)
def test_broken_tables(tmp_path, text, problem):
    path = tmp_path / "rgb2dkl.m"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=problem):
        create(GbvsOptions(colours="table"), {"rgb2dkl.m": path})


# ---- graphs -----------------------------------------------------------------------------------------------------------


@given(st.integers(3, 7), st.integers(3, 7), SEEDS)
def test_activation(height, width, seed):
    features = np.random.default_rng(seed).random((2, height, width))
    result = activations(list(features))
    for feature, activation in zip(features, result, strict=True):
        matrix = literal_matrix(feature)
        assert activation.sum() == pytest.approx(1)
        assert_allclose(activation.ravel(), literal_walk(matrix), atol=1e-9)


def test_activation_is_near_the_stationary_distribution():
    feature = np.random.default_rng(5).random((12, 16))
    values, vectors = np.linalg.eig(literal_matrix(feature))
    stationary = np.abs(vectors[:, np.argmax(values.real)].real)
    (activation,) = activations([feature])
    assert np.corrcoef(activation.ravel(), stationary)[0, 1] > 0.999


@pytest.mark.parametrize("value", [0.0, 0.3, -7.0])
def test_constant_map_gives_equal_values(value):
    assert_array_equal(activations([np.full((4, 5), value)]), np.full((1, 4, 5), 1 / 20))
    nearly = np.full((4, 5), value)
    nearly[1, 2] *= 1 + 2e-16
    assert_array_equal(activations([nearly]), np.full((1, 4, 5), 1 / 20))


@given(st.floats(1e-9, 1e9), st.floats(-1, 1), SEEDS)
def test_activation_ignores_scale_and_offset(scale, offset, seed):
    feature = np.random.default_rng(seed).random((5, 6))
    assert_allclose(activations([scale * (feature + offset)]), activations([feature]), rtol=1e-6)


def test_map_of_two_values_settles_on_the_time_spent():
    # Three pixels in a row: the walker is in the middle every other step.
    assert_allclose(activations([np.array([[0.0, 1, 0]])]), [[[0.25, 0.5, 0.25]]])


# ---- Itti -------------------------------------------------------------------------------------------------------------


@given(st.integers(3, 12), st.integers(3, 12), st.integers(2, 9), SEEDS)
def test_normalisation(height, width, values, seed):
    image = np.random.default_rng(seed).integers(0, values, (height, width)).astype(float)
    image[0, :2] = (0, values)
    assert_allclose(normalised(image), literal_n(image))


def test_normalisation_by_hand():
    image = np.zeros((5, 7))
    assert not normalised(image).any()
    image[0, 0] = 1  # no inner maximum of at least 1
    assert normalised(image)[0, 0] == 10
    image[2, 2] = 1  # one
    assert normalised(image)[2, 2] == 1000
    image[2, 4] = 0.5  # two, of 10 and 5
    assert normalised(image)[2, 2] == pytest.approx(10 * 2.5**2)


def test_contrast_of_a_plain_image_is_zero():
    assert not contrast(np.full((30, 41), 0.3), np.full((7, 10), 0.3)).any()


# ---- whole models -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", ["DIO", "CIO", "DIOFM"])
def test_gbvs_as_a_whole(channels):
    images = [scene(6), np.roll(scene(6), (2, 3), (0, 1))]
    result = maps(GbvsOptions(channels=channels), *images)
    expected = [literal_gbvs(channels, images[:1])] if channels == "DIOFM" else []
    expected.append(literal_gbvs(channels, images))
    for number, map_ in enumerate(reversed(expected)):
        assert_allclose(result[1 - number], map_, atol=1e-6)


def test_itti_as_a_whole():
    image = scene(7)
    assert_allclose(maps(IttiOptions(), image)[0], literal_itti(image), atol=1e-6)


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [((144, 256), 32, (18, 32)), ((480, 640), 80, (60, 80)), ((180, 128), 32, (32, 23))],
)
def test_sizes_of_the_small_map(size, longest, expected):
    assert map_size(size, longest) == expected


def test_blur_by_hand():
    image = np.zeros((5, 5))
    image[2, 2] = 1
    side = math.exp(-1 / (2 * 0.64**2))
    weights = np.array([0, side, 1, side, 0]) / (1 + 2 * side)
    assert_allclose(blurred(image, 0.02 * 32), np.outer(weights, weights), atol=1e-15)
    assert_allclose(blurred(np.ones((3, 4)), 2.4), 1)


def test_frames_below_128_are_doubled_and_the_map_halved():
    image = scene(8, 112, 144)
    doubled = imresize(image, 2.0)
    (whole,) = maps(GbvsOptions(), doubled).values()
    (half,) = maps(GbvsOptions(), image).values()
    assert_allclose(half, np.maximum(imresize(whole, 0.5), 0), atol=1e-6)
    assert enlarged(image)[1] == 1
    assert enlarged(image[:20, :50])[0].shape == (160, 400, 3)


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(EVERY),
    st.integers(1, 150),
    st.integers(1, 150),
    st.sampled_from(["noise", "grey", "plain", "two"]),
    SEEDS,
)
def test_any_frame_gives_a_map_or_a_clear_error(options, height, width, kind, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    if kind == "grey":
        image[:] = image[..., :1]
    elif kind == "plain":
        image[:] = image[0, 0]
    elif kind == "two":
        image = np.where(image[..., :1] > 127, 255, 0).astype(np.uint8).repeat(3, axis=2)
    if max(height, width) > 64 * min(height, width):
        with pytest.raises(DataError, match="too elongated"):
            maps(options, image)
        return
    (result,) = maps(options, image).values()
    assert result.shape == (height, width)
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert result.min() >= 0


@pytest.mark.parametrize("options", EVERY, ids=lambda options: getattr(options, "channels", "itti"))
def test_plain_frames_show_nothing_but_the_faded_border(options):
    (result,) = maps(options, np.full((128, 160, 3), (10, 120, 200), np.uint8)).values()
    assert_allclose(result, result[::-1, ::-1], atol=1e-6)
    assert result[64, 80] == (0 if options.model == "itti" else pytest.approx(1, abs=0.05))


@pytest.mark.parametrize("options", EVERY, ids=lambda options: getattr(options, "channels", "itti"))
def test_only_kept_frames_come_out_but_all_are_remembered(options):
    images = [scene(seed, 128, 130) for seed in range(4)]
    every = maps(options, *images)
    some = maps(options, *images, kept=[False, True, False, True])
    assert list(some) == [1, 3]
    for index, map_ in some.items():
        assert_array_equal(map_, every[index])
    alone = maps(options, images[3])[0]
    assert np.array_equal(alone, every[3]) == (getattr(options, "channels", "") != "DIOFM")


def test_two_videos_do_not_mix():
    model = create(GbvsOptions(channels="DIOFM"), {})
    first = dict(model.maps(frames(scene(1), scene(2))))
    second = dict(model.maps(frames(scene(1), scene(2))))
    assert_array_equal(first[0], second[0])
    assert_array_equal(first[1], second[1])


def test_frames_of_different_sizes_are_refused():
    with pytest.raises(DataError, match=r"frame 1: has 131x128 pixels, the first one 130x128"):
        maps(IttiOptions(), scene(0, 128, 130), scene(0, 128, 131))


def test_flat_frames():
    ramp = np.tile(np.arange(60, 160, dtype=np.uint8), (128, 2))[:, :150]
    image = np.repeat(ramp[..., None], 3, axis=2)
    assert not is_flat(image)
    assert is_flat(np.minimum(image, 98))  # range 38
    assert not is_flat(np.minimum(image, 115))  # 56 grey levels, 200 empty ones
    assert is_flat(np.minimum(image, 114))
    faint = np.minimum(image, 98)
    assert not maps(GbvsOptions(blank_flat=True), faint)[0].any()
    assert maps(GbvsOptions(), faint)[0].any()
    # A blank frame still counts as the one before.
    options = GbvsOptions(channels="DIOFM", blank_flat=True)
    assert_array_equal(maps(options, faint, image)[1], maps(GbvsOptions(channels="DIOFM"), faint, image)[1])


@pytest.mark.parametrize("options", EVERY, ids=lambda options: getattr(options, "channels", "itti"))
def test_threads_change_nothing(options):
    images = [scene(9, 480, 640), scene(10, 480, 640)]
    before = cv2.getNumThreads()
    results = []
    try:
        for threads in (1, 2):
            cv2.setNumThreads(threads)
            with threadpool_limits(threads):
                results.append(maps(options, *images)[1])
    finally:
        cv2.setNumThreads(before)
    assert_array_equal(*results)


@pytest.mark.data
@pytest.mark.parametrize("options", EVERY[:2] + EVERY[3:], ids=["DIO", "CIO", "itti"])
def test_photographs_agree_with_the_literal_version(options, mirror):
    path = sorted((mirror / "osie" / "stimuli").glob("*.jpg"))[0]
    image = cv2.resize(cv2.imread(str(path)), (208, 156), interpolation=cv2.INTER_AREA)
    expected = literal_itti(image) if options.model == "itti" else literal_gbvs(options.channels, [image])
    assert_allclose(maps(options, image)[0], expected, atol=1e-6)


@pytest.mark.data
def test_fit_stands_in_for_the_table_of_the_toolbox(mirror):
    path = mirror / "baselines" / "rgb2dkl.m"
    if not path.is_file():
        pytest.skip("the mirror has no rgb2dkl.m")
    assert_allclose(fitted_table(), read_table(path), atol=0.0131)
    for number, photograph in enumerate(sorted((mirror / "osie" / "stimuli").glob("*.jpg"))[:25]):
        image = cv2.imread(str(photograph))
        if number % 3:
            size = (256, 144) if number % 3 == 1 else (208, 116)
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        exact = maps(GbvsOptions(colours="table"), image, files={"rgb2dkl.m": path})[0]
        assert np.corrcoef(exact.ravel(), maps(GbvsOptions(), image)[0].ravel())[0, 1] > 0.9998
