"""The scripts that draw Table 3's pictures: which images and nets they show."""

from __future__ import annotations

import json
import logging

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers import call
from still_files import SIZE, write_flow, write_shard

from dynsal import baselines, layout, static_prediction
from dynsal.baselines.base import Frame
from dynsal.clips import Clip, create
from dynsal.config import parse, stage_json
from dynsal.errors import DataError
from dynsal.figures import grids
from dynsal.figures import motion as motion_pictures
from dynsal.figures.grids import Example, compared, one_example
from dynsal.figures.motion import motion_rows
from dynsal.inference import Predictor
from dynsal.nets import build
from dynsal.nets.weights import save_model
from dynsal.video import resize

NAN = float("nan")

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


def drawn(results, monkeypatch, **changes) -> dict[str, tuple]:
    """Return what the script has drawn: the one example of figure 6, those of figure 7, with their parts."""
    seen: dict[str, tuple] = {}

    def watch_one(example, parts, *words, **more):
        seen["one"] = (example, parts)
        return one_example(example, parts, *words, **more)

    def watch_several(examples, parts, *words, **more):
        seen["several"] = (examples, parts)
        return compared(examples, parts, *words, **more)

    monkeypatch.setattr(grids, "one_example", watch_one)
    monkeypatch.setattr(grids, "compared", watch_several)
    given = {
        "params": stage_json(CONFIG, "dataset", "gaze"),
        "results": results,
        "raw": results / "raw",
        "shards": list(SHARDS),
        "nets": ["early", "early_no_motion"],
        "shown": ["early"],
        "seed": 0,
        "baselines": json.dumps({"itti": {"options": {"model": "itti"}, "files": []}}),
        "size": [64, 48],
        "motion_out": [results / "one.png"],
        "stills_out": [results / "several.png"],
    }
    call("still_figures", **{**given, **changes})
    for name in ("one", "several"):
        assert cv2.imread(str(results / f"{name}.png")) is not None
    return seen


def several(results, monkeypatch, **changes) -> list[Example]:
    return drawn(results, monkeypatch, **changes)["several"][0]


def test_the_pictures_of_stills(results, monkeypatch, caplog):
    """Images by the first net's sAUC over all shards; each net with the motion of its training, baselines on originals.

    The median stands alone, with every row; of several only some nets are shown.
    """
    with caplog.at_level(logging.INFO, "dynsal"):
        seen = drawn(results, monkeypatch)
    examples, parts = seen["several"]
    assert parts == ["frame", "flow", "truth", "early"]
    assert seen["one"] == (examples[2], ["frame", "flow", "truth", "early", "early_no_motion", "itti"])
    assert [one.title for one in examples] == [
        "best:\ntest_00-1", "upper quartile:\ntest_01-0", "median:\ntest_00-0", "lower quartile:\ntest_01-2", "worst:\ntest_00-2",
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
    examples = several(results, monkeypatch, baselines="{}", raw=results / "nowhere")
    assert {tuple(one.maps) for one in examples} == {("early", "early_no_motion")}
    with pytest.raises(DataError, match="nowhere"):
        several(results, monkeypatch, raw=results / "nowhere")


def test_without_originals_baselines_see_the_clips(results, monkeypatch):
    with_originals = several(results, monkeypatch)
    without = several(results, monkeypatch, raw=None, params=stage_json(CONFIG, "gaze"))
    for one, other in zip(with_originals, without, strict=True):
        np.testing.assert_array_equal(one.maps["early"], other.maps["early"])
        assert np.corrcoef(one.maps["itti"].ravel(), other.maps["itti"].ravel())[0, 1] < 0.9


def test_a_missing_score_file_is_named(results, monkeypatch):
    (results / "scores/itti/seed0/test_01.parquet").unlink()
    with pytest.raises(DataError, match=r"scores/itti/seed0/test_01\.parquet: cannot be read as scores"):
        several(results, monkeypatch)


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
    monkeypatch.setattr(motion_pictures, "motion_rows", watch)
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
