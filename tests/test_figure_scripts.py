"""The scripts that draw pictures of videos: what they choose, and that they show it."""

from __future__ import annotations

import json
from runpy import run_path

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers import SCRIPTS, call
from still_files import SIZE, write_flow, write_shard

from dynsal.clips import Clip
from dynsal.config import parse, stage_json
from dynsal.figures import diagrams, grids, series
from dynsal.inference import Predictor
from dynsal.maps import write_maps
from dynsal.metrics import METRICS, sauc
from dynsal.nets import build
from dynsal.nets.weights import save_model
from dynsal.references import load_references, map_path, score_path

VIDEOS = {"pan_32x24": 8, "still_32x24": 9, "walk_32x24": 10}
MODELS = {"spatial": "spatial", "mine": "early"}
CONFIG = parse(
    {
        "dataset": {"name": "demo", "split": "demo"},
        "net": {"width": 0.0625, "coding": "log_density"},
        "train": {"loss": "kld"},
        "gaze": {"px_per_deg": 2.0},
        "evaluate": {"pool_frames": 5},
    }
)
NETS = CONFIG.net.model_copy(update={"width": 0.125})
"""Of the trained nets: another width than the configuration's."""


def write_scores(results, model: str, seed: int, means: tuple[float, ...]) -> None:
    """Write score files: a mean per video, rising by .01 from frame to frame; more viewers in later frames."""
    for (video, count), mean in zip(VIDEOS.items(), means, strict=True):
        frames = np.arange(count)
        table = pd.DataFrame({"frame": frames, "n_fixations": frames + 1, "skipped": ""})
        for name in METRICS:
            table[name] = mean + (frames - (count - 1) / 2) / 100
        path = score_path(results, model, seed, video)
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(path)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Write clips, gaze, two nets, scores and one map of two baselines per video."""
    folder = tmp_path_factory.mktemp("results")
    for video, count in VIDEOS.items():
        write_shard(folder, video, count)
        write_flow(folder, video, count)
    for seed, (name, arch) in enumerate(MODELS.items()):
        meta = {"arch": arch, "net": NETS.model_dump(), "flow": CONFIG.flow.model_dump(), "size": list(SIZE)}
        path = folder / "models" / name / "seed0" / "model.safetensors"
        path.parent.mkdir(parents=True)
        save_model(path, build(arch, NETS, seed), meta)
    write_scores(folder, "spatial", 0, (0.5, 0.5, 0.5))
    write_scores(folder, "mine", 0, (0.6, 0.8, 0.7))
    write_scores(folder, "mine", 1, (0.8, 0.8, 0.7))
    write_scores(folder, "human", 0, (0.9, 0.9, 0.9))
    for value, name in enumerate(("gbvs", "pqft")):
        write_scores(folder, name, 0, (0.4, 0.5, 0.6))
        for place, video in enumerate(VIDEOS):
            saliency = np.full((12, 16), 1.0 + value, np.float32)
            saliency[place] = 3
            path = map_path(folder, name, video)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_maps(path, [(4 + place, saliency)])
    return folder


def watched(monkeypatch, module, name: str) -> list:
    """Return a list that gets the arguments of every call of a drawing function."""
    seen, real = [], getattr(module, name)

    def watch(*given, **named):
        seen.append((*given, named))
        return real(*given, **named)

    monkeypatch.setattr(module, name, watch)
    return seen


def drawn(tmp_path, script: str, **arguments) -> None:
    """Run a script, and see that both pictures are there."""
    out = [tmp_path / "x.png", tmp_path / "x.pdf"]
    call(script, **{"videos": list(VIDEOS), "seed": 0, "out": out, **arguments})
    assert cv2.imread(str(out[0])) is not None
    assert out[1].read_bytes().startswith(b"%PDF")


def test_figure4(results, tmp_path, monkeypatch):
    """Best, median and worst, by the last net, of the later half of every video, which has more fixations; all nets' maps."""
    seen = watched(monkeypatch, grids, "compared")
    drawn(tmp_path, "figure4_nets", results=results, models=list(MODELS), params=stage_json(CONFIG, "gaze"))
    ((examples, parts, rule, _),) = seen
    table = pd.concat(
        pd.read_parquet(score_path(results, "mine", 0, video)).assign(video=video) for video in VIDEOS
    )
    seen_well = table[
        table["n_fixations"] >= table["video"].map({"pan_32x24": 4.5, "still_32x24": 5, "walk_32x24": 5.5})
    ]
    ranked = seen_well.sort_values("sauc", ascending=False, kind="stable")
    wanted = [ranked.iloc[place] for place in (0, round((len(ranked) - 1) / 2), -1)]
    assert [one.title for one in examples] == [
        f"{rank}, frame {row['frame']}:\n{row['video'][:-6]}"
        for rank, row in zip(("best", "median", "worst"), wanted, strict=True)
    ]
    assert parts == ["frame", "flow", "truth", "spatial", "mine"]
    assert "of the 14 test frames" in rule
    for one, row in zip(examples, wanted, strict=True):
        assert one.scores["mine"] == pytest.approx(row["sauc"])
        with (
            Clip(results / "frames" / f"{row['video']}.h5") as frames,
            Clip(results / "flow" / f"{row['video']}.h5") as flow,
        ):
            bgr, field = frames.bgr(int(row["frame"])), flow.flow(int(row["frame"])).astype(np.float32)
        np.testing.assert_array_equal(one.bgr, bgr)
        meta = {"arch": "early", "net": NETS.model_dump(), "flow": CONFIG.flow.model_dump()}
        expected = Predictor(build("early", NETS, 1), meta)(bgr[None], field[None])[0]
        np.testing.assert_allclose(one.maps["mine"], expected, rtol=1e-4)


