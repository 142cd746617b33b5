"""Evaluation by several processes: the bytes of one, errors in one line, nothing left behind."""

from __future__ import annotations

import pickle

import h5py
import psutil
import pytest
from helpers import run_script
from test_bad_input import VIDEOS, evaluate_stage, prepared, results  # noqa: F401

from dynsal.config import EvaluateConfig, GazeConfig
from dynsal.errors import DataError
from dynsal.evaluation_run import Job, score_videos


def scores(results):  # noqa: F811
    return {path.name: path.read_bytes() for path in (results / "scores/early/seed0").iterdir()}


@pytest.mark.slow
def test_several_processes_write_the_bytes_of_one(results):  # noqa: F811
    stage = evaluate_stage(results)
    told = []
    for processes in (1, 2, 5):
        done = run_script("evaluate", *stage.words, "--processes", processes, cwd=results.parent)
        assert done.rc == 0, done.stderr
        told.append([line.split(" at ")[0][9:] for line in done.log.splitlines()[1:]])
        if processes == 1:
            expected = scores(results)
            assert set(expected) == {f"{video}.parquet" for video in VIDEOS}
            for old in (results / "scores/early/seed0").iterdir():
                old.unlink()
        else:
            assert scores(results) == expected
            assert told[-1] == told[0]


def test_one_process_starts_no_other(results):  # noqa: F811
    job = Job(
        "early",
        0,
        results / "model.safetensors",
        results,
        VIDEOS,
        GazeConfig(),
        EvaluateConfig(pool_frames=4),
        1,
    )
    before = set(psutil.Process().children(recursive=True))
    assert [one.video for one in score_videos(job, 1)] == list(VIDEOS)
    assert set(psutil.Process().children(recursive=True)) <= before


@pytest.mark.slow
def test_an_error_in_a_process_is_told_in_one_line(results):  # noqa: F811
    """And nothing is written of the video that has it."""
    damaged = results / "flow" / f"{VIDEOS[1]}.h5"
    with h5py.File(damaged, "r+") as handle:
        del handle["frame"]
    stage = evaluate_stage(results)
    done = run_script("evaluate", *stage.words, "--processes", 2, cwd=results.parent)
    errors = [line for line in done.log.splitlines() if " ERROR " in line]
    assert done.rc == 1
    assert len(errors) == 1, done.log
    assert str(damaged) in errors[0]
    assert "not a readable clip" in errors[0]
    assert "Traceback" not in done.log + done.stderr
    assert f"{VIDEOS[1]}.parquet" not in scores(results)


def test_a_data_error_travels_between_processes():
    error = DataError("a.h5", "is broken", "Mend it")
    twin = pickle.loads(pickle.dumps(error))
    assert (str(twin), twin.where, twin.problem, twin.remedy) == (str(error), "a.h5", "is broken", "Mend it")
