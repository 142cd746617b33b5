"""The real scripts on damaged input: status 1, one clear line, nothing left behind; and after the repair they work."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers import (
    ROOT,
    TINY,
    VIDEOS,
    call,
    command,
    copy_checkout,
    environment,
    facts,
    once,
    params,
    run_script,
    shared_base,
)

from dynsal.clips import Clip
from dynsal.config import parse
from dynsal.datasets.demo import generate
from dynsal.manifests import write_manifest
from dynsal.metrics import METRICS
from dynsal.nets import build
from dynsal.nets.weights import save_model

PAN, STILL = VIDEOS
FRAMES = 14


def prepare(folder: Path) -> None:
    """Make two tiny videos, their clips and gaze, a model, and score files."""
    given = params("dataset", "gaze", "prepare")
    for video in VIDEOS:
        generate(video, folder / "raw", 0, n_frames=FRAMES, n_viewers=4)
        common = {"params": given, "config": None, "video": video, "raw": folder / "raw"}
        frames = folder / "frames" / f"{video}.h5"
        call("rescale", **common, out=frames)
        call("gaze", **common, frames=frames, out=folder / "gaze" / f"{video}.parquet")
        flow = folder / "flow" / f"{video}.h5"
        call(
            "flow", **common, frames=frames, estimator="farneback", direction="forward", processes=1, out=flow
        )
    config = parse(TINY)
    facts_of_net = {
        "arch": "early",
        "net": config.net.model_dump(),
        "flow": config.flow.model_dump(),
        "size": [32, 32],
    }
    save_model(folder / "model.safetensors", build("early", config.net), facts_of_net)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """Return the undamaged results; tests must not change them."""
    return once(shared_base(tmp_path_factory), "prepared", prepare)


@pytest.fixture
def results(prepared, tmp_path) -> Path:
    """Return a copy to damage."""
    return shutil.copytree(prepared, tmp_path / "results")


class Stage:
    """One script with its command line; ``out`` is what it should write."""

    def __init__(self, results: Path, name: str, out: Path, *words: object) -> None:
        self.results, self.name, self.out, self.words = results, name, out, words

    def run(self):
        """Run it once, whatever comes."""
        return run_script(self.name, *self.words, cwd=self.results.parent)

    def refuses(self, *expected: object) -> None:
        """Fail with status 1 and one ERROR line that holds all that is expected; write nothing."""
        for old in self.out.parent.glob("*"):
            old.unlink()
        done = self.run()
        errors = [line for line in done.log.splitlines() if " ERROR " in line]
        assert done.rc == 1, done.stderr
        assert len(errors) == 1, done.log
        for words in expected:
            assert str(words) in errors[0]
        assert "Traceback" not in done.log + done.stderr
        assert errors[0] in done.stderr
        left = [path.name for path in self.out.parent.glob("*")]
        assert not left, "left behind"

    def works(self) -> str:
        """Succeed, write the output, and return the log."""
        done = self.run()
        assert done.rc == 0, done.stderr
        assert " ERROR " not in done.log
        assert self.out.is_file()
        assert not list(self.out.parent.glob(".*"))
        return done.log


def data_stage(results: Path, name: str, video: str = PAN, **changes: dict) -> Stage:
    """Return rescale, gaze or flow of one video, writing to a folder of its own."""
    out = results / "again" / f"{video}.{'parquet' if name == 'gaze' else 'h5'}"
    words = [
        "--video",
        video,
        "--raw",
        results / "raw",
        "--params",
        params("dataset", "gaze", "prepare", **changes),
        "--out",
        out,
    ]
    if name != "rescale":
        words += ["--frames", results / "frames" / f"{video}.h5"]
    if name == "flow":
        words += ["--estimator", "farneback"]
    return Stage(results, name, out, *words)


def evaluate_stage(results: Path) -> Stage:
    out = results / "scores" / "early" / "seed0" / f"{PAN}.parquet"
    words = [
        "--name",
        "early",
        "--seed",
        0,
        "--model",
        results / "model.safetensors",
        "--results",
        results,
        "--videos",
    ]
    return Stage(
        results, "evaluate", out, *words, *VIDEOS, "--params", params("gaze", "evaluate"), "--threads", 1
    )


def floors_stage(results: Path, *names: str) -> Stage:
    out = results / "scores" / names[-1] / "seed0" / f"{PAN}.parquet"
    words = ["--names", *names, "--results", results, "--videos", *VIDEOS, "--training", *VIDEOS]
    return Stage(results, "floors", out, *words, "--params", params("gaze", "evaluate"))


def train_stage(results: Path, **changes: dict) -> Stage:
    folder = results / "models" / "early" / "seed0"
    out = folder / "model.safetensors"
    words = [
        "--name",
        "early",
        "--model",
        '{"arch": "early"}',
        "--seed",
        0,
        "--results",
        results,
        "--videos",
        *VIDEOS,
    ]
    words += ["--params", params("prepare", "gaze", "flow", "net", "train", **changes), "--threads", 1]
    words += ["--checkpoints", results / "checkpoints", "--out", out]
    words += ["--history", folder / "history.csv", "--provenance", folder / "provenance.json"]
    return Stage(results, "train", out, *words)


def cut(path: Path, keep: float) -> bytes:
    """Cut a file short; return what it was."""
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    return whole


def mp4(results: Path) -> Path:
    return results / "raw" / PAN / "video" / f"{PAN}.mp4"


def events(results: Path) -> list[Path]:
    return sorted((results / "raw" / PAN / "event_data").glob("*.txt"))


def edit(path: Path, change) -> bytes:
    """Apply a function to the list of rows (lists of cells) of an event file; return the file as it was."""
    before = path.read_bytes()
    rows = [line.split("\t") for line in before.decode().split("\r\n")[:-1]]
    recorded_so(path, "".join("\t".join(cells) + "\r\n" for cells in change(rows)).encode())
    return before


def recorded_so(path: Path, content: bytes) -> None:
    """Change an event file as if it had come like this: with a manifest that agrees."""
    path.write_bytes(content)
    write_manifest(path.parents[1])


# ---- videos ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rescale", "flow"])
def test_truncated_video(results, name):
    whole = cut(mp4(results), 0.7)
    stage = data_stage(results, name)
    stage.refuses(mp4(results), "cut short", "fetch")
    if name == "rescale":
        mp4(results).write_bytes(whole)
        stage.works()


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "0 bytes"), (b"<html>not found</html>" * 99, "is no video"), (None, "no such video")],
)
def test_no_video(results, content, problem):
    whole = mp4(results).read_bytes()
    mp4(results).unlink()
    if content is not None:
        mp4(results).write_bytes(content)
    stage = data_stage(results, "rescale")
    stage.refuses(mp4(results), problem)
    if content is None:
        mp4(results).write_bytes(whole)
        stage.works()


def test_video_of_another_size(results):
    """Gaze refers to the native size, which the name states."""
    shutil.copy(results / "raw" / STILL / "video" / f"{STILL}.mp4", mp4(results))
    data_stage(results, "rescale").refuses(mp4(results), "is 64x64, but the name says 80x64", "native size")


def test_clip_of_another_cut(results):
    """A rescaled clip that does not belong to the video is noticed before flow is published."""
    video = "demo_pan_97_80x64"
    generate(video, results / "raw", 0, n_frames=FRAMES + 3, n_viewers=2)
    shutil.copy(results / "raw" / video / "video" / f"{video}.mp4", mp4(results))
    data_stage(results, "flow").refuses(
        results / "frames" / f"{PAN}.h5", f"holds {FRAMES} frames", "Delete it"
    )


# ---- gaze -----------------------------------------------------------------------------------------------------------


def test_no_event_folder(results):
    folder = results / "raw" / PAN / "event_data"
    folder.rename(folder.with_name("elsewhere"))
    stage = data_stage(results, "gaze")
    stage.refuses(folder, "is in the manifest but missing", "run the same command again")
    folder.with_name("elsewhere").rename(folder)
    stage.works()


@pytest.mark.parametrize(
    ("column", "text", "problem"),
    [(1, "x12", "is 'x12', no number"), (4, "7", "no event"), (0, "99", "frame 99")],
)
def test_bad_row(results, column, text, problem):
    """Named with file and line."""
    target = events(results)[1]
    before = edit(
        target, lambda rows: [[*r[:column], text, *r[column + 1 :]] if r[0] == "5" else r for r in rows]
    )
    stage = data_stage(results, "gaze")
    stage.refuses(f"{target}:5", problem, "Fetch it again")
    if column == 0:
        recorded_so(target, before)
        stage.works()


def test_recording_that_came_cut_short(results):
    target = events(results)[0]
    cut(target, 0.5)
    recorded_so(target, target.read_bytes())
    data_stage(results, "gaze").refuses(target, "Fetch it again")


def test_recording_damaged_after_it_came(results):
    """What is not as the manifest says is refused before a row of it is read."""
    target = events(results)[0]
    whole = cut(target, 0.5)
    stage = data_stage(results, "gaze")
    stage.refuses(target, f"instead of {len(whole)}", "run the same command again")
    target.write_bytes(whole)
    stage.works()


def test_no_valid_fixation(results):
    """Everybody blinks all the time."""
    before = {
        path: edit(path, lambda rows: [[*r[:4], "0", *r[5:8], "0"] for r in rows]) for path in events(results)
    }
    stage = data_stage(results, "gaze")
    stage.refuses(
        results / "raw" / PAN / "event_data", "no valid fixation", "no_fixation", "Leave the video out"
    )
    for path, content in before.items():
        recorded_so(path, content)
    stage.works()


def test_gaze_longer_than_the_video(results):
    """A warning, and what lies after the end is cut and counted."""
    centre = ["640", "480", "1000", "1", "640", "480", "1000", "1"]
    for path in events(results):
        edit(path, lambda rows: rows + [[str(len(rows) + 1 + i), *centre] for i in range(30)])
    rows = len(events(results)[0].read_bytes().splitlines())
    stage = data_stage(results, "gaze")
    log = stage.works()
    assert f"WARNING gaze covers {rows} frames, the video has {FRAMES}" in log
    assert facts(stage.out)["dropped"]["after_video_end"] == (rows - FRAMES) * len(events(results))
    assert pd.read_parquet(stage.out)["frame"].max() < FRAMES


def test_gaze_outside_the_frame(results, prepared):
    """Dropped, counted in the file's metadata, and told in the log."""
    away = ["5", "5", "1000", "1", "5", "5", "1000", "1"]
    target = events(results)[0]
    before = facts(prepared / "gaze" / f"{PAN}.parquet")["dropped"]
    kept = len(pd.read_parquet(prepared / "gaze" / f"{PAN}.parquet"))
    edit(target, lambda rows: [[r[0], *away] for r in rows])
    stage = data_stage(results, "gaze")
    log = stage.works()
    dropped = facts(stage.out)["dropped"]
    table = pd.read_parquet(stage.out)
    rows = len(target.read_bytes().splitlines())
    assert dropped["outside_frame"] >= rows
    assert len(table) + sum(dropped.values()) == kept + sum(before.values())
    assert f"{dropped['outside_frame']} outside_frame" in log
    assert table["x"].between(-0.5, 31.5).all()


