"""The paper's profile end to end, on stand-ins for DIEM: its names, native sizes, split and literal recipe, tiny nets."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from helpers import copy_checkout, snakemake
from safetensors.torch import save_file

from dynsal.config import NetConfig
from dynsal.fileio import sha256
from dynsal.nets import build
from dynsal.nets.weights import load_model
from dynsal.video import encode

TRAIN = ["pingpong_closeup_rallys_960x720", "tv_the_simpsons_860x528"]
TEST = ["advert_iphone_1272x720", "music_gummybear_880x720"]
FRAMES = 8


def put_video(mirror, name, rng):
    """Write one synthetic video as DIEM's archives unpack: noise that drifts, four recordings about its middle."""
    width, height = map(int, name.rsplit("_", 1)[1].split("x"))
    picture = rng.integers(0, 255, (height // 8, width // 8 + FRAMES, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    folder = mirror / "diem" / name
    (folder / "video").mkdir(parents=True)
    encode(folder / "video" / f"{name}.mp4", (picture[:, 4 * i : 4 * i + width] for i in range(FRAMES)), 30)
    (folder / "event_data").mkdir()
    for viewer in range(1, 5):
        rows = []
        for frame in range(1, FRAMES + 1):
            x, y = 640 + rng.normal(0, 60), 480 + rng.normal(0, 40)
            eye = f"{x:.1f}\t{y:.1f}\t1000\t1"
            rows.append(f"{frame}\t{eye}\t{eye}\r\n")
        (folder / "event_data" / f"diem1s{viewer:02d}.asc_3_{name}.txt").write_bytes("".join(rows).encode())


@pytest.mark.slow
def test_the_papers_profile(tmp_path, monkeypatch):
    """Fetch, rescale, gaze, DeepFlow, copies, summed Euclidean loss with SGD and steps, five nets, scores, Table 1."""
    rng = np.random.default_rng(0)
    for name in [*TRAIN, *TEST]:
        put_video(tmp_path / "mirror", name, rng)
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
    published = folder / "resources/datasets/diem_videos.csv"
    lengths = pd.read_csv(published)
    lengths.loc[lengths["video"].isin([*TRAIN, *TEST]), "frames"] = FRAMES
    lengths.to_csv(published, index=False)
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
