"""Scores of frames: the right map against the right gaze, nothing lost, nothing scored twice."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal import metrics
from dynsal.evaluation import (
    NO_FIXATION,
    NO_OTHER_HALF,
    Reference,
    centre_map,
    constant,
    mean_map,
    score_halves,
    score_map,
    score_video,
    select_frames,
    uniform_map,
)

SIZE = (24, 16)
SIGMA = (2.0, 1.5)
COLUMNS = ["frame", "n_fixations", *metrics.METRICS, "skipped"]


class OwnFrame:
    """Negatives that tell for which frame they were asked."""

    def negatives(self, frame: int) -> np.ndarray:
        return np.random.default_rng(1000 + frame).uniform(-0.5, np.array(SIZE) - 0.5, (20, 2))


def make(frames=(0, 3, 5, 8), without=(5,), seed=0) -> Reference:
    rng = np.random.default_rng(seed)
    return Reference(
        video="Kimono",
        frames=np.array(frames, np.int32),
        points={f: rng.uniform(-0.5, np.array(SIZE) - 0.5, (3 + f, 2)) for f in frames if f not in without},
        size=SIZE,
        sigma=SIGMA,
        other_videos=rng.uniform(-0.5, np.array(SIZE) - 0.5, (40, 2)),
        same_video=OwnFrame(),
    )


def maps_of(reference: Reference, seed: int = 9) -> dict[int, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {frame: rng.random(SIZE[::-1]) for frame in reference.frames.tolist()}


def gaussians(points, size=SIZE, sigma=SIGMA) -> np.ndarray:
    """Add up Gaussians pixel by pixel."""
    total = np.zeros(size[::-1])
    for row, column in itertools.product(range(size[1]), range(size[0])):
        total[row, column] = sum(
            np.exp(-(((column - x) / sigma[0]) ** 2) / 2 - ((row - y) / sigma[1]) ** 2 / 2) for x, y in points
        )
    return total / total.sum()


def by_hand(saliency, fixations, truth, others, own) -> dict[str, float]:
    return {
        "sauc": metrics.sauc(saliency, fixations, others),
        "sauc_same_video": metrics.sauc(saliency, fixations, own),
        "chi2": metrics.chi2(saliency, truth),
        "auc_judd": metrics.auc_judd(saliency, fixations),
        "nss": metrics.nss(saliency, fixations),
        "cc": metrics.cc(saliency, truth),
        "sim": metrics.sim(saliency, truth),
        "kld": metrics.kld(saliency, truth),
    }


def test_score_video_is_the_metrics_frame_by_frame():
    """Every column, against an independent loop with an independent ground truth."""
    reference = make()
    maps = maps_of(reference)
    table = score_video(reference, maps.items()).set_index("frame")
    for frame, points in reference.points.items():
        expected = by_hand(
            maps[frame], points, gaussians(points), reference.other_videos, OwnFrame().negatives(frame)
        )
        assert set(expected) == set(metrics.METRICS)
        for name, value in expected.items():
            assert table.loc[frame, name] == pytest.approx(value, rel=1e-9), (frame, name)
        assert table.loc[frame, "n_fixations"] == 3 + frame
        assert table.loc[frame, "skipped"] == ""


def test_the_form_of_a_table():
    """One row per frame, in order; plain types, so that all score files concatenate."""
    reference = make()
    table = score_video(reference, maps_of(reference).items())
    assert list(table.columns) == COLUMNS
    assert table["frame"].tolist() == [0, 3, 5, 8]
    assert table["frame"].dtype == table["n_fixations"].dtype == np.int32
    assert all(table[name].dtype == np.float64 for name in metrics.METRICS)


def test_frames_without_fixation_are_told():
    reference = make(without=(5, 8))
    table = score_video(reference, maps_of(reference).items()).set_index("frame")
    assert table["skipped"].to_dict() == {0: "", 3: "", 5: NO_FIXATION, 8: NO_FIXATION}
    assert table.loc[[5, 8], list(metrics.METRICS)].isna().all(axis=None)
    assert (table.loc[[5, 8], "n_fixations"] == 0).all()


def test_nobody_looked_at_all():
    """A table all the same, with the same types."""
    reference = make(without=(0, 3, 5, 8))
    table = score_video(reference, maps_of(reference).items())
    assert (table["skipped"] == NO_FIXATION).all()
    assert all(table[name].dtype == np.float64 for name in metrics.METRICS)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([0, 5, 3, 8], "frame 5 came out of order"),
        ([0, 0, 3, 5, 8], "frame 0 came out of order"),
        ([0, 3, 5, 8, 9], "frame 9 came out of order or was not asked for"),
        ([3, 5, 8], "frame 3 came out of order"),
        ([0, 3, 5], "no map for frame 8"),
        ([], "no map for frame 0"),
    ],
)
def test_a_stream_that_is_not_what_was_asked_for(order, message):
    """Missing, surplus, repeated, swapped: scores of the wrong frame would look like any others."""
    reference = make()
    maps = {**maps_of(reference), 9: np.ones(SIZE[::-1])}
    with pytest.raises(ValueError, match=f"Kimono: .*{message}"):
        score_video(reference, ((frame, maps[frame]) for frame in order))


@pytest.mark.parametrize("frame", [0, 5])
def test_a_map_of_another_size(frame):
    """Told with both sizes, width first, even in a frame that is skipped."""
    reference = make()
    maps = maps_of(reference)
    maps[frame] = np.ones(SIZE)
    with pytest.raises(ValueError, match=f"frame {frame} is 16x24, the ground truth 24x16"):
        score_video(reference, maps.items())


def test_score_map_names_what_the_tables_print():
    """In the order of METRICS."""
    reference = make()
    points = reference.points[0]
    found = score_map(
        np.ones(SIZE[::-1]), points, reference.density(0), reference.other_videos, reference.other_videos
    )
    assert list(found) == list(metrics.METRICS)


def test_select_frames_by_hand():
    """A video of 100 frames of which every other is kept; trim30 is 30 .. N - 30 counted from 1, Rudoy's rule."""
    kept = np.arange(0, 100, 2, dtype=np.int32)
    assert select_frames(kept, 100, "all").tolist() == kept.tolist()
    assert select_frames(kept, 100, "trim30").tolist() == list(range(30, 70, 2))
    assert select_frames(np.arange(100, dtype=np.int32), 100, "trim30").tolist() == list(range(29, 70))
    assert select_frames(np.arange(59, dtype=np.int32), 59, "trim30").tolist() == []
    assert select_frames(np.arange(60, dtype=np.int32), 60, "trim30").tolist() == [29]
    assert select_frames(np.array([0, 298, 299, 300, 301], np.int32), 400, "first300").tolist() == [
        0,
        298,
        299,
    ]


