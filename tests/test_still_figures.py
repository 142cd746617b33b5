"""The pictures of Table 3: which images are shown, what is where, and the scripts that draw them."""

from __future__ import annotations

import itertools
import json
import logging

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers import call
from hypothesis import given, settings
from hypothesis import strategies as st
from still_files import SIZE, write_flow, write_shard

from dynsal import baselines, layout, motion_figures, static_prediction, still_figures
from dynsal.baselines.base import Frame
from dynsal.clips import Clip, create
from dynsal.config import parse, stage_json
from dynsal.errors import DataError
from dynsal.figures import Example, flow_colours, overlay, save
from dynsal.inference import Predictor
from dynsal.motion_figures import MotionExample, motion_rows
from dynsal.nets import build
from dynsal.nets.weights import save_model
from dynsal.still_figures import RANKS, chosen_images, common_bound, transfer_gallery
from dynsal.video import resize

NAN = float("nan")


def example(models=("early", "gbvs"), title="lower quartile: demo_still_603_640x480", push=2.0) -> Example:
    rng = np.random.default_rng(0)
    shape = SIZE[::-1]
    return Example(
        title=title,
        bgr=rng.integers(0, 255, (*shape, 3), np.uint8),
        flow=rng.normal(0, push, (*shape, 2)),
        points=rng.uniform(0, 1, (7, 2)) * (np.array(SIZE) - 1),
        truth=rng.random(shape),
        maps={model: rng.random(shape) for model in models},
        scores=dict.fromkeys(models, 0.75),
    )


# Which images


def test_ranks_of_nine_images():
    """The ends, and every second place between; best first."""
    assert chosen_images([5, 1, 9, 3, 7, 2, 8, 4, 6]) == {
        2: "best", 4: "upper quartile", 0: "median", 3: "lower quartile", 1: "worst",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, {0: "best"}),
        (2, {0: "best", 1: "worst"}),
        (3, {0: "best", 1: "median", 2: "worst"}),
        (4, {0: "best", 1: "upper quartile", 2: "median", 3: "worst"}),
        (5, dict(enumerate(RANKS))),
    ],
)
def test_few_images(n, expected):
    """None twice, and the ends keep their names."""
    assert chosen_images(-np.arange(n)) == expected


def test_images_without_a_score_are_not_ranked():
    assert chosen_images([NAN, 0.2, NAN, 0.8]) == {3: "best", 1: "worst"}
    for nothing in ([], [NAN, NAN]):
        with pytest.raises(DataError, match="no image has an sAUC"):
            chosen_images(nothing)


def test_of_equal_images_the_earlier_is_better():
    assert list(chosen_images([0.5] * 5)) == [0, 1, 2, 3, 4]


@given(st.lists(st.floats(0, 1) | st.just(NAN), min_size=5, max_size=60))
@settings(max_examples=100, deadline=None)
def test_ranks_are_quantiles(scores):
    """The chosen scores are numpy's quantiles where these are scores of images; else within a place of them."""
    values = np.array(scores)
    known = values[~np.isnan(values)]
    if len(known) < 5:
        return
    found = chosen_images(values)
    assert list(found.values()) == list(RANKS)
    for (image, _), quantile in zip(found.items(), (1, 0.75, 0.5, 0.25, 0), strict=True):
        low, high = (np.quantile(known, quantile, method=method) for method in ("lower", "higher"))
        assert low <= values[image] <= high


# Pictures


def test_common_bound():
    """By hand: of 100 lengths 0 .. 99 all but the longest reach 98; over all fields; 1 where nothing moves."""
    lengths = np.arange(100.0)
    field = np.dstack([0.6 * lengths, 0.8 * lengths])
    assert common_bound([field]) == pytest.approx(98.01)
    halves = field.reshape(10, 10, 2)
    assert common_bound([halves[:5], -halves[5:]]) == pytest.approx(98.01)
    assert common_bound([np.zeros((3, 4, 2), np.float16)]) == 1


