"""Rudoy et al.: prediction against plain loops, and the whole model on videos of a bright spot that gaze follows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal.baselines import create
from dynsal.baselines.rudoy.anchors import draw_anchors
from dynsal.baselines.rudoy.candidates import Candidates
from dynsal.baselines.rudoy.forest import save_model
from dynsal.baselines.rudoy.model import destination_scores, sources_of, splat
from dynsal.baselines.rudoy.notes import SUBSTITUTIONS
from dynsal.baselines.rudoy.training import collect_pairs, train
from dynsal.config_baselines import RudoyOptions
from dynsal.errors import DataError
from dynsal.prepare import Frame

OPTIONS = RudoyOptions(trees=15, faces=False, people=False, samples=1000)


def spot_video(seed, n, size=(128, 96), kept=lambda i: True):
    """Return frames of a bright spot that moves over texture, and gaze around it."""
    random = np.random.default_rng(seed)
    width, height = size
    texture = cv2.GaussianBlur(random.normal(0, 1, (height, width, 3)).astype(np.float32), (0, 0), 3)
    texture = 90 + 20 * texture / texture.std()
    down, across = np.mgrid[:height, :width]
    phase = random.uniform(0, 6)
    frames, points = [], {}
    for i in range(n):
        x, y = width * (0.5 + 0.35 * np.sin(phase + i / 12)), height * (0.5 + 0.3 * np.cos(phase + i / 9))
        spot = 150 * np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * (height / 16) ** 2))
        bgr = np.clip(texture + spot[..., None], 0, 255).astype(np.uint8)
        frames.append(Frame(i, i / 30, bgr, kept(i)))
        points[i] = np.array([x, y]) + random.normal(0, height / 60, (6, 2))
    return frames, points


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return the file of a model trained on three videos."""
    sets = []
    for seed in range(3):
        frames, points = spot_video(seed, 40)
        anchors = draw_anchors([], len(frames), 5, np.random.default_rng(seed))
        sets.append(collect_pairs(frames, points, anchors, OPTIONS, {}))
    path = tmp_path_factory.mktemp("rudoy") / "model.safetensors"
    save_model(path, train(sets, OPTIONS, {"trained_on": "spots"}))
    return path


def maps(model, frames, options=OPTIONS):
    return list(create(options, {"model": model}).maps(frames))


def test_learns_to_follow_what_gaze_followed(model):
    """On a new video of another size, the peak of the map lies at the spot; maps have the frame's size and type."""
    frames, points = spot_video(11, 9, (200, 150))
    found = maps(model, frames)
    assert [index for index, _ in found] == list(range(9))
    misses = []
    for index, saliency in found:
        assert saliency.shape == (150, 200)
        assert saliency.dtype == np.float32
        assert np.isfinite(saliency).all()
        assert saliency.min() >= 0
        y, x = np.unravel_index(saliency.argmax(), saliency.shape)
        misses.append(np.hypot(*(points[index].mean(axis=0) - (x, y))))
    assert np.median(misses[2:]) < 20
    assert max(misses[2:]) < 60


def test_maps_do_not_depend_on_which_frames_are_kept(model):
    """Every frame is predicted, because the next one begins from its map."""
    every, _ = spot_video(12, 5, kept=lambda i: True)
    some, _ = spot_video(12, 5, kept=lambda i: i in (2, 4))
    whole, found = dict(maps(model, every)), dict(maps(model, some))
    assert list(found) == [2, 4]
    for index, saliency in found.items():
        np.testing.assert_array_equal(saliency, whole[index])
    ((_, alone),) = maps(model, every[4:])
    assert not np.array_equal(whole[4], alone)


def test_maps_are_the_same_twice_and_with_any_number_of_threads(model):
    """Calls share no state: one object used twice, and twice as many threads."""
    frames, _ = spot_video(13, 3)
    baseline = create(OPTIONS, {"model": model})
    before = cv2.getNumThreads()
    found = []
    try:
        for threads in (1, 2):
            cv2.setNumThreads(threads)
            found.append([saliency for _, saliency in baseline.maps(frames)])
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize(
    "bgr",
    [
        np.zeros((48, 64, 3), np.uint8),
        np.full((300, 400, 3), 255, np.uint8),
        np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8),
        np.random.default_rng(0).integers(0, 256, (17, 201, 3), dtype=np.uint8),
    ],
    ids=["black", "white", "tiny", "odd"],
)
def test_frames_with_little_in_them(model, bgr):
    """One or three such frames: maps are finite, not negative, of the frame's size."""
    for count in (1, 3):
        found = maps(model, [Frame(i, 0.0, bgr, True) for i in range(count)])
        assert len(found) == count
        for _, saliency in found:
            assert saliency.shape == bgr.shape[:2]
            assert np.isfinite(saliency).all()
            assert saliency.min() >= 0