# ---- downloads ------------------------------------------------------------------------------------------------------


def test_wrong_checksum_in_the_mirror(tmp_path):
    """Both sums are named, nothing is left that looks finished, and a good copy repairs it."""
    good, bad = b"the registered bytes", b"some other bytes, as many"[:20]
    sums = [hashlib.sha256(data).hexdigest() for data in (good, bad)]
    checkout = copy_checkout(tmp_path / "checkout")
    registry = checkout / "resources" / "datasets" / "toy.csv"
    registry.write_text(
        f"file,bytes,sha256,md5,urls,page,licence,citation\nclip.avi,{len(good)},{sums[0]},,,,none,none\n"
    )
    mirrored = tmp_path / "mirror" / "toy" / "clip.avi"
    mirrored.parent.mkdir(parents=True)
    mirrored.write_bytes(bad)
    out = tmp_path / "raw" / "clip.avi"
    words = ["--dataset", "toy", "--file", "clip.avi", "--out", out]
    given = {"scripts": checkout / "workflow" / "scripts", "DYNSAL_MIRROR": str(tmp_path / "mirror")}
    done = run_script("download", *words, cwd=tmp_path, **given)
    errors = [line for line in done.log.splitlines() if " ERROR " in line]
    assert done.rc == 1
    assert len(errors) == 1
    for word in (out, mirrored, "wrong checksum", *sums, "DYNSAL_MIRROR"):
        assert str(word) in errors[0]
    assert "Traceback" not in done.log + done.stderr
    assert not list(out.parent.iterdir())
    assert mirrored.read_bytes() == bad
    mirrored.write_bytes(good)
    assert run_script("download", *words, cwd=tmp_path, **given).rc == 0
    assert out.read_bytes() == good