@given(st.integers(1, 500), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_trim30_counts_from_one(length, stride):
    kept = np.arange(0, length, stride, dtype=np.int32)
    expected = [frame for frame in kept.tolist() if 30 <= frame + 1 <= length - 30]
    assert select_frames(kept, length, "trim30").tolist() == expected


def test_constant_gives_every_frame_the_same_map():
    reference, saliency = make(), np.ones(SIZE[::-1])
    stream = list(constant(reference, saliency))
    assert [frame for frame, _ in stream] == [0, 3, 5, 8]
    assert all(one is saliency for _, one in stream)


@pytest.mark.parametrize("size", [(24, 16), (25, 15), (4, 40)])
def test_centre_floor(size):
    """A normalised Gaussian in the middle of the picture, symmetric, one sixth of the sides wide."""
    found = centre_map(size)
    assert found.shape == size[::-1]
    middle = [((size[0] - 1) / 2, (size[1] - 1) / 2)]
    np.testing.assert_allclose(found, gaussians(middle, size, (size[0] / 6, size[1] / 6)), rtol=1e-9)
    np.testing.assert_allclose(found, found[::-1, ::-1], rtol=1e-9)


def test_uniform_floor_knows_nothing():
    """Chance where the metric has one, exactly; no value where a constant map has none."""
    reference = make(without=())
    assert uniform_map(SIZE).sum() == pytest.approx(1)
    table = score_video(reference, constant(reference, uniform_map(SIZE)))
    for name in ("sauc", "sauc_same_video", "auc_judd"):
        assert (table[name] == 0.5).all()
    assert table[["nss", "cc"]].isna().all(axis=None)
    assert (table["skipped"] == "").all()


def test_mean_map_against_brute_force():
    """Every video weighs alike, however many frames it has, and every frame, however many viewers."""
    rng = np.random.default_rng(4)
    videos = [
        ({f: rng.uniform(0, 15, (1 + f, 2)) for f in range(count)}, (1.0 + count, 2.0)) for count in (1, 4)
    ]
    expected = sum(
        sum(gaussians(points, SIZE, sigma) for points in frames.values()) / len(frames)
        for frames, sigma in videos
    )
    found = mean_map(videos, SIZE)
    np.testing.assert_allclose(found, expected / 2, rtol=1e-9, atol=1e-15)
    assert found.sum() == pytest.approx(1)


def halves_of(reference: Reference, draws: int, seed: int = 0):
    """Split the points of every frame at random; frame 3 lacks the first half in draw 0, frame 8 in all."""
    rng = np.random.default_rng(seed)
    made = []
    for draw in range(draws):
        first, second = {}, {}
        for frame, points in reference.points.items():
            order = rng.permutation(len(points))
            if frame != 8 and (frame, draw) != (3, 0):
                first[frame] = points[order[: len(points) // 2]]
            second[frame] = points[order[len(points) // 2 :]]
        made.append((first, second))
    return made


def test_score_halves_against_a_loop():
    """The first half predicts, the second is what is predicted; a draw without either does not count."""
    reference = make()
    halves = halves_of(reference, 3)
    table = score_halves(reference, iter(halves)).set_index("frame")
    for frame, draws in ((0, (0, 1, 2)), (3, (1, 2))):
        scores = [
            by_hand(
                gaussians(halves[draw][0][frame]),
                halves[draw][1][frame],
                gaussians(halves[draw][1][frame]),
                reference.other_videos,
                OwnFrame().negatives(frame),
            )
            for draw in draws
        ]
        for name in metrics.METRICS:
            expected = sum(score[name] for score in scores) / len(scores)
            assert table.loc[frame, name] == pytest.approx(expected, rel=1e-7), (frame, name)
        assert table.loc[frame, "n_fixations"] == 3 + frame
    assert table["skipped"].to_dict() == {0: "", 3: "", 5: NO_FIXATION, 8: NO_OTHER_HALF}
    assert table.loc[[5, 8], list(metrics.METRICS)].isna().all(axis=None)
    assert list(table.reset_index().columns) == COLUMNS


def test_people_who_agree_beat_the_centre():
    """Where all look at one place off the centre, the human ceiling lies above the floor in every metric."""
    rng = np.random.default_rng(2)
    frames = np.arange(6, dtype=np.int32)
    points = {f: np.clip(rng.normal((5 + 2 * f, 4), 0.8, (12, 2)), 0, 15) for f in frames.tolist()}
    reference = Reference(
        "x", frames, points, SIZE, SIGMA, rng.uniform(-0.5, np.array(SIZE) - 0.5, (200, 2)), OwnFrame()
    )
    halves = [({f: p[:6] for f, p in points.items()}, {f: p[6:] for f, p in points.items()})]
    human = score_halves(reference, halves).mean(numeric_only=True)
    centre = score_video(reference, constant(reference, centre_map(SIZE))).mean(numeric_only=True)
    for name, info in metrics.METRICS.items():
        better = human[name] > centre[name] if info.higher_is_better else human[name] < centre[name]
        assert better, name
    assert human["sauc"] > 0.9
