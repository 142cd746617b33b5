"""Flow of one video by several processes: the same bits as by one, and no process or file left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from helpers import ROOT, call, command, environment
from test_bad_input import data_stage, params

from dynsal.datasets.demo import generate
from dynsal.errors import DataError
from dynsal.flow import estimator, fields
from dynsal.flow_processes import shared_fields
from dynsal.prepare import wanted_frames, working_frames

LONG = "demo_pan_96_640x480"


def frames(count: int, stride: int = 1, step: int = 1, size: int = 64):
    """Return working frames of a texture that moves and is lit anew in every frame."""
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.normal(127, 120, (size, size + count)).astype(np.float32), (0, 0), 2)
    wanted = wanted_frames(stride, step, neighbours=True)
    pictures = (np.clip(texture[:, i : i + size] + i, 0, 255).astype(np.uint8) for i in range(count))
    decoded = ((i / 10, np.dstack([one] * 3) if wanted(i) else None) for i, one in enumerate(pictures))
    return working_frames(decoded, (size, size), stride, step)


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(
    ("count", "stride", "step", "processes"),
    [(9, 1, 1, 2), (3, 1, 1, 4), (2, 1, 1, 2), (13, 2, 3, 2), (11, 1, 5, 3)],
)
def test_the_same_bits_in_the_same_order(direction, count, stride, step, processes):
    """Also where frames are thinned, and where there are fewer pairs than processes."""
    with contextlib.closing(
        shared_fields(frames(count, stride, step), "deepflow", direction, "a", processes)
    ) as shared:
        found = list(shared)
    expected = list(fields(frames(count, stride, step), estimator("deepflow"), direction))
    assert [(frame.index, frame.time) for frame, _ in found] == [
        (frame.index, frame.time) for frame, _ in expected
    ]
    for (_, field), (_, other) in zip(found, expected, strict=True):
        assert field.dtype == np.float32
        np.testing.assert_array_equal(field, other)
    assert any(field.any() for _, field in found)


def test_one_process_starts_no_other():
    before = set(psutil.Process().children(recursive=True))
    shared = shared_fields(frames(4), "dis", "forward", "a", 1)
    next(shared)
    assert set(psutil.Process().children(recursive=True)) <= before


def test_only_so_many_frames_are_read_ahead():
    """However long the video: memory stays flat."""
    read = []

    def counted():
        for frame in frames(40, size=32):
            read.append(frame.index)
            yield frame

    with contextlib.closing(shared_fields(counted(), "dis", "forward", "a", 2)) as shared:
        for taken, _ in enumerate(shared, 1):
            assert len(read) <= taken + 2 * 2 + 1


def test_a_refusal_is_that_of_one_process():
    with pytest.raises(DataError, match=r"clip\.avi: fewer than two frames"):
        list(shared_fields(frames(1), "dis", "forward", "clip.avi", 2))


def test_an_error_in_a_worker_is_raised_here(monkeypatch):
    """With what went wrong; here OpenCV refuses frames of two sizes."""
    mixed = [*frames(3), *frames(3, size=32)]
    with pytest.raises(cv2.error, match="size"):
        list(shared_fields(mixed, "farneback", "forward", "a", 2))


# --- the script, with real signals ---


@pytest.fixture
def stage(tmp_path):
    """Flow of a video that takes some seconds, with its frames made."""
    generate(LONG, tmp_path / "raw", 0, n_frames=24, n_viewers=2)
    size = {"prepare": {"size": [320, 240]}}
    given = params("dataset", "gaze", "prepare", **size)
    call(
        "rescale", params=given, config=None, video=LONG, raw=tmp_path / "raw",
        out=tmp_path / "frames" / f"{LONG}.h5",
    )  # fmt: skip
    made = data_stage(tmp_path, "flow", LONG, **size)
    words = list(made.words)
    words[words.index("farneback")] = "deepflow"
    made.words = words
    return made


def children_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def is_worker(child: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(child.cmdline())
    except psutil.Error:  # it has just ended
        return False


@contextlib.contextmanager
def running(stage, processes: int):
    """Start the script in a session of its own; yield it and its workers once all of them are there."""
    with subprocess.Popen(
        command("flow", *stage.words, "--processes", processes),
        cwd=stage.out.parent.parent,
        env=environment(PYTHONPATH=str(ROOT / "src")),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 60
        workers: list[psutil.Process] = []
        while len(workers) < processes or not list(stage.out.parent.glob(".*.part")):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            workers = [child for child in children_of(process) if is_worker(child)]
            time.sleep(0.01)
        try:
            yield process, children_of(process), workers
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def gone(processes: list[psutil.Process], seconds: float = 20) -> bool:
    return not psutil.wait_procs(processes, timeout=seconds)[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "everyone"),
    [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGTERM, True),
     (signal.SIGKILL, False)],
)  # fmt: skip
def test_a_signal_leaves_no_process_and_no_output(stage, number, everyone):
    """To the script alone, or to all of its processes, as Ctrl-C and batch systems send it."""
    with running(stage, 2) as (process, children, _):
        (os.killpg if everyone else os.kill)(process.pid, number)
        told = process.communicate(timeout=30)[1]
        assert process.returncode != 0
        assert gone(children), told
        assert not stage.out.exists()
        if number == signal.SIGINT:
            assert not list(stage.out.parent.iterdir())
            assert told.count("KeyboardInterrupt") == 1, told


@pytest.mark.slow
def test_a_dead_worker_is_told_in_one_line(stage):
    with running(stage, 2) as (process, children, workers):
        workers[0].kill()
        told = process.communicate(timeout=30)[1]
        assert process.returncode == 1
        assert "Traceback" not in told
        assert f"{LONG}: one of 2 processes died" in told
        assert gone(children)
        assert not list(stage.out.parent.iterdir())


@pytest.mark.slow
def test_the_script_writes_the_same_bytes(stage):
    written: dict[int, bytes] = {}
    for processes in (1, 3):
        done = subprocess.run(
            command("flow", *stage.words, "--processes", processes), cwd=stage.out.parent.parent,
            env=environment(PYTHONPATH=str(ROOT / "src")), check=True, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert b"24 fields" in done.stderr
        written[processes] = Path(stage.out).read_bytes()
        stage.out.unlink()
    assert written[1] == written[3]