def test_diem_without_a_mirror(tmp_path):
    """The message says where DIEM comes from, in which forms, and where to put it."""
    checkout = copy_checkout(tmp_path / "checkout")
    registry = checkout / "resources" / "datasets" / "diem.csv"
    registry.write_text(re.sub(r"https?://www2[^,]*", "", registry.read_text()))  # no address
    words = ["--video", "diem_video_640x480", "--root", tmp_path / "raw"]
    done = run_script("fetch_diem", *words, cwd=tmp_path, scripts=checkout / "workflow" / "scripts")
    assert done.rc == 1
    (error,) = [line for line in done.log.splitlines() if " ERROR " in line]
    drop = tmp_path / "downloads" / "diem"
    for word in (
        "by hand", "thediemproject", "mediafire.com", "<VIDEO>.7z", "DYNSAL_MIRROR",
        drop / "diem.tar.gz", drop / "diem_video_640x480.7z",
    ):  # fmt: skip
        assert str(word) in error
    assert "Traceback" not in done.log + done.stderr
    assert not (tmp_path / "raw").exists()


# ---- what earlier stages left ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_corrupt_clip(results, keep):
    """A cut clip is refused wherever it is read first."""
    clip = results / "frames" / f"{PAN}.h5"
    whole = cut(clip, keep)
    stage = data_stage(results, "gaze")
    stage.refuses(clip, "not a readable clip", "Delete it")
    if keep:
        clip.write_bytes(whole)
        stage.works()


