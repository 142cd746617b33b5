"""The scripts of static flow, from a video to a table; what they refuse."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import caffe_files
import cv2
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import torch
from helpers import call, run_script
from motion_files import write_motion
from still_files import write_clip
from test_static_flow_net import arrays_of

from dynsal.clips import Clip, create, describe
from dynsal.codebook import read_codebook, write_codebook
from dynsal.config import parse, stage_json
from dynsal.config_transfer import StaticFlowConfig
from dynsal.datasets.demo import generate
from dynsal.errors import DataError
from dynsal.fileio import sha256
from dynsal.motion_samples import MotionSamples
from dynsal.motion_scores import epe
from dynsal.nets import static_flow
from dynsal.nets.backbone import WEIGHTS_SHA256
from dynsal.nets.weights import read_model
from dynsal.static_prediction import StaticFlow
from dynsal.summed_motion import SIZE

VIDEO = "demo_pan_98_80x64"
BOOK = np.random.default_rng(0).normal(0, 5, (40, 2))


def params(**changes: object) -> str:
    section = {
        "variant": "small", "width": 0.125, "codebook": "kmeans", "estimator": "dis",
        "train": {"optimizer": "adamw", "base_lr": 1.0e-3, "max_iters": 4, "batch_size": 2, "validate_every": 2},
        **changes,
    }  # fmt: skip
    config = parse(
        {"dataset": {"name": "demo", "split": "demo"}, "static_flow": section, "table": {"resamples": 50}}
    )
    return stage_json(config, "dataset", "static_flow", "table")


def motion(tmp_path: Path, stride: int, step: int = 5) -> Path:
    """Run motion.py on a short demo video whose rescaled clip says how it was thinned."""
    if not (tmp_path / "raw").exists():
        generate(VIDEO, tmp_path / "raw", 0, n_frames=24, n_viewers=1)
    with create(tmp_path / "frames.h5", (32, 32), 95) as writer:
        writer.append(0, 0.0, np.zeros((32, 32, 3), np.uint8))
        describe(writer, stride=stride)
    out = tmp_path / f"motion{stride}_{step}.h5"
    call(
        "motion",
        params=params(),
        video=VIDEO,
        raw=tmp_path / "raw",
        frames=tmp_path / "frames.h5",
        estimator="dis",
        label_step=step,
        out=out,
    )
    return out


@pytest.mark.parametrize(
    ("stride", "step", "expected"), [(1, 5, [0, 5, 10, 15]), (2, 3, [0, 6, 12]), (1, 19, [0])]
)
def test_motion_labels_every_nth_of_the_frames_that_thinning_leaves(tmp_path, stride, step, expected):
    """Frames 0 .. 23, of which every stride-th stays; a label needs five more behind it."""
    with Clip(motion(tmp_path, stride, step)) as clip:
        assert clip.frames.tolist() == expected
        assert clip.size == SIZE
        assert clip.bgr(0).shape == (240, 320, 3)
        assert clip.flow(0).shape == (240, 320, 2)
        assert clip.attrs["estimator"] == "dis"
        assert clip.attrs["unit"] == "pixels over 5 frames at 320x240, without the camera's motion"
        assert clip.attrs["jpeg_quality"] == 95


def test_motion_is_the_same_file_twice(tmp_path):
    first = motion(tmp_path, 1).read_bytes()
    assert motion(tmp_path, 1).read_bytes() == first


def test_a_video_too_short_for_a_label_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=rf"{VIDEO}: has 5 frames \(after thinning\)"):
        motion(tmp_path, 5)


def codebook(tmp_path: Path, **given: object) -> np.ndarray:
    words = {"motion": None, "file": None, "seed": 0, "fields": 20, "out": tmp_path / "codebook.npz", **given}
    call("codebook", **words)
    return read_codebook(tmp_path / "codebook.npz")


def test_codebook_from_the_authors_files(tmp_path):
    scipy.io.savemat(tmp_path / "walker_codebook.mat", {"C": BOOK})
    np.testing.assert_array_equal(codebook(tmp_path, file=tmp_path / "walker_codebook.mat"), BOOK)
    with h5py.File(tmp_path / "clusters.mat", "w") as file:
        file["C"] = BOOK.T
    np.testing.assert_array_equal(codebook(tmp_path, file=tmp_path / "clusters.mat"), BOOK)


def test_codebook_by_kmeans_depends_on_clips_and_seed_alone(tmp_path):
    files = [write_motion(tmp_path, "a", range(3)), write_motion(tmp_path, "b", range(3, 6))]
    first = codebook(tmp_path, motion=files)
    np.testing.assert_array_equal(codebook(tmp_path, motion=files), first)
    assert not np.array_equal(codebook(tmp_path, motion=files, seed=1), first)


@pytest.fixture
def trained(tmp_path) -> Path:
    """Train on one clip for four steps, checking on another; returns the model's folder."""
    write_codebook(tmp_path / "codebook.npz", BOOK)
    train(tmp_path, [write_motion(tmp_path, "a", range(6))], [write_motion(tmp_path, "b", range(2))])
    return tmp_path


