"""DIEM from an address to Table 1: a whole release in miniature, on a server that fails, killed and resumed."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from helpers import copy_checkout, environment, snakemake
from releases import DEEP, put_video, set_frames, seven_zip, tar_gz, tree
from scipy.io import savemat
from web import serving

TRAIN = ["tv_the_simpsons_860x528"]
TEST = ["advert_iphone_1272x720", "music_gummybear_880x720"]
FRAMES = 6
SMALL = {
    "dataset": {"only": [*TRAIN, *TEST]},
    "prepare": {"size": [64, 48]},
    "flow": {"estimator": "farneback"},
    "net": {"width": 0.0625, "init": "he"},
    "train": {"max_iters": 2},
    "models": {"early": {"arch": "early"}},
    "table": {"resamples": 50},
}


def checkout(folder, release=None, **changes):
    """Return a copy of the checkout with small.yaml, videos of few frames, and one address and checksum, or none."""
    copy_checkout(folder)
    path = folder / "resources/datasets/diem.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    for row in rows:
        row["urls"] = ""
        if release and row["file"] == "diem.tar.gz":
            row["urls"], row["sha256"] = release
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    set_frames(folder, [*TRAIN, *TEST], FRAMES)
    small = {**SMALL, **{name: {**SMALL.get(name, {}), **values} for name, values in changes.items()}}
    (folder / "small.yaml").write_text(yaml.safe_dump(small))
    return folder


def words(*more):
    return ["--cores", 2, "--configfile", "config/diem.yaml", "small.yaml", "--", *more]


@pytest.mark.slow
def test_a_release_from_address_to_table(tmp_path):
    """Connections that break, a killed run, an unlock, the rest of the bytes; unpacked, read, trained, scored."""
    rng = np.random.default_rng(0)
    packed = {}
    for name in [*TRAIN, *TEST, "tv_ketch2_672x544"]:
        put_video(tmp_path / "videos", name, rng, FRAMES)
        files = tree(tmp_path / "videos" / name, f"{name}/") | {
            f"{name}/audio/{name}.wav": rng.bytes(400_000)
        }
        packed[f"{DEEP}/{name}.7z"] = seven_zip(tmp_path / "packed" / f"{name}.7z", files)
    archive = tar_gz(tmp_path / "served/diem.tar.gz", packed)
    with serving() as server:
        server.data = archive.read_bytes()
        server.piece = len(server.data) // 5
        digest = hashlib.sha256(server.data).hexdigest()
        folder = checkout(tmp_path / "checkout", (f"{server.url}/cut/diem.tar.gz", digest))
        first = subprocess.Popen(
            [sys.executable, "-m", "snakemake", *map(str, words("data"))],
            cwd=folder,
            env=environment(no_proxy="127.0.0.1"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        part = folder / "results/diem/archive/.diem.tar.gz.part"
        while not part.exists() or part.stat().st_size < 3 * server.piece:  # after three of five connections
            assert first.poll() is None
            time.sleep(0.02)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        assert not list((folder / "results").rglob("manifest.json"))
        assert snakemake(folder, "--unlock", *words()).rc == 0
        done = snakemake(folder, "--rerun-incomplete", *words("results/table1.csv"))
        assert done.rc == 0, done.text[-3000:]
        starts = [start for _, start in server.requests]
        assert starts == sorted(set(starts))  # nothing that has come is asked for again
        assert server.sent == len(server.data)

    for name in [*TRAIN, *TEST]:
        raw = tree(folder / "results/diem/raw" / name)
        listed = json.loads(raw.pop("manifest.json"))
        assert raw == tree(tmp_path / "videos" / name)
        assert set(listed) == set(raw)
    assert not (folder / "results/diem/raw/tv_ketch2_672x544").exists()
    logs = "".join(path.read_text() for path in (folder / "logs/diem/download").glob("*.log"))
    assert "4 of DIEM's 84 videos" in logs
    assert logs.count("left out: 0.4 MiB of sound, 0 other files") == 3

    table = pd.read_csv(folder / "results/table1.csv").set_index("model")
    assert list(table.index) == ["early", "centre", "uniform", "mean_map", "human"]
    assert (table["n_frames"] == 2 * FRAMES).all()
    assert table["paper_comparable"].all()
    again = snakemake(folder, *words("results/table1.csv"))
    assert "Nothing to be done" in again.text


@pytest.mark.slow
def test_the_form_of_stavis_to_table(tmp_path):
    """Both archives from a mirror, where they stay, packed; no row for human viewers, and the table says why."""
    rng = np.random.default_rng(0)
    frames, maps = {}, {}
    for name in [*TRAIN, *TEST]:
        for number in range(1, FRAMES + 1):
            picture = rng.integers(0, 255, (45, 60, 3), np.uint8).repeat(6, 0).repeat(6, 1)
            frames[f"video_frames/DIEM/{name}/img_{number:05d}.jpg"] = cv2.imencode(".jpg", picture)[
                1
            ].tobytes()
            found, stream = np.zeros((270, 360), np.uint8), io.BytesIO()
            found[rng.integers(90, 180, 12), rng.integers(120, 240, 12)] = 1
            savemat(stream, {"eyeMap": found})
            maps[f"annotations/DIEM/{name}/fixMap_{number:05d}.mat"] = stream.getvalue()
    mirror = tmp_path / "mirror"
    tar_gz(mirror / "diem/stavis/DIEM_frames.tar.gz", frames)
    tar_gz(mirror / "diem/stavis/DIEM_annotations.tar.gz", maps)
    folder = checkout(tmp_path / "checkout", dataset={"source": "stavis", "split": "stavis17"})
    with (folder / "small.yaml").open("a") as stream:
        stream.write(f"mirrors: [{mirror}]\n")
    done = snakemake(folder, *words("results/table1.csv"))
    assert done.rc == 0, done.text[-3000:]
    table = pd.read_csv(folder / "results/table1.csv").set_index("model")
    assert list(table.index) == ["early", "centre", "uniform", "mean_map"]
    assert (table["n_frames"] == 2 * FRAMES).all()
    assert "do not say who looked" in (folder / "results/diem/table1.md").read_text()
    assert not list((folder / "results/diem/raw").rglob("*.jpg"))
    assert (folder / "results/diem/archive/stavis/DIEM_frames.tar.gz").is_symlink()
    gaze = pd.read_parquet(folder / f"results/diem/gaze/{TEST[0]}.parquet")
    assert set(gaze["subject"]) == {"all"}
    assert gaze["x"].between(64 / 3 - 1, 2 * 64 / 3).all()