def damage_fields(path: Path) -> bytes:
    """Flip bytes inside the stored flow; the file still opens."""
    import h5py

    whole = path.read_bytes()
    with h5py.File(path) as handle:
        # every chunk: training draws frames at random
        chunks = [
            handle["flow"].id.get_chunk_info(index) for index in range(handle["flow"].id.get_num_chunks())
        ]
    data = bytearray(whole)
    for chunk in chunks:
        middle = chunk.byte_offset + chunk.size // 2
        data[middle : middle + 8] = bytes(byte ^ 0xFF for byte in data[middle : middle + 8])
    path.write_bytes(data)
    return whole


def test_damaged_flow_in_training(results):
    """Bytes flipped inside a field are noticed by its checksum, and never trained on."""
    clips = [results / "flow" / f"{video}.h5" for video in VIDEOS]
    whole = [damage_fields(clip) for clip in clips]
    stage = train_stage(results)
    stage.refuses("flow/", "is damaged", "Delete the file")
    for clip, content in zip(clips, whole, strict=True):
        clip.write_bytes(content)
    stage.works()


def test_flow_of_another_video(results):
    """Frames and flow that do not belong together are not trained on."""
    flow = results / "flow" / f"{PAN}.h5"
    video = "demo_pan_97_80x64"
    generate(video, results / "raw", 0, n_frames=FRAMES + 3, n_viewers=2)
    other = {
        "params": params("dataset", "gaze", "prepare"),
        "config": None,
        "video": video,
        "raw": results / "raw",
    }
    call("rescale", **other, out=results / "other.h5")
    extra = {"estimator": "farneback", "direction": "forward", "processes": 1}
    call("flow", **other, **extra, frames=results / "other.h5", out=results / "otherflow.h5")
    shutil.copy(results / "otherflow.h5", flow)
    train_stage(results).refuses(flow, "does not match", "Delete both")