def test_no_frames_no_maps(model):
    assert maps(model, []) == []


def test_a_flat_frame_has_its_centre(model):
    """The only candidate: a Gaussian of sigma sqrt(2) x 48 / 8, counted from 1 at (64 / 2, 48 / 2)."""
    ((_, saliency),) = maps(model, [Frame(0, 0.0, np.zeros((48, 64, 3), np.uint8), True)])
    down, across = np.mgrid[:48, :64]
    expected = np.exp(-((across - 31) ** 2 + (down - 23) ** 2) / (4 * 36))
    np.testing.assert_allclose(saliency, expected, atol=1e-6)


def test_frames_of_different_sizes_are_refused(model):
    frames = [Frame(i, 0.0, np.zeros((48, 64 + 8 * i, 3), np.uint8), True) for i in range(2)]
    with pytest.raises(DataError, match="frame 1"):
        maps(model, frames)


def test_what_is_missing_shows_before_any_frame(model):
    with pytest.raises(DataError, match="needs the file model"):
        create(OPTIONS, {})
    with pytest.raises(DataError, match="trained with people = False, not True"):
        create(RudoyOptions(faces=False), {"model": model})


def test_faces_without_their_cascade_are_refused(tmp_path):
    options = OPTIONS.model_copy(update={"faces": True})
    with pytest.raises(DataError, match="cascade is missing"):
        collect_pairs([], {}, [], options, {})


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n_sources=st.integers(1, 4),
    k=st.integers(1, 6),
    steps=st.sampled_from([2, 4, 10]),
)
def test_scores_of_destinations_against_plain_loops(seed, n_sources, k, steps):
    """Few steps make rows with no, some, or only unlikely jumps, and exact halves."""
    random = np.random.default_rng(seed)
    positive = random.integers(0, steps + 1, (n_sources, k)) / steps
    weights = random.random(n_sources)
    total = [0.0] * k
    for row, weight in zip(positive, weights, strict=True):
        believed = [p if p > 0.5 else 0.0 for p in row]
        if not any(believed):
            believed = list(row)
        if sum(believed):
            total = [t + weight * b / sum(believed) for t, b in zip(total, believed, strict=True)]
    expected = [t / max(total) for t in total] if max(total) > 0 else total
    np.testing.assert_allclose(destination_scores(positive, weights), expected, atol=1e-12)


def test_splat_against_plain_loops():
    """A full matrix instead of two axes; the covariance is doubled, the maximum 1."""
    random = np.random.default_rng(0)
    points, variances, scores = random.uniform(0, 20, (4, 2)), random.uniform(2, 20, (4, 2)), random.random(4)
    found = Candidates(points, np.ones(4, int), np.ones(4), variances, np.zeros((4, 4)))
    expected = np.zeros((16, 24))
    for y in range(16):
        for x in range(24):
            for point, variance, score in zip(points, variances, scores, strict=True):
                d = np.array([x, y]) - point
                expected[y, x] += score * np.exp(-0.5 * d @ np.linalg.inv(2 * np.diag(variance)) @ d)
    np.testing.assert_allclose(splat(found, scores, (24, 16)), expected / expected.max(), rtol=1e-10)
    assert not splat(found, np.zeros(4), (24, 16)).any()


@pytest.mark.parametrize("previous", [None, np.zeros((144, 256)), np.full((144, 256), 0.3)])
def test_the_first_source_is_the_centre(previous):
    """Also after a map that says nothing."""
    points, scores = sources_of(previous, (256, 144))
    np.testing.assert_array_equal(points, [[127, 71]])
    np.testing.assert_array_equal(scores, [1])


def test_sources_are_the_strongest_regions_of_the_previous_map():
    """Two squares, 12 and 8 pixels wide; scores are what their boxes hold, relative to the larger."""
    previous = np.full((40, 100), 0.001)
    previous[4:12, 10:22] = 2.0
    previous[20:28, 60:63] = 2.0
    points, scores = sources_of(previous, (100, 40))
    np.testing.assert_array_equal(points, [[15.5, 7.5], [61, 23.5]])
    np.testing.assert_allclose(scores, [1, 0.25])


def test_substitutions_name_both_sides():
    """What tables print of them: every part once, what is here and what was there."""
    assert len({one.part for one in SUBSTITUTIONS}) == len(SUBSTITUTIONS)
    assert all(one.here and one.there for one in SUBSTITUTIONS)
