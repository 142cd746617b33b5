"""The paper's profile end to end, on stand-ins for DIEM: its names, native sizes, split and literal recipe, tiny nets."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from helpers import copy_checkout, snakemake
from releases import put_video, set_frames
from safetensors.torch import save_file

from dynsal.config import NetConfig
from dynsal.fileio import sha256
from dynsal.nets import build
from dynsal.nets.weights import load_model

TRAIN = ["pingpong_closeup_rallys_960x720", "tv_the_simpsons_860x528"]
TEST = ["advert_iphone_1272x720", "music_gummybear_880x720"]
FRAMES = 8


@pytest.mark.slow
def test_the_papers_profile(tmp_path, monkeypatch):
    """Fetch, rescale, gaze, DeepFlow, copies, summed Euclidean loss with SGD and steps, five nets, scores, Table 1."""
    rng = np.random.default_rng(0)
    for name in [*TRAIN, *TEST]:
        put_video(tmp_path / "mirror/diem", name, rng, FRAMES)
    folder = copy_checkout(tmp_path / "checkout")
    start = build(
        "spatial", NetConfig(width=0.0625), seed=7
    )  # in place of SalNet's, which have one width only
    save_file(start.state_dict(), folder / "one_stream.safetensors")
    small = {
        "dataset": {"only": [*TRAIN, *TEST]},
        "mirrors": [str(tmp_path / "mirror")],
        "prepare": {"size": [64, 48]},
        "net": {"width": 0.0625, "init": "one_stream.safetensors"},
        "train": {"max_iters": 3, "lr_step_iters": 2},
        "table": {"resamples": 50},
    }
    set_frames(folder, [*TRAIN, *TEST], FRAMES)
    (folder / "small.yaml").write_text(yaml.safe_dump(small))
    done = snakemake(
        folder, "--cores", 1, "--configfile", "config/diem.yaml", "small.yaml", "--", "results/table1.csv"
    )
    assert done.rc == 0, done.text[-3000:]
    table = pd.read_csv(folder / "results/table1.csv").set_index("model")
    assert list(table.index[:5]) == ["spatial", "temporal", "late", "early", "early_aug"]
    assert (table["n_frames"] == 2 * FRAMES).all()
    assert table.loc["early", "paper_sauc"] == 0.83
    assert table["paper_comparable"].all()
    assert table.loc["uniform", "sauc"] == 0.5
    assert table.loc[["spatial", "early"], "chi2"].between(0, 1).all()
    record = json.loads((folder / "results/diem/models/early_aug/seed0/provenance.json").read_text())
    assert record["flow"]["estimator"] == "deepflow"
    assert record["frames"] == 2 * FRAMES * 3  # the working size and two copies
    assert record["initial_weights"]["sha256"] == sha256(folder / "one_stream.safetensors")
    trained, _ = load_model(folder / "results/diem/models/late/seed0/model.safetensors")
    for stream in (trained.appearance, trained.motion):  # three steps at the paper's rate move them little
        assert torch.allclose(stream.head.conv2.weight, start.head.conv2.weight, atol=1e-2)
    assert (
        "- **initial weights**: one_stream.safetensors (sha256" in (folder / "results/table1.md").read_text()
    )
    history = pd.read_csv(folder / "results/diem/models/early/seed0/history.csv")
    np.testing.assert_allclose(history["lr"], [1.3e-7, 1.3e-7, 1.3e-8])