def test_figure5(results, tmp_path, monkeypatch):
    """The kept frame of every video, by the net's score of that frame; baselines' maps at the frame's size."""
    seen = watched(monkeypatch, grids, "compared")
    given = {
        "results": results,
        "net": "mine",
        "baselines": ["gbvs", "pqft"],
        "params": stage_json(CONFIG, "gaze"),
    }
    drawn(tmp_path, "figure5_baselines", **given)
    ((examples, parts, _, named),) = seen
    assert named["down"]
    assert parts == ["frame", "truth", "mine", "gbvs", "pqft"]
    assert [one.title for one in examples] == [
        "best:\nstill\nframe 5", "median:\nwalk\nframe 6", "worst:\npan\nframe 4",
    ]  # fmt: skip
    for one, place in zip(examples, (1, 2, 0), strict=True):
        assert one.maps["gbvs"].shape == SIZE[::-1]
        assert one.maps["gbvs"].argmax() // SIZE[0] // 2 == place
        assert one.scores["gbvs"] == pytest.approx(0.4 + 0.1 * place + (4 + place - (7 + place) / 2) / 100)


def test_figure3(results, tmp_path, monkeypatch):
    """The median video by the mean of the model; frames from the middles of its fifths."""
    seen = watched(monkeypatch, grids, "panel_grid")
    drawn(tmp_path, "figure3_flow", results=results, ranked_by="mine")
    (((above, below), rows, scale, note, _),) = seen
    assert rows == ["Frame", "Optical flow"]
    assert scale is None
    assert note.startswith("walk: the median of 3 test videos")
    assert [panel.title for panel in above] == [f"frame {frame}" for frame in (1, 3, 5, 7, 9)]
    with Clip(results / "frames" / "walk_32x24.h5") as clip:
        np.testing.assert_array_equal(above[2].image, clip.bgr(5)[..., ::-1])
    assert [panel.wheel for panel in below] == [True] + [False] * 4


def test_figures_1_and_2(results, tmp_path, monkeypatch):
    """A trained net as it is, with its map at the end; one that no model has, by the configuration, without."""
    seen = watched(monkeypatch, diagrams, "diagrams")
    given = {
        "results": results,
        "nets": ["late", "early=mine"],
        "ranked_by": "mine",
        "params": stage_json(CONFIG, "net", "gaze"),
    }
    drawn(tmp_path, "architectures", **given)
    ((nets, pictures, note, _),) = seen
    widths = {
        title: next(step.shape[0] for step in steps if step.name.endswith("conv4"))
        for title, steps in nets.items()
    }
    assert widths == {"(a) Late fusion": 32, "(b) Early fusion": 64}
    assert {title: set(ends) for title, ends in pictures.items()} == {
        "(a) Late fusion": {"frame", "flow"},
        "(b) Early fusion": {"frame", "flow", "output"},
    }
    assert "the median by the sAUC of mine" in note


def test_over_time(results, tmp_path, monkeypatch):
    """Best, median and worst video of the first seed; lines are means over seeds."""
    seen = watched(monkeypatch, series, "over_time")
    drawn(
        tmp_path,
        "over_time",
        results=results,
        ranked_by="mine",
        runs=json.dumps({"mine": [0, 1], "human": [0]}),
    )
    ((scores, _, _, _),) = seen
    assert list(scores) == ["best: still", "median: walk", "worst: pan"]
    pan = scores["worst: pan"]
    np.testing.assert_allclose(pan[pan["model"] == "mine"]["sauc"], 0.7 + (np.arange(8) - 3.5) / 100)
    assert set(pan["model"]) == {"mine", "human"}


