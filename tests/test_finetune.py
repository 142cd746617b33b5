"""Fine-tuning on still images: where nets start, what they see, and what is kept of it."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import torch
from helpers import run_script
from still_files import write_flow, write_shard

from dynsal.config import parse, stage_json
from dynsal.nets import build
from dynsal.nets.weights import load_model, save_model
from dynsal.samples import ClipSamples, still_sources

CONFIG = parse(
    {
        "net": {"width": 0.0625, "coding": "log_density"},
        "train": {"loss": "kld", "optimizer": "adamw", "base_lr": 1.0e-3, "max_iters": 3, "batch_size": 2},
        "prepare": {"size": [64, 48]},
    }
)
PARAMS = json.loads(stage_json(CONFIG, "prepare", "gaze", "flow", "net", "train"))


@pytest.fixture
def results(tmp_path):
    write_shard(tmp_path, "train_00", 5)
    return tmp_path


def finetune(results, entry: dict, *more, init=None):
    params = {**PARAMS, "net": {**PARAMS["net"], "init": "he" if init is None else str(init)}}
    words = (
        "--name",
        "x",
        "--model",
        json.dumps(entry),
        "--seed",
        1,
        "--results",
        results,
        "--shards",
        "train_00",
    )
    words += ("--params", json.dumps(params), "--checkpoints", results / "c", "--threads", 1)
    words += (
        "--out",
        results / "m.safetensors",
        "--history",
        results / "h.csv",
        "--provenance",
        results / "p.json",
    )
    words += ("--init", init) if init else ()
    return run_script("finetune", *words, *more, cwd=results)


@pytest.fixture
def start(results):
    """Return a net as trained on videos."""
    path = results / "start.safetensors"
    net = build("early", CONFIG.net, seed=7)
    save_model(path, net, {"arch": "early", "net": CONFIG.net.model_dump(), "flow": CONFIG.flow.model_dump()})
    return path


def test_without_motion_no_flow_is_read(results, start):
    """There is no flow file; the net is trained, from where it starts, and says that it saw no motion."""
    done = finetune(results, {"arch": "early", "start": "early_aug", "motion": "none"}, init=start)
    assert done.rc == 0, done.log
    net, meta = load_model(results / "m.safetensors")
    assert (meta["motion"], meta["start"], meta["step"]) == ("none", "early_aug", 3)
    assert meta["trained_on"] == ["train_00"]
    first, _ = load_model(start)
    moved = (net.tail.conv5.weight - first.tail.conv5.weight).abs().max()
    fresh = (net.tail.conv5.weight - build("early", CONFIG.net, 1).tail.conv5.weight).abs().max()
    assert 0 < moved < 0.1 * fresh
    said = json.loads((results / "p.json").read_text())
    assert said["initial_weights"]["file"] == "start.safetensors"
    assert len(pd.read_csv(results / "h.csv")) == 3


def test_left_as_it_starts(results, start):
    write_flow(results, "train_00", 5)
    done = finetune(results, {"arch": "early", "start": "early_aug", "finetune": False}, init=start)
    assert done.rc == 0, done.log
    net, meta = load_model(results / "m.safetensors")
    first, _ = load_model(start)
    assert all(torch.equal(value, first.state_dict()[name]) for name, value in net.state_dict().items())
    assert (meta["step"], meta["trained_on"]) == (0, [])


@pytest.mark.parametrize(("start_of", "given"), [("early_aug", False), (None, True)])
def test_start_and_file_go_together(results, start, start_of, given):
    entry = {"arch": "early", "start": start_of, "motion": "none"}
    done = finetune(results, entry, init=start if given else None)
    assert done.rc == 1
    assert "--init" in done.log


def test_missing_motion_is_an_error(results):
    done = finetune(results, {"arch": "early"})
    assert done.rc == 1
    assert "train_00.h5" in done.log
    assert "Traceback" not in done.log


def test_samples_without_motion(results):
    """Flow is zero everywhere, at the size of the images; the rest is as ever."""
    samples = ClipSamples(still_sources(results, ["train_00"], motion=False), CONFIG.gaze, ("frame", "flow"))
    sample = samples[0]
    assert sample["flow"].shape == (2, *sample["frame"].shape[1:])
    assert not sample["flow"].any()
    write_flow(results, "train_00", 5)
    moving = ClipSamples(still_sources(results, ["train_00"], motion=True), CONFIG.gaze, ("frame", "flow"))[0]
    assert moving["flow"].any()
    assert all(torch.equal(moving[name], sample[name]) for name in ("frame", "density", "fixations"))
