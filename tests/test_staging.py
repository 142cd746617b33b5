"""Training from copies on a node's own disk: the same model, from the copies indeed, and nothing left behind."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import time

import psutil
import pytest
import torch
from helpers import ROOT, command, environment, run_script
from test_bad_input import VIDEOS, prepared, results, train_stage  # noqa: F401

from dynsal import staging
from dynsal.config import GazeConfig
from dynsal.errors import DataError
from dynsal.samples import ClipSamples, sources
from dynsal.staging import VARIABLE, staged

SOURCE = {"PYTHONPATH": str(ROOT / "src")}


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


def samples(results, inputs=("frame", "flow")):  # noqa: F811
    return ClipSamples(sources(results, VIDEOS, [1]), GazeConfig(px_per_deg=4.0), inputs)


def test_samples_come_from_the_copies(results, scratch):  # noqa: F811
    """The originals may even be gone; afterwards they are read again, and the copies are gone."""
    chosen = samples(results)
    before = [chosen[i] for i in range(len(chosen))]
    view = chosen.evenly_spaced(3)
    fresh = samples(results)
    with staged([fresh, view]):
        copies = list(scratch.glob("*/*"))
        assert sorted(path.name.split("-", 1)[1] for path in copies) == sorted(
            2 * [f"{v}.h5" for v in VIDEOS]
        )
        for folder in ("frames", "flow"):
            (results / folder).rename(results / f"{folder}.away")
        for one, other in zip(before, (fresh[i] for i in range(len(fresh))), strict=True):
            assert all(torch.equal(one[name], other[name]) for name in one)
        assert torch.equal(view[0]["frame"], before[0]["frame"])
        for folder in ("frames", "flow"):
            (results / f"{folder}.away").rename(results / folder)
    assert not list(scratch.iterdir())
    assert torch.equal(fresh[1]["frame"], before[1]["frame"])


def test_only_what_is_read_is_copied(results, scratch):  # noqa: F811
    for inputs, folder in ((("frame",), "frames"), (("flow",), "flow")):
        chosen = samples(results, inputs)
        assert chosen.clips() == {results / folder / f"{video}.h5" for video in VIDEOS}
        assert samples(results, inputs).evenly_spaced(1).clips() == {results / folder / f"{VIDEOS[0]}.h5"}
        with staged([chosen]):
            assert len(list(scratch.glob("*/*"))) == len(VIDEOS)


def test_without_the_variable_nothing_happens(results, scratch, monkeypatch):  # noqa: F811
    monkeypatch.delenv(VARIABLE)
    chosen = samples(results)
    with staged([chosen]):
        assert not chosen.files.copies
        assert not list(scratch.iterdir())


def test_variables_in_the_name_are_those_of_the_node(results, scratch, monkeypatch):  # noqa: F811
    monkeypatch.setenv(VARIABLE, "$NODE_DISK/")
    monkeypatch.setenv("NODE_DISK", str(scratch))
    with staged([samples(results)]):
        assert list(scratch.iterdir())
    monkeypatch.delenv("NODE_DISK")
    with (
        pytest.raises(DataError, match=r"DYNSAL_SCRATCH: there is no folder \$NODE_DISK"),
        staged([samples(results)]),
    ):
        pass


def test_what_does_not_fit_is_read_where_it_is(results, scratch, monkeypatch, caplog):  # noqa: F811
    usage = shutil.disk_usage(scratch)
    monkeypatch.setattr(staging.shutil, "disk_usage", lambda _folder: usage._replace(free=5 * 2**20))
    needed = sum(path.stat().st_size for path in samples(results).clips())
    with (results / "flow" / f"{VIDEOS[0]}.h5").open("ab") as stream:
        stream.truncate(needed + 2**20)
    chosen = samples(results)
    with staged([chosen]):
        assert not list(scratch.iterdir())
        assert not chosen.files.copies
    assert "do not fit (5.2 MB free): they are read where they are" in caplog.text


def test_nothing_stays_after_an_error(results, scratch, monkeypatch):  # noqa: F811
    """In the block, and while copying: of a full disk, or of a file that is written to meanwhile."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ZeroDivisionError), staged([samples(results)]):
        raise ZeroDivisionError
    assert not list(scratch.iterdir())
    copyfile = shutil.copyfile

    def changing(source, to):
        copyfile(source, to)
        os.utime(source, (1, 1))

    def full(source, to):
        copyfile(source, to)
        raise OSError(errno.ENOSPC, "No space left on device", str(to))

    for replaced, error in ((changing, DataError), (full, OSError)):
        monkeypatch.setattr(staging.shutil, "copyfile", replaced)
        with pytest.raises(error, match=r"changed while it was copied|No space"), staged([samples(results)]):
            pass
        assert not list(scratch.iterdir())
    assert signal.getsignal(signal.SIGTERM) == before