@pytest.mark.parametrize("keep", [0.0, 0.6])
def test_corrupt_gaze_file(results, keep):
    path = results / "gaze" / f"{STILL}.parquet"
    whole = cut(path, keep)
    stage = floors_stage(results, "centre")
    stage.refuses(path, "is no gaze file", "Delete it")
    if keep:
        path.write_bytes(whole)
        stage.works()


def test_corrupt_truth(results):
    path = results / "raw" / PAN / "truth.h5"
    whole = cut(path, 0.5)
    stage = floors_stage(results, "oracle")
    stage.refuses(path, "true density", "generate it again")
    path.write_bytes(whole)
    stage.works()


@pytest.mark.parametrize("kind", ["cut", "empty", "foreign"])
def test_corrupt_model(results, kind):
    path = results / "model.safetensors"
    whole = path.read_bytes()
    if kind == "foreign":
        from safetensors.numpy import save_file

        save_file({"weight": np.zeros(3, np.float32)}, path)
    else:
        cut(path, 0.5 if kind == "cut" else 0)
    stage = evaluate_stage(results)
    stage.refuses(path, "is no model" if kind == "foreign" else "cannot be read as .safetensors")
    if kind == "cut":
        path.write_bytes(whole)
        stage.works()


def test_corrupt_score_file(results):
    """The table names the file, whether it cannot be read or lacks a metric."""
    config = {**TINY, "dataset": {"name": "demo", "split": "demo"}}
    config["models"] = {"early": {"arch": "early"}}
    plan_videos = [f"demo_{name}" for name in ("crowd_05_480x360", "pan_06_640x360")]
    config["dataset"]["only"] = ["demo_pan_03_480x360", *plan_videos]
    config = parse(config)
    frames = np.arange(4)
    for model in ("centre", "uniform", "mean_map", "human", "oracle", "early"):
        for video in plan_videos:
            path = results / "scores" / model / "seed0" / f"{video}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            scores = dict.fromkeys(METRICS, np.linspace(0.4, 0.6, len(frames)))
            pd.DataFrame({"frame": frames, "n_fixations": 3, **scores, "skipped": ""}).to_parquet(path)
    whole = path.read_bytes()
    paper = Path(__file__).resolve().parents[1] / "resources" / "paper" / "table1.csv"
    out = results / "tables" / "table1.csv"
    words = [
        "--results",
        results,
        "--paper",
        paper,
        "--params",
        config.model_dump_json(),
        "--out",
        out.parent,
    ]
    stage = Stage(results, "table1", out, *words)
    cut(path, 0.5)
    stage.refuses(path, "not a score file", "Delete it")
    path.write_bytes(whole)
    pd.read_parquet(path).drop(columns="sauc").to_parquet(path)
    stage.refuses(path, "lacks sauc", "Delete it")
    path.write_bytes(whole)
    stage.works()