def train(folder: Path, clips: list[Path], validation: list[Path], **given: object) -> None:
    words = {
        "params": params(), "motion": clips, "validation": validation, "codebook": folder / "codebook.npz",
        "caffemodel": None, "seed": 0, "processes": 1, "checkpoints": folder / "checkpoints", "threads": 1,
        "out": folder / "model.safetensors", "history": folder / "history.csv", "provenance": folder / "provenance.json",
        **given,
    }  # fmt: skip
    call("train_static_flow", **words)


def test_training_leaves_a_model_with_its_codebook_a_history_and_provenance(trained):
    _, meta = read_model(trained / "model.safetensors")
    assert meta["arch"] == "static_flow"
    assert meta["step"] == 4
    assert meta["trained_on"] == ["a"]
    assert meta["origin"] == {"weights": "train"}
    np.testing.assert_array_equal(np.array(meta["codebook"]), BOOK)
    history = pd.read_csv(trained / "history.csv")
    assert history["step"].iloc[-1] == 4
    assert history["val_loss"].notna().any()
    record = json.loads((trained / "provenance.json").read_text())
    assert record["frames"] == 6
    assert record["fingerprint"]


def test_training_again_from_the_same_input_is_the_same_model(trained):
    before = sha256(trained / "model.safetensors")
    train(trained, [trained / "a.h5"], [trained / "b.h5"], checkpoints=trained / "elsewhere")
    assert sha256(trained / "model.safetensors") == before


def test_a_head_on_pretrained_features_is_trained_and_nothing_else(tmp_path):
    """The model file holds the backbone as published, names it, and predicts alone."""
    write_codebook(tmp_path / "codebook.npz", BOOK)
    given = params(variant="pretrained", width=0.25, decode="median")
    train(
        tmp_path,
        [write_motion(tmp_path, "a", range(3))],
        [write_motion(tmp_path, "b", range(2))],
        params=given,
    )
    tensors, meta = read_model(tmp_path / "model.safetensors")
    assert meta["origin"] == {"weights": "train", "backbone_sha256": WEIGHTS_SHA256}
    record = json.loads((tmp_path / "provenance.json").read_text())
    assert record["frames"] == 6  # three, and their mirror images
    fresh = static_flow.build_static_flow(StaticFlowConfig.model_validate(meta["net"])).state_dict()
    changed = {name for name, value in fresh.items() if not torch.equal(value, tensors[name])}
    assert changed
    assert all(name.startswith("head.") for name in changed)
    model = StaticFlow(tmp_path / "model.safetensors")
    assert model.decode == "median"
    with Clip(tmp_path / "b.h5") as clip:
        (field,) = model([clip.bgr(0)])
    assert field.shape == (240, 320, 2)
    assert np.isfinite(field).all()


def test_published_weights_are_taken_over_without_training(tmp_path, monkeypatch):
    """At a sixteenth of the width, which the configuration would not allow: the real file has 490 MB."""
    monkeypatch.setattr(static_flow, "Walker", lambda width, made=static_flow.Walker: made(width / 16))
    write_codebook(tmp_path / "codebook.npz", BOOK)
    arrays = arrays_of(static_flow.Walker(1.0))
    (tmp_path / "final.caffemodel").write_bytes(caffe_files.net(arrays, "V1"))
    given = params(variant="walker", width=1.0, weights="walker", codebook="walker")
    train(tmp_path, [], [], params=given, caffemodel=tmp_path / "final.caffemodel")
    tensors, meta = read_model(tmp_path / "model.safetensors")
    assert meta["origin"] == {"weights": "walker", "sha256": sha256(tmp_path / "final.caffemodel")}
    assert meta["step"] == 0
    assert meta["trained_on"] == []
    for name, (weight, bias) in arrays.items():
        np.testing.assert_array_equal(tensors[f"{name}.weight"], weight)
        np.testing.assert_array_equal(tensors[f"{name}.bias"], bias)


@pytest.mark.parametrize(("weights", "file"), [("train", Path("final.caffemodel")), ("walker", None)])
def test_a_caffemodel_is_given_where_the_configuration_wants_one(tmp_path, weights, file):
    write_codebook(tmp_path / "codebook.npz", BOOK)
    given = params(variant="walker", width=1.0, weights=weights, codebook="walker")
    with pytest.raises(DataError, match=f"static_flow.weights is {weights}"):
        train(tmp_path, [], [], params=given, caffemodel=file)