def test_roc(results, tmp_path, monkeypatch):
    """The legend's area is the exact score of the frames, averaged over videos; the drawn curve has it too."""
    seen = watched(monkeypatch, series, "roc")
    given = {
        "results": results,
        "models": ["mine"],
        "floors": ["human"],
        "most": 4,
        "threads": 1,
        "table": tmp_path / "roc.csv",
    }
    drawn(tmp_path, "roc", params=stage_json(CONFIG, "gaze", "evaluate"), **given)
    ((curves, grid, areas, note, _),) = seen
    assert list(curves) == ["mine", "human", "centre"]
    assert "12 frames" in note
    references = load_references(results, list(VIDEOS), CONFIG.gaze, CONFIG.evaluate)
    meta = {"arch": "early", "net": NETS.model_dump(), "flow": CONFIG.flow.model_dump()}
    predictor = Predictor(build("early", NETS, 1), meta)
    means = []
    for video, frames in {
        "pan_32x24": (1, 3, 5, 7),
        "still_32x24": (1, 3, 5, 7),
        "walk_32x24": (1, 3, 6, 8),
    }.items():
        with Clip(results / "frames" / f"{video}.h5") as clip, Clip(results / "flow" / f"{video}.h5") as flow:
            maps = [predictor(clip.bgr(at)[None], flow.flow(at).astype(np.float32)[None])[0] for at in frames]
        reference = references[video]
        means.append(
            np.mean(
                [
                    sauc(found, reference.points[at], reference.other_videos)
                    for at, found in zip(frames, maps, strict=True)
                ]
            )
        )
    assert areas["mine"] == pytest.approx(np.mean(means), abs=1e-6)
    for name, curve in curves.items():
        assert np.trapezoid(curve, grid) == pytest.approx(areas[name], abs=0.005)
    assert list(pd.read_csv(tmp_path / "roc.csv")) == ["false_positive_rate", "mine", "human", "centre"]


def test_timings_of_nets(results, tmp_path):
    """A row per net and one for flow, with what each looks at."""
    given = {
        "frames": results / "frames" / "walk_32x24.h5",
        "nets": list(MODELS),
        "baselines": "{}",
        "size": None,
        "count": 3,
    }
    models = [results / "models" / name / "seed0" / "model.safetensors" for name in MODELS]
    call("timings", models=models, params=stage_json(CONFIG, "flow"), out=tmp_path / "t.csv", **given)
    table = pd.read_csv(tmp_path / "t.csv").set_index("model")
    assert table["inputs"].to_dict() == {"flow": "frame", "spatial": "frame", "mine": "frame flow"}
    assert (table["ms_per_frame"] > 0).all()
    assert set(table["size"]) == {"32x24"}


def test_speed_adds_flow_to_the_nets_that_look_at_it(tmp_path):
    """10 ms a map are 100 frames a second, with 15 ms of flow 40; rows of both tables count once."""
    columns = ["model", "kind", "sauc", "sauc_lo", "sauc_hi"]
    tables = [
        pd.DataFrame([("spatial", "net", 0.6, 0.5, 0.7), ("early", "net", 0.7, 0.6, 0.8), ("human", "ceiling", 0.9, 0.8, 1)], columns=columns),
        pd.DataFrame([("early", "net", 0.7, 0.6, 0.8), ("gbvs", "baseline", 0.65, 0.6, 0.7), ("human", "ceiling", 0.9, 0.8, 1)], columns=columns),
    ]  # fmt: skip
    nets = pd.DataFrame(
        [("flow", 15.0, "frame"), ("spatial", 10.0, "frame"), ("early", 10.0, "frame flow")],
        columns=["model", "ms_per_frame", "inputs"],
    ).assign(size="32x24", machine="A processor")
    others = pd.DataFrame([("flow", 99.0, "frame"), ("early", 99.0, "frame flow"), ("gbvs", 500.0, "frame")],
                          columns=["model", "ms_per_frame", "inputs"]).assign(size="64x48", machine="A processor")  # fmt: skip
    found = run_path(str(SCRIPTS / "speed.py"))["points"](
        pd.concat(tables), pd.concat([nets, others])
    ).set_index("model")
    assert found["fps"].to_dict() == {"spatial": 100, "early": 100, "gbvs": 2}
    assert found["fps_all"].to_dict() == {"spatial": 100, "early": 40, "gbvs": 2}
    paths = {"net_timings": nets, "timings": others, "one": tables[0], "two": tables[1]}
    for name, table in paths.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    call(
        "speed",
        tables=[tmp_path / "one.csv", tmp_path / "two.csv"],
        net_timings=tmp_path / "net_timings.csv",
        timings=tmp_path / "timings.csv",
        out=[tmp_path / "x.png"],
    )
    assert cv2.imread(str(tmp_path / "x.png")) is not None


@pytest.mark.parametrize("script", ["agreement", "per_video"])
def test_pictures_of_the_table_per_video(script, tmp_path):
    rng = np.random.default_rng(0)
    keys = [
        (model, seed, video)
        for model in ("early", "late", "centre", "human")
        for seed in (0, 1)
        for video in "abc"
    ]
    table = pd.DataFrame(keys, columns=["model", "seed", "video"])
    for name in METRICS:
        table[name] = rng.random(len(table))
    table.to_csv(tmp_path / "t.csv", index=False)
    call(script, per_video=tmp_path / "t.csv", out=[tmp_path / "x.png"])
    assert cv2.imread(str(tmp_path / "x.png")) is not None