# ---- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "cannot be read as YAML"),
        ("prepare: [1, 2", "cannot be read as YAML"),
        ("- 1\n", "expected a mapping"),
        ("prepare: {sise: [32, 32]}", "prepare.sise"),
    ],
)
def test_bad_config_file(results, text, problem):
    """A script run by hand refuses a bad file, with its name."""
    path = results / "mine.yaml"
    if text is not None:
        path.write_text(text)
    stage = data_stage(results, "rescale")
    words = list(stage.words)
    at = words.index("--params")
    words[at : at + 2] = ["--config", path]
    stage = Stage(results, "rescale", stage.out, *words)
    done = stage.run()
    assert done.rc == 1
    assert sum(" ERROR " in line for line in done.log.splitlines()) == 1
    assert "Traceback" not in done.log + done.stderr
    assert str(path) in done.log
    assert problem in done.log
    assert not stage.out.exists()
    if text is None:
        path.write_text(yaml.safe_dump(TINY))
        stage.works()


# ---- a full disk, a killed worker -----------------------------------------------------------------------------------


@pytest.fixture
def full_disk(tmp_path):
    """Yield an empty folder on a small file system without a free byte, and the file to delete for making room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = None
    if shutil.which("mount") and os.geteuid() == 0:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True
        )
    if mounted is None or mounted.returncode:
        pytest.skip("no small file system: mounting one needs root")
    try:
        (disk / "out").mkdir()
        with (disk / "ballast").open("wb", buffering=0) as stream, contextlib.suppress(OSError):
            while True:
                stream.write(bytes(4096))
        yield disk / "out", disk / "ballast"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("name", ["demo", "rescale", "flow", "gaze", "checkpoint", "model", "evaluate"])
def test_disk_full(results, full_disk, name):
    """One line says so, nothing that looks finished stays, and with room the same command works."""
    folder, ballast = full_disk
    if name in (
        "rescale",
        "flow",
    ):  # room to begin with: a clip that grows until the disk is full crashes HDF5
        os.truncate(ballast, ballast.stat().st_size - 8192)
    link = {"checkpoint": "checkpoints", "model": "models/early/seed0", "evaluate": "scores"}.get(
        name, "again"
    )
    (results / link).parent.mkdir(parents=True, exist_ok=True)
    (results / link).symlink_to(folder)
    if name == "demo":
        stage = Stage(results, "demo", folder / PAN / "manifest.json", "--video", PAN, "--root", folder)
    elif name in ("checkpoint", "model"):
        stage = train_stage(results)
    else:
        stage = evaluate_stage(results) if name == "evaluate" else data_stage(results, name)
    done = stage.run()
    errors = [line for line in done.log.splitlines() if " ERROR " in line]
    assert done.rc == 1, done.stderr
    assert len(errors) == 1, done.log
    assert "Traceback" not in done.log + done.stderr, done.stderr
    assert str(results / link) in errors[0] or str(folder) in errors[0]
    assert "no space left" in errors[0]
    assert "Free some space" in errors[0]
    finished = {".mp4", ".json", ".h5", ".parquet", ".pt", ".safetensors", ".part"}
    assert not [path for path in folder.rglob("*") if path.suffix in finished]
    if name in ("rescale", "checkpoint"):
        ballast.unlink()
        stage.works()


def test_killed_in_the_middle_of_flow(results):
    """No output under its name; the same command then gives what an undisturbed run gives."""
    video = "demo_pan_96_640x480"
    generate(video, results / "raw", 0, n_frames=40, n_viewers=2)
    size = {"prepare": {"size": [320, 240]}}
    given = params("dataset", "gaze", "prepare", **size)
    frames = results / "frames" / f"{video}.h5"
    call("rescale", params=given, config=None, video=video, raw=results / "raw", out=frames)
    stage = data_stage(results, "flow", video, **size)
    with subprocess.Popen(
        command("flow", *stage.words),
        cwd=results,
        env=environment(PYTHONPATH=str(ROOT / "src")),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 60
        # The writer flushes every 32 frames: at that size the first fields are in the file.
        while sum(path.stat().st_size for path in stage.out.parent.glob(".*.part")) < 200_000:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not stage.out.exists()
    for part in stage.out.parent.glob(".*.part"):
        part.unlink()
    stage.works()
    with Clip(stage.out) as clip:
        assert len(clip) == 40