def test_predicted_flow_is_a_clip_of_the_images_size_that_names_its_model(trained):
    write_clip(trained, "test_00", 5)
    words = {"model": trained / "model.safetensors", "threads": 1, "frames": trained / "frames/test_00.h5"}
    call("predict_flow", **words, out=trained / "flow.h5")
    with Clip(trained / "frames/test_00.h5") as frames, Clip(trained / "flow.h5") as flow:
        assert flow.frames.tolist() == frames.frames.tolist()
        assert flow.size == frames.size
        assert flow.attrs["estimator"] == "static_flow"
        assert flow.attrs["model"] == sha256(trained / "model.safetensors")
        model = StaticFlow(trained / "model.safetensors")
        for k in range(5):
            np.testing.assert_allclose(flow.flow(k), model([frames.bgr(k)])[0], atol=flow.attrs["flow_step"])


def score(folder: Path, clips: list[Path]) -> list[pd.DataFrame]:
    out = [folder / name for name in ("static_flow.csv", "differences.csv", "videos.csv")]
    call(
        "score_static_flow",
        params=params(),
        model=folder / "model.safetensors",
        motion=clips,
        training=[folder / "a.h5"],
        out=out[0],
        differences=out[1],
        per_video=out[2],
    )
    return [pd.read_csv(path) for path in out]


def test_scores_of_the_net_and_of_the_guesses_on_unseen_videos(trained):
    """The training clip among the tests: its nearest neighbour is itself, and zero misses by the mean magnitude."""
    table, differences, videos = score(trained, [trained / "a.h5", trained / "b.h5"])
    assert table["model"].tolist() == ["static_flow", "static_flow_median", "zero", "mean", "nearest"]
    assert (table["n_videos"] == 2).all()
    assert (table["n_frames"] == 8).all()
    rows = videos.set_index(["model", "video"])
    assert rows.loc[("nearest", "a"), "epe"] == 0
    with Clip(trained / "b.h5") as clip:
        magnitude = np.mean(
            [np.hypot(*np.moveaxis(clip.flow(k).astype(float), -1, 0)).mean() for k in range(2)]
        )
    assert rows.loc[("zero", "b"), "epe"] == pytest.approx(magnitude, abs=1e-5)
    found = differences.set_index(["measure", "model", "reference"])
    by_model = table.set_index("model")["epe"]
    for net, reference in itertools.product(
        ("static_flow", "static_flow_median"), ("zero", "mean", "nearest")
    ):
        expected = by_model[net] - by_model[reference]
        assert found.loc[("epe", net, reference), "difference"] == pytest.approx(expected, abs=2e-6)
    model = StaticFlow(trained / "model.safetensors")
    with Clip(trained / "b.h5") as clip:
        errors = [
            epe(model.summed([clip.bgr(k)], "median")[0], clip.flow(k).astype(np.float32)) for k in range(2)
        ]
    assert rows.loc[("static_flow_median", "b"), "epe"] == pytest.approx(np.mean(errors), abs=1e-5)


def test_a_damaged_clip_ends_the_script_with_one_line(tmp_path):
    (tmp_path / "bad.h5").write_bytes(b"no clip")
    done = run_script("codebook", "--motion", tmp_path / "bad.h5", "--out", tmp_path / "c.npz", cwd=tmp_path)
    assert done.rc == 1
    assert "bad.h5: not a readable clip" in done.log
    assert "Traceback" not in done.log
    assert not (tmp_path / "c.npz").exists()


@pytest.mark.slow
def test_the_net_learns_where_things_move_and_beats_the_guesses(tmp_path):
    """Colour tells what moves, on clips that were not trained on; the guesses cannot know."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    training = [write_motion(tmp_path, "a", range(40))]
    unseen = [write_motion(tmp_path, "b", range(41, 50)), write_motion(tmp_path, "c", range(51, 60))]
    codebook(tmp_path, motion=training)
    learning = {
        "optimizer": "adamw",
        "base_lr": 3.0e-3,
        "max_iters": 150,
        "batch_size": 8,
        "schedule": "cosine",
    }
    train(tmp_path, training, [], params=params(width=0.25, train=learning))
    assert len(MotionSamples(training)) == 40
    table, *_ = score(tmp_path, unseen)
    found = table.set_index("model")
    assert found.loc["static_flow", "epe"] < 0.8 * found.loc[["zero", "mean"], "epe"].min()
    assert found.loc["static_flow", "magnitude_cc"] > 0.8