def test_leftovers_of_the_killed_go_and_those_of_others_stay(results, scratch):  # noqa: F811
    with subprocess.Popen(["true"]) as ended:
        pass
    host = os.uname().nodename
    dead, alive, foreign = (
        scratch / name
        for name in (
            f"dynsal-clips-{host}-{ended.pid}-abc",
            f"dynsal-clips-{host}-1-abc",
            "dynsal-clips-x-1-abc",
        )
    )
    for folder in (dead, alive, foreign):
        folder.mkdir()
        (folder / "0-a.h5").write_bytes(b"0")
    assert not psutil.pid_exists(ended.pid)
    with staged([samples(results)]):
        pass
    assert sorted(scratch.iterdir()) == sorted([alive, foreign])


# --- trainings ---


def trained(results, *words, **environment_):  # noqa: F811
    stage = train_stage(results, train={"max_iters": 4})
    for old in (results / "checkpoints", stage.out.parent):
        shutil.rmtree(old, ignore_errors=True)
    done = run_script("train", *stage.words, *words, cwd=results.parent, **environment_)
    assert done.rc == 0, done.stderr
    return stage.out.read_bytes(), done.log


def test_the_model_is_the_same_byte_for_byte(results, scratch):  # noqa: F811
    plain, _ = trained(results, **{VARIABLE: ""})
    copied, log = trained(results, **{VARIABLE: str(scratch)})
    assert copied == plain
    assert f"{2 * len(VIDEOS)} clips, " in log
    assert not list(scratch.iterdir())


@pytest.mark.slow
def test_processes_of_one_training_share_the_copies(results, scratch):  # noqa: F811
    """Two processes, one set of copies, and the model that two processes train without them."""
    models = [trained(results, "--processes", 2, **{VARIABLE: folder}) for folder in ("", str(scratch))]
    assert models[0][0] == models[1][0]
    assert models[1][1].count("copied to") == 1
    assert not list(scratch.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", ["copying", "training"])
def test_a_signal_leaves_no_copy(results, scratch, number, moment):  # noqa: F811
    """While it copies, here a file of half a gigabyte, and in the middle of the training."""
    if moment == "copying":
        with (results / "flow" / f"{VIDEOS[0]}.h5").open("ab") as stream:
            stream.truncate(2**29)
    stage = train_stage(results, train={"max_iters": 100_000})
    with subprocess.Popen(
        command("train", *stage.words),
        cwd=results.parent,
        env=environment(**SOURCE, **{VARIABLE: str(scratch)}),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            deadline = time.monotonic() + 90
            count = 1 if moment == "copying" else 2 * len(VIDEOS)
            begun = results / ("frames" if moment == "copying" else "checkpoints")
            while len(list(scratch.glob("*/*"))) < count or not list(begun.glob("*")):
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.005)
            assert len(list(scratch.glob("*/*"))) < 2 * len(VIDEOS) or moment == "training"
            process.send_signal(number)
            told = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode == 143 if number == signal.SIGTERM else process.returncode != 0, told
    assert not list(scratch.iterdir())
