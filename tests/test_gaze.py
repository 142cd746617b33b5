"""Coordinates, densities and gaze files: exact by brute force, symmetric, and never silently wrong."""

from __future__ import annotations

import logging
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal.errors import DataError
from dynsal.fileio import sha256
from dynsal.gaze import (
    Gaze,
    by_frame,
    clip_to_video,
    density,
    fixation_bytes,
    fixation_counts,
    read_gaze,
    scale_points,
    sigma_px,
    sort_table,
    to_working,
    write_gaze,
)

SIZE = (24, 16)
REASONS = {"no_fixation": 3, "outside_frame": 0}

inside = st.tuples(st.floats(-0.5, SIZE[0] - 0.51), st.floats(-0.5, SIZE[1] - 0.51))
some_points = st.lists(inside, min_size=1, max_size=12).map(lambda pairs: np.array(pairs, np.float64))
sigmas = st.tuples(st.floats(0.4, 12), st.floats(0.4, 12))


def make(frames, n_frames=10, source=(1280, 720)) -> Gaze:
    frames = np.asarray(frames)
    xy = np.arange(len(frames), dtype=float) * 7 % 500
    subjects = np.array([f"2-{i % 3}b" for i in range(len(frames))], dtype=object)
    return Gaze(sort_table(frames, subjects, xy, xy / 2), dict(REASONS), n_frames, source)


@given(some_points, sigmas)
def test_density_is_the_brute_force_sum(points, sigma):
    """Sums to 1 and equals a double loop over pixels and points."""
    found = density(points, SIZE, sigma)
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    brute = sum(
        np.exp(-((x - px) ** 2) / (2 * sigma[0] ** 2) - (y - py) ** 2 / (2 * sigma[1] ** 2))
        for px, py in points
    )
    assert found.shape == (SIZE[1], SIZE[0])
    assert math.isclose(found.sum(), 1, abs_tol=1e-12)
    np.testing.assert_allclose(found, brute / brute.sum(), rtol=1e-9, atol=1e-15)


@given(some_points, sigmas)
def test_flipping_points_flips_the_density(points, sigma):
    """Mirrors about the picture's middle, (W - 1) / 2: pixel centres are integers."""
    plain = density(points, SIZE, sigma)
    across, down = points.copy(), points.copy()
    across[:, 0] = SIZE[0] - 1 - points[:, 0]
    down[:, 1] = SIZE[1] - 1 - points[:, 1]
    np.testing.assert_allclose(density(across, SIZE, sigma), plain[:, ::-1], atol=1e-12)
    np.testing.assert_allclose(density(down, SIZE, sigma), plain[::-1], atol=1e-12)


@given(some_points, sigmas)
def test_density_keeps_multiplicity_and_ignores_order(points, sigma):
    plain = density(points, SIZE, sigma)
    np.testing.assert_allclose(density(points[::-1], SIZE, sigma), plain, atol=1e-13)
    np.testing.assert_allclose(density(np.vstack([points, points]), SIZE, sigma), plain, atol=1e-13)
    doubled = density(np.vstack([points, points[:1]]), SIZE, sigma)
    single = density(points[:1], SIZE, sigma)
    weight = (doubled - plain).sum()  # both sum to 1
    assert abs(weight) < 1e-12
    assert (doubled - plain)[single > plain].sum() >= -1e-12


def test_density_peaks_at_the_point_at_sub_pixel_precision():
    """Halfway between two pixels both are equal; a tenth of a pixel tips the balance."""
    half = density(np.array([[10.5, 7]]), SIZE, (2, 2))
    assert half[7, 10] == pytest.approx(half[7, 11], rel=1e-12)
    assert np.unravel_index(density(np.array([[10.6, 7]]), SIZE, (2, 2)).argmax(), half.shape) == (7, 11)


@pytest.mark.parametrize("points", [np.zeros((0, 2)), np.zeros((2, 3)), np.array([[np.nan, 1]])])
def test_no_density_without_points(points):
    with pytest.raises(ValueError, match=r"point"):
        density(points, SIZE, (1, 1))
    with pytest.raises(ValueError, match=r"point"):
        fixation_counts(points, SIZE)


def test_density_far_outside_is_an_error_not_nan():
    with pytest.raises(ValueError, match="far outside"):
        density(np.array([[1e6, 0.0]]), SIZE, (1, 1))


@given(some_points)
def test_fixation_counts(points):
    """Every point counts once, in its own pixel."""
    counts = fixation_counts(points, SIZE)
    assert counts.sum() == len(points)
    brute = np.zeros_like(counts)
    for x, y in points:
        brute[math.floor(y + 0.5), math.floor(x + 0.5)] += 1
    np.testing.assert_array_equal(counts, brute)


@given(some_points, st.integers(0, 300))
def test_fixation_bytes_stop_at_255(points, more):
    points = np.concatenate([points, np.repeat(points[:1], more, axis=0)])
    counts = fixation_bytes(points, SIZE)
    assert counts.dtype == np.uint8
    np.testing.assert_array_equal(counts, np.minimum(fixation_counts(points, SIZE), 255))


@pytest.mark.parametrize("point", [(-0.51, 0), (SIZE[0] - 0.5, 0), (0, SIZE[1] - 0.5)])
def test_fixation_outside_is_refused_not_clamped(point):
    with pytest.raises(ValueError, match="outside the frame"):
        fixation_counts(np.array([point], float), SIZE)