@pytest.mark.parametrize(
    "models", [["early"], ["early", "early_no_motion", "spatial", "deep", "itti", "gbvs"]]
)
def test_gallery_shows_what_it_was_given(models):
    """Image, field in the colours of the written bound, fixations on their density, and every map with its score."""
    examples = [example(models), example(models, push=1.0)]
    figure = transfer_gallery(examples)
    columns = 3 + len(models)
    bound = common_bound(one.flow for one in examples)
    assert (
        figure.get_supxlabel() == f"Motion: hue is direction; colour is full at {bound:.2g} pixels per frame."
    )
    titles = [axis.get_title() for axis in figure.axes[:columns]]
    assert titles[:3] == ["Image", "Predicted motion", "Truth"]
    assert len(set(titles)) == columns
    for row, one in zip((figure.axes[:columns], figure.axes[columns : 2 * columns]), examples, strict=True):
        np.testing.assert_array_equal(row[0].images[0].get_array(), one.bgr[..., ::-1])
        np.testing.assert_array_equal(row[1].images[0].get_array(), flow_colours(one.flow, bound))
        np.testing.assert_array_equal(row[2].lines[0].get_xydata(), one.points)
        for axis, name in zip(row[3:], models, strict=True):
            np.testing.assert_array_equal(axis.images[0].get_array(), overlay(one.bgr, one.maps[name]))
            assert axis.get_xlabel() == "sAUC 0.75"
    assert [axis for axis in figure.axes if axis.child_axes] == [figure.axes[1]]


def motion_example(title="demo_pan_05_of_a_long_name", names=("measured", "predicted", "nearest")):
    rng = np.random.default_rng(1)
    shape = SIZE[::-1]
    return MotionExample(
        title,
        rng.integers(0, 255, (*shape, 3), np.uint8),
        {name: rng.normal(0, 9, (*shape, 2)) * (number + 1) for number, name in enumerate(names)},
        {name: 1.25 for name in names if name != "measured"},
    )


def test_motion_shows_what_it_was_given():
    """Each field in colours that are full at its own bound, which is written below, with its error if it has one."""
    one = motion_example()
    figure = motion_rows([one, one])
    assert [axis.get_title() for axis in figure.axes[:4]] == [
        "Frame", "Measured motion", "Predicted", "Nearest image's",
    ]  # fmt: skip
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), one.bgr[..., ::-1])
    for axis, (name, field) in zip(figure.axes[1:4], one.fields.items(), strict=True):
        bound = common_bound([field])
        np.testing.assert_allclose(axis.images[0].get_array(), flow_colours(field, bound), atol=1e-9)
        error = "" if name == "measured" else ", error 1.25"
        assert axis.get_xlabel() == f"full at {bound:.1f} px{error}"
    assert [axis for axis in figure.axes if axis.child_axes] == [figure.axes[1]]


@pytest.mark.parametrize(
    "figure",
    [
        lambda: transfer_gallery([example()] * 5),
        lambda: motion_rows([motion_example()] * 3),
    ],
    ids=["gallery", "motion"],
)
def test_labels_do_not_overlap(figure):
    """Titles of rows neither with each other nor with the pictures; what stands below pictures keeps a distance.

    The line about colours is below all and within the figure.
    """
    drawn = figure()
    drawn.draw_without_rendering()
    first = [axis for axis in drawn.axes if axis.get_ylabel()]
    boxes = [axis.yaxis.label.get_window_extent() for axis in first]
    for upper, lower in itertools.pairwise(boxes):
        assert upper.y0 > lower.y1
    for axis, box in zip(first, boxes, strict=True):
        assert box.x0 >= 0
        assert box.x1 < axis.get_window_extent().x0
    for left, right in itertools.pairwise(axis for axis in drawn.axes if axis.get_xlabel()):
        if np.isclose(left.get_window_extent().y0, right.get_window_extent().y0):
            assert left.xaxis.label.get_window_extent().x1 + 5 < right.xaxis.label.get_window_extent().x0
    if not drawn.get_supxlabel():
        return
    line = drawn._supxlabel.get_window_extent()
    assert line.y1 < min(axis.get_tightbbox().y0 for axis in drawn.axes)
    assert line.x0 >= 0
    assert line.x1 <= drawn.bbox.x1


def test_saved_twice_same_bytes(tmp_path):
    for run in ("one", "two"):
        save(transfer_gallery([example()]), [tmp_path / f"{run}.png"])
        save(motion_rows([motion_example()]), [tmp_path / f"{run}-motion.png"])
    for suffix in (".png", "-motion.png"):
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


# Scripts

CONFIG = parse(
    {
        "dataset": {"name": "osie", "split": "osie"},
        "net": {"width": 0.0625, "coding": "log_density"},
        "train": {"loss": "kld"},
    }
)
SHARDS = {"test_00": 4, "test_01": 3}


