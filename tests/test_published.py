"""The protocol behind the published baseline figures: sizes, points, negatives, and what a switch to it changes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dynsal import layout, metrics, published
from dynsal.clips import create, describe
from dynsal.config import EvaluateConfig, GazeConfig
from dynsal.gaze import Gaze, read_gaze, sort_table, write_gaze
from dynsal.references import load_references, viewer_halves

NATIVE, SIZE = (1280, 712), (64, 48)


def test_working_copies():
    """The release's own sizes for its test videos; a fifth in multiples of 4 for others."""
    listed = layout.published_sizes()
    assert set(listed) == {video for video, role in layout.split("borji20").items() if role == "test"}
    assert published.working_copy("news_tony_blair_resignation_720x540", (720, 540)) == (144, 112)
    assert published.working_copy("ami_ib4010_closeup_720x576", (720, 576)) == (144, 116)
    assert published.working_copy("BQMall", (832, 480)) == (168, 96)
    # The release rounds up "now and then one step more"; the rule must be within one step of all its sizes.
    for video, size in listed.items():
        native = tuple(map(int, video.rsplit("_", 1)[1].split("x")))
        by_rule = [4 * -(-side // 20) for side in native]
        assert all(0 <= a - b <= 4 for a, b in zip(size, by_rule, strict=True)), video


def test_points_by_hand():
    """Recorded (640, 360) of 1280x720 is the middle, 1-based pixel 128, 72 of 256x144; 0-based one less."""
    middle = np.array([[639.5, 359.5], [644.5, 359.5]])
    found = published.to_working_copy(middle, (1280, 720), (256, 144))
    np.testing.assert_allclose(found, [[127, 71], [128, 71]])
    corners = published.to_working_copy(np.array([[-0.5, -0.5], [1279.4, 719.4]]), (1280, 720), (256, 144))
    assert (metrics.pixel_index(corners, (144, 256)) == [0, 143 * 256 + 255]).all()


def test_auc_tends_to_the_exact_form_and_merges_duplicates():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:60, :80]
    saliency = np.exp(-((rows - 30) ** 2 + (columns - 40) ** 2) / 300)
    near, far = rng.normal((40, 30), 8, (60, 2)).clip(0, 59), rng.uniform(0, 59, (4000, 2))
    found = published.auc(saliency, near, far, (0, 7))
    unique = [np.unique(np.floor(points + 0.5), axis=0) for points in (near, far)]
    assert found == pytest.approx(metrics.sauc(saliency, *unique), abs=0.01)
    assert published.auc(saliency, np.repeat(near, 3, axis=0), far, (0, 7)) == found
    assert published.auc(saliency, near, far, (0, 8)) != found
    assert published.auc(np.ones((60, 80)), near, far, (0, 7)) == 0.5


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two videos of 100 frames whose four viewers look at a place of their own."""
    folder = tmp_path_factory.mktemp("results")
    for number, video in enumerate(["one", "two"]):
        with create(folder / "frames" / f"{video}.h5", SIZE, flow_step=1 / 16) as writer:
            for frame in range(100):
                writer.append(frame, frame / 30, flow=np.zeros((*SIZE[::-1], 2), np.float32))
            describe(writer, source_frames=100)
        frames = np.repeat(np.arange(100), 4)
        x = np.tile([100.0, 300.0, 600.0, 1200.0], 100) + 5 * number
        table = sort_table(frames, np.tile(list("abcd"), 100), x, np.full(400, 300.0))
        write_gaze(folder / "gaze" / f"{video}.parquet", Gaze(table, {}, 100, NATIVE), SIZE, 50.0, video)
    return folder


def test_the_switch_changes_only_what_it_should(results):
    """Frames, size, Gaussian, points and the first AUC; not the viewers, the video's identity or the other metrics' form."""
    exact, book = (
        load_references(results, ["one", "two"], GazeConfig(), EvaluateConfig(protocol=protocol))["one"]
        for protocol in ("exact", "published")
    )
    assert exact.frames.tolist() == list(range(100))
    assert book.frames.tolist() == list(range(29, 70))  # 30 .. N - 30, counted from 1
    assert (exact.size, book.size) == (SIZE, (256, 144))
    assert book.sigma == (10.0, 10.0)
    assert len(book.points[40]) == len(exact.points[40]) == 4
    np.testing.assert_allclose(
        book.points[40][:, 0], (np.array([100.5, 300.5, 600.5, 1200.5]) - 640) / 5 + 127
    )
    np.testing.assert_allclose(book.points[40][:, 1], (300.5 - 356) / 5 + 71, atol=1e-9)
    assert len(book.same_video.negatives(40)) == 4 * 99  # all frames, not a sample
    assert len(exact.same_video.negatives(-1)) == 4 * EvaluateConfig().pool_frames
    rng = np.random.default_rng(0)
    saliency = rng.random((144, 256))
    scores = book.score(40, saliency, book.points[40], book.density(40))
    pool = book.same_video.negatives(40)
    assert scores["sauc"] == published.auc(saliency, book.points[40], pool, (0, 40))
    assert scores["sauc_same_video"] == metrics.sauc(saliency, book.points[40], pool)
    assert scores["chi2"] == metrics.chi2(saliency, book.density(40))


def test_other_videos_keep_their_relative_places(results):
    """Their points are mapped to the working copy of the video that is scored."""
    exact, book = (
        load_references(results, ["one", "two"], GazeConfig(), EvaluateConfig(protocol=protocol))["one"]
        for protocol in ("exact", "published")
    )
    np.testing.assert_allclose(
        (book.other_videos + 0.5) / book.size, (exact.other_videos + 0.5) / exact.size, atol=1e-12
    )


def test_halves_are_in_the_same_pixels(results):
    file = read_gaze(results / "gaze" / "one.parquet")
    (first, second), *_ = viewer_halves(file, EvaluateConfig(protocol="published"))
    seen = np.sort(np.concatenate([first[50], second[50]])[:, 0])
    np.testing.assert_allclose(seen, (np.array([100.5, 300.5, 600.5, 1200.5]) - 640) / 5 + 127)
    assert isinstance(file.table, pd.DataFrame)


def test_centre_model_of_the_release():
    """As wide in y as in x: a sixteenth of the width."""
    found = published.centre_map((160, 90))
    rows, columns = np.mgrid[:90, :160]
    mean = (found * columns).sum(), (found * rows).sum()
    spread = np.sqrt((found * (columns - mean[0]) ** 2).sum()), np.sqrt((found * (rows - mean[1]) ** 2).sum())
    np.testing.assert_allclose(mean, (79.5, 44.5), atol=1e-6)
    np.testing.assert_allclose(spread, (10, 10), rtol=0.01)


@pytest.mark.parametrize(
    ("subjects", "kept"),
    [
        (["2-01", "4-02", "4-03-7", "3-01"], [False, True, True, False]),
        (["10-01", "9-01"], [True, False]),
        (["1", "2"], [True, True]),
        (["4-01", "guest"], [True, True]),
        ([], []),
    ],
)
def test_last_experiment(subjects, kept):
    """By number, not by text; viewers that are not called as DIEM's are all kept."""
    assert published.last_experiment(pd.Series(subjects, dtype="str")).tolist() == kept