@given(st.integers(0, 12_799), st.integers(0, 7_199), st.sampled_from([(640, 480), (320, 240), (128, 96)]))
@settings(max_examples=300)
def test_pixel_of_a_point_follows_the_protocols_floor_rule(x10, y10, size):
    """floor(x' + 0.5) == floor(recorded * W / w) for recorded positions in tenths of a pixel, as DIEM writes them."""
    recorded = np.array([x10, y10]) / 10
    table = to_working(pd.DataFrame([recorded - 0.5], columns=["x", "y"]), (1280, 720), size)
    pixel = np.floor(table[["x", "y"]].to_numpy()[0] + 0.5)
    exact = [x10 * size[0] // 12800, y10 * size[1] // 7200]
    assert pixel.tolist() == exact


@given(some_points, st.sampled_from([2, 4]))
def test_scale_points_agrees_with_to_working(points, factor):
    table = to_working(pd.DataFrame(points, columns=["x", "y"]), SIZE, (SIZE[0] // factor, SIZE[1] // factor))
    np.testing.assert_allclose(scale_points(points, factor), table.to_numpy(), atol=1e-12)


def test_sigma_px_is_the_protocols():
    """Sections 3.4 and 4.2: 25.0 x 33.3 px for DIEM 1280x720; 4.2 x 5.7 px for hevc33's own blur at 1920x1080."""
    assert sigma_px(1, 50, (1280, 720), (640, 480)) == pytest.approx((25.0, 33.3), abs=0.05)
    assert sigma_px(1 / 2.3548, 30, (1920, 1080), (640, 480)) == pytest.approx((4.2, 5.7), abs=0.05)
    assert sigma_px(1 / 2.3548, 30, (416, 240), (640, 480)) == pytest.approx((19.6, 25.5), abs=0.05)


def test_clip_to_video_drops_counts_and_warns(caplog):
    gaze = make([0, 3, 3, 8, 9])
    with caplog.at_level(logging.WARNING):
        same = clip_to_video(gaze, 10)
        longer = clip_to_video(gaze, 12)
        cut = clip_to_video(gaze, 9)
        assert not caplog.records
        short = clip_to_video(gaze, 3)
    assert "10 frames, the video has 3" in caplog.text
    assert [g.n_frames for g in (same, longer, cut, short)] == [10, 10, 9, 3]
    assert [g.dropped["after_video_end"] for g in (same, longer, cut, short)] == [0, 0, 1, 4]
    assert short.table["frame"].tolist() == [0]
    assert {key: short.dropped[key] for key in REASONS} == REASONS
    assert clip_to_video(cut, 3).dropped["after_video_end"] == 4


def test_by_frame_finds_all_points_and_only_those():
    gaze = make([5, 0, 5, 2, 5])
    points = by_frame(gaze.table)
    assert {frame: len(found) for frame, found in points.items()} == {0: 1, 2: 1, 5: 3}
    np.testing.assert_array_equal(points[5], gaze.table.loc[gaze.table.frame == 5, ["x", "y"]])
    shuffled = by_frame(gaze.table.sample(frac=1, random_state=0))
    np.testing.assert_array_equal(np.sort(shuffled[5], 0), np.sort(points[5], 0))
    assert by_frame(gaze.table.iloc[:0]) == {}


def test_gaze_file_round_trip(tmp_path):
    gaze = make([0, 0, 4, 7])
    path = tmp_path / "a" / "v.parquet"
    write_gaze(path, gaze, (640, 480), 50.0, "v")
    found = read_gaze(path)
    pd.testing.assert_frame_equal(found.table, to_working(gaze.table, (1280, 720), (640, 480)))
    assert found.dropped == REASONS
    assert (found.size, found.source_size, found.n_frames, found.video) == ((640, 480), (1280, 720), 10, "v")
    assert found.subjects[0].tolist() == ["2-0b", "2-1b"]
    assert 1 not in found.points
    assert found.sigma(1.0) == pytest.approx((25.0, 33.3), abs=0.05)
    assert found.sigma(2.0, 25.0, size=(320, 240)) == pytest.approx((12.5, 16.7), abs=0.05)
    write_gaze(tmp_path / "again.parquet", gaze, (640, 480), 50.0, "v")
    assert sha256(path) == sha256(tmp_path / "again.parquet")


def test_no_fixation_at_all_writes_nothing(tmp_path):
    with pytest.raises(DataError, match=r"clip7: no valid fixation at all .*no_fixation 3"):
        write_gaze(tmp_path / "v.parquet", make([]), (640, 480), 50.0, "clip7")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"", b"not parquet"])
def test_damaged_gaze_file(tmp_path, content):
    path = tmp_path / "v.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"v\.parquet: is no gaze file"):
        read_gaze(path)


def test_truncated_and_foreign_parquet(tmp_path):
    path = tmp_path / "v.parquet"
    write_gaze(path, make(range(9)), (640, 480), 50.0, "v")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="is no gaze file"):
        read_gaze(path)
    make([1]).table.to_parquet(path)
    with pytest.raises(DataError, match="is no gaze file"):
        read_gaze(path)