def write_scores(results, name, scores) -> None:
    """Write the score files of a row: shard -> sAUC of its images."""
    for shard, values in scores.items():
        path = results / "scores" / name / "seed0" / f"{shard}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        images = [f"{shard}-{number}.jpg" for number in range(len(values))]
        pd.DataFrame({"frame": range(len(values)), "image": images, "sauc": values}).to_parquet(path)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Write images, gaze, motion, originals, two nets of the same weights and scores; nobody looks at one image."""
    for shard, n in SHARDS.items():
        write_shard(tmp_path, shard, n, without=(1,) if shard == "test_01" else ())
        write_flow(tmp_path, shard, n)
    monkeypatch.setattr(
        layout, "osie_images", lambda shard: [f"{shard}-{number}.jpg" for number in range(SHARDS[shard])]
    )
    (tmp_path / "raw" / "stimuli").mkdir(parents=True)
    for number, name in enumerate(name for shard in SHARDS for name in layout.osie_images(shard)):
        noise = np.random.default_rng(number).integers(0, 255, (12, 16, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "raw" / "stimuli" / name), cv2.resize(noise, (800, 600)))
    for name, motion in (("early", "predicted"), ("early_no_motion", "none")):
        meta = {
            "arch": "early",
            "net": CONFIG.net.model_dump(),
            "flow": CONFIG.flow.model_dump(),
            "size": list(SIZE),
            "motion": motion,
        }
        path = tmp_path / "models" / name / "seed0" / "model.safetensors"
        path.parent.mkdir(parents=True)
        save_model(path, build("early", CONFIG.net, 0), meta)
    write_scores(tmp_path, "early", {"test_00": [0.6, 0.9, 0.1, 0.5], "test_01": [0.7, NAN, 0.3]})
    write_scores(tmp_path, "early_no_motion", {"test_00": [0.0, 0.1, 0.2, 0.3], "test_01": [0.4, NAN, 0.6]})
    write_scores(tmp_path, "itti", {"test_00": [0.9, 0.8, 0.7, 0.6], "test_01": [0.5, NAN, 0.3]})
    return tmp_path


def drawn_gallery(results, monkeypatch, **changes) -> list[Example]:
    """Return what the script has drawn."""
    seen = []

    def watch(examples):
        seen.extend(examples)
        return transfer_gallery(examples)

    monkeypatch.setattr(still_figures, "transfer_gallery", watch)
    given = {
        "params": stage_json(CONFIG, "dataset", "gaze"),
        "results": results,
        "raw": results / "raw",
        "shards": list(SHARDS),
        "nets": ["early", "early_no_motion"],
        "seed": 0,
        "baselines": json.dumps({"itti": {"options": {"model": "itti"}, "files": []}}),
        "size": [64, 48],
        "out": [results / "gallery.png"],
    }
    call("still_gallery", **{**given, **changes})
    assert cv2.imread(str(results / "gallery.png")) is not None
    return seen


def test_the_gallery_script(results, monkeypatch, caplog):
    """Images by the first net's sAUC over all shards; each net with the motion of its training, baselines on originals."""
    with caplog.at_level(logging.INFO, "dynsal"):
        examples = drawn_gallery(results, monkeypatch)
    assert [one.title for one in examples] == [
        "best: test_00-1", "upper quartile: test_01-0", "median: test_00-0", "lower quartile: test_01-2", "worst: test_00-2",
    ]  # fmt: skip
    assert "best: test_00-1; upper quartile: test_01-0" in caplog.text
    assert [one.scores for one in examples] == [
        {"early": first, "early_no_motion": second, "itti": third}
        for first, second, third in zip(
            (0.9, 0.7, 0.6, 0.3, 0.1), (0.1, 0.4, 0.0, 0.6, 0.2), (0.8, 0.5, 0.9, 0.3, 0.7), strict=True
        )
    ]
    third = examples[3]
    with Clip(results / "frames/test_01.h5") as frames, Clip(results / "flow/test_01.h5") as flow:
        bgr, field = frames.bgr(2), flow.flow(2).astype(np.float32)
    np.testing.assert_array_equal(third.bgr, bgr)
    np.testing.assert_array_equal(third.flow, field)
    meta = {"arch": "early", "net": CONFIG.net.model_dump(), "flow": CONFIG.flow.model_dump()}
    predictor = Predictor(build("early", CONFIG.net, 0), meta)
    with_motion, without = predictor(np.stack([bgr, bgr]), np.stack([field, 0 * field]))
    np.testing.assert_allclose(third.maps["early"], with_motion, rtol=1e-4)
    np.testing.assert_allclose(third.maps["early_no_motion"], without, rtol=1e-4)
    assert not np.allclose(with_motion, without, rtol=1e-3)
    original = resize(cv2.imread(str(results / "raw/stimuli/test_01-2.jpg")), (64, 48))
    itti = baselines.create(baselines.parse('{"model": "itti"}'), {})
    ((_, expected),) = itti.maps([Frame(0, 0.0, original, kept=True)])
    assert third.maps["itti"].shape == SIZE[::-1]
    coarse = cv2.resize(np.asarray(expected, np.float32), SIZE, interpolation=cv2.INTER_AREA)
    assert np.corrcoef(third.maps["itti"].ravel(), coarse.ravel())[0, 1] > 0.99


