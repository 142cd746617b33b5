"""What maps are scored against: the right frames, and negatives that are never one's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynsal.clips import create, describe
from dynsal.config import EvaluateConfig, GazeConfig
from dynsal.errors import DataError
from dynsal.gaze import Gaze, read_gaze, sort_table, write_gaze
from dynsal.references import load_references, score_path, viewer_halves

SIZE, SOURCE = (32, 16), (64, 64)
VIDEOS = ["pan", "still", "crowd"]
FRAMES = range(0, 100, 2)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """Three videos whose fixations tell their video by the column and their frame by the row."""
    folder = tmp_path_factory.mktemp("results")
    for number, video in enumerate(VIDEOS):
        with create(folder / "frames" / f"{video}.h5", SIZE, flow_step=1 / 16) as writer:
            for frame in FRAMES:
                writer.append(frame, frame / 30, flow=np.zeros((*SIZE[::-1], 2), np.float32))
            describe(writer, source_frames=100)
        frames = np.repeat([f for f in FRAMES if f % 3], 4)
        x, y = np.full(len(frames), 10.0 + 20 * number), frames / 2.0
        table = sort_table(frames, np.tile(list("abcd"), len(frames) // 4), x, y)
        write_gaze(folder / "gaze" / f"{video}.parquet", Gaze(table, {}, 100, SOURCE), SIZE, 8.0, video)
    return folder


def column(number: int) -> float:
    """Return where the fixations of a video lie at the working size."""
    return (10.0 + 20 * number + 0.5) / 2 - 0.5


def load(results, videos=VIDEOS, gaze=None, **keys):
    return load_references(results, videos, gaze or GazeConfig(), EvaluateConfig(**keys))


@pytest.mark.parametrize("pool_frames", [1, 5, 1000])
def test_other_videos_are_never_the_own(results, pool_frames):
    """All others contribute, with the number of frames asked for, 4 viewers each."""
    available = sum(1 for frame in FRAMES if frame % 3)
    for number, (video, reference) in enumerate(load(results, pool_frames=pool_frames).items()):
        assert reference.video == video == VIDEOS[number]
        others = {column(other) for other in range(3) if other != number}
        assert set(reference.other_videos[:, 0].tolist()) == others
        assert len(reference.other_videos) == 2 * 4 * min(pool_frames, available)


def test_same_video_is_never_the_own_frame(results):
    """For every frame, whether the pool drew it or not."""
    for number, reference in enumerate(load(results, pool_frames=20).values()):
        for frame in reference.frames.tolist():
            negatives = reference.same_video.negatives(frame)
            assert len(negatives) >= 4 * 19
            assert set(negatives[:, 0].tolist()) == {column(number)}
            own = (frame / 2 + 0.5) / 4 - 0.5
            assert own not in negatives[:, 1]


def test_one_video_has_no_negatives_from_others(results):
    reference = load(results, ["pan"])["pan"]
    assert reference.other_videos.shape == (0, 2)
    assert len(reference.same_video.negatives(2))


def test_the_seed_decides(results):
    """The same draw for the same seed, whatever the order of the videos; another for another."""
    first, again = load(results, pool_frames=3), load(results, VIDEOS[::-1], pool_frames=3)
    other = load(results, pool_frames=3, pool_seed=1)
    for video in VIDEOS:
        np.testing.assert_array_equal(first[video].other_videos, again[video].other_videos)
        np.testing.assert_array_equal(first[video].same_video.points, again[video].same_video.points)
    assert not np.array_equal(first["pan"].other_videos, other["pan"].other_videos)


def test_sigma_and_size_pass_through(results):
    """8 source pixels per degree; the picture is halved across and quartered down."""
    reference = load(results)["pan"]
    assert reference.size == SIZE
    assert reference.sigma == (4.0, 2.0)
    assert load(results, gaze=GazeConfig(sigma_deg=0.5))["pan"].sigma == (2.0, 1.0)
    assert load(results, gaze=GazeConfig(sigma_deg=0.5, px_per_deg=24.0))["pan"].sigma == (6.0, 3.0)


def test_points_and_density_of_a_frame(results):
    reference = load(results)["still"]
    assert set(reference.points) == {f for f in FRAMES if f % 3}
    np.testing.assert_allclose(reference.points[4], [[column(1), (2 + 0.5) / 4 - 0.5]] * 4)
    density = reference.density(4)
    assert density.shape == SIZE[::-1]
    row, peak = np.unravel_index(density.argmax(), density.shape)
    assert (peak, row) == (15, 0)


def test_frames_are_selected_by_source_index(results):
    assert load(results)["pan"].frames.tolist() == list(FRAMES)
    assert load(results, frames="trim30")["pan"].frames.tolist() == list(range(30, 70, 2))


def test_no_frame_left(results, tmp_path):
    """A video of less than 60 frames has nothing that trim30 would score."""
    (tmp_path / "gaze").mkdir()
    (tmp_path / "gaze" / "pan.parquet").write_bytes((results / "gaze" / "pan.parquet").read_bytes())
    with create(tmp_path / "frames" / "pan.h5", SIZE, flow_step=1 / 16) as writer:
        writer.append(0, 0.0, flow=np.zeros((*SIZE[::-1], 2), np.float32))
        describe(writer, source_frames=59)
    with pytest.raises(DataError, match=r"pan: no frame is left of those to score \(trim30\)"):
        load(tmp_path, ["pan"], frames="trim30")


def test_missing_files_are_named(results):
    with pytest.raises(DataError, match=r"gaze/absent\.parquet"):
        load(results, ["pan", "absent"])


def test_viewer_halves(results):
    """Each draw parts the viewers, so no one predicts himself; draws differ, seeds repeat."""
    file = read_gaze(results / "gaze" / "pan.parquet")
    file.table["x"] = file.table["subject"].map({name: float(i) for i, name in enumerate("abcd")})
    draws = viewer_halves(file, EvaluateConfig(human_draws=6))
    assert len(draws) == 6
    splits = []
    for first, second in draws:
        who = [set(np.concatenate(list(half.values()))[:, 0].tolist()) for half in (first, second)]
        assert who[0] | who[1] == {0.0, 1.0, 2.0, 3.0}
        assert not who[0] & who[1]
        assert set(first) == set(second) == set(file.table["frame"])
        splits.append(frozenset(who[0]))
    assert len(set(splits)) > 1
    again = viewer_halves(file, EvaluateConfig(human_draws=6))
    assert [sorted(np.concatenate(list(a.values()))[:, 0]) for a, _ in again] == [
        sorted(np.concatenate(list(a.values()))[:, 0]) for a, _ in draws
    ]


def test_score_path():
    assert score_path(Path("results/demo"), "early", 3, "pan") == Path(
        "results/demo/scores/early/seed3/pan.parquet"
    )