def test_originals_are_read_for_baselines_only(results, monkeypatch):
    examples = drawn_gallery(results, monkeypatch, baselines="{}", raw=results / "nowhere")
    assert {tuple(one.maps) for one in examples} == {("early", "early_no_motion")}
    with pytest.raises(DataError, match="nowhere"):
        drawn_gallery(results, monkeypatch, raw=results / "nowhere")


def test_without_originals_baselines_see_the_clips(results, monkeypatch):
    with_originals = drawn_gallery(results, monkeypatch)
    without = drawn_gallery(results, monkeypatch, raw=None, params=stage_json(CONFIG, "gaze"))
    for one, other in zip(with_originals, without, strict=True):
        np.testing.assert_array_equal(one.maps["early"], other.maps["early"])
        assert np.corrcoef(one.maps["itti"].ravel(), other.maps["itti"].ravel())[0, 1] < 0.9


def test_a_missing_score_file_is_named(results, monkeypatch):
    (results / "scores/itti/seed0/test_01.parquet").unlink()
    with pytest.raises(DataError, match=r"scores/itti/seed0/test_01\.parquet: cannot be read as scores"):
        drawn_gallery(results, monkeypatch)


class Constant:
    """A net that predicts the same motion everywhere: what the image shows of blue and green, in tens."""

    def __init__(self, path) -> None:
        assert path.name == "model.safetensors"

    def summed(self, images):
        return [np.broadcast_to(image[..., :2].mean((0, 1)) / 10, (240, 320, 2)) for image in images]


def write_motion(path, frames, shade) -> None:
    """Write grey frames, each a little brighter, that move right as far as their number says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with create(path, (320, 240), 95, flow_step=1 / 16) as writer:
        for frame in frames:
            bgr = np.full((240, 320, 3), shade + frame, np.uint8)
            writer.append(frame, frame / 30, bgr, np.full((240, 320, 2), (frame, 0.0)))


def test_the_motion_script(tmp_path, monkeypatch):
    """The middle labelled frame of each video: what was measured, predicted, and the most similar training frame's."""
    seen = []

    def watch(examples):
        seen.extend(examples)
        return motion_rows(examples)

    monkeypatch.setattr(static_prediction, "StaticFlow", Constant)
    monkeypatch.setattr(motion_figures, "motion_rows", watch)
    write_motion(tmp_path / "test" / "demo_pan_05_640x480.h5", (0, 5, 10), 100)
    write_motion(tmp_path / "test" / "demo_still_07_560x420.h5", (0, 5, 10, 15), 50)
    for name, shade in (("one", 96), ("two", 44)):
        write_motion(tmp_path / "train" / f"{name}.h5", (8, 14, 20), shade)
    out = [tmp_path / "motion.png", tmp_path / "motion.pdf"]
    call(
        "motion_figure",
        model=tmp_path / "model.safetensors",
        motion=sorted((tmp_path / "test").iterdir()),
        training=sorted((tmp_path / "train").iterdir()),
        out=out,
    )
    assert all(path.stat().st_size > 1000 for path in out)
    assert [one.title for one in seen] == ["demo_pan_05", "demo_still_07"]
    # Shades 105 and 60 are nearest to 96 + 8 and to 44 + 14.
    for one, shade, measured, nearest in zip(seen, (105, 60), (5, 10), (8, 14), strict=True):
        assert one.bgr.mean() == pytest.approx(shade, abs=0.5)
        found = {name: field.reshape(-1, 2).mean(0).tolist() for name, field in one.fields.items()}
        assert found["measured"] == [measured, 0]
        assert found["predicted"] == pytest.approx([shade / 10] * 2, abs=0.05)
        assert found["nearest"] == [nearest, 0]
        assert one.errors == pytest.approx(
            {"predicted": np.hypot(shade / 10 - measured, shade / 10), "nearest": nearest - measured}, abs=0.1
        )
