"""Atomic writing: whole files or none, and a full disk told as such."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from dynsal.errors import DataError
from dynsal.fileio import atomic, is_disk_full, sha256, write_json


def test_replaces_only_on_success(tmp_path):
    """The old content stays until the new is complete."""
    path = tmp_path / "deep" / "a.txt"
    with atomic(path) as part:
        part.write_text("one")
    with pytest.raises(KeyError), atomic(path) as part:
        part.write_text("two")
        raise KeyError
    assert path.read_text() == "one"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_full_disk_is_named(tmp_path):
    """A real 'no space left on device' (from /dev/full) names the file and the remedy, and leaves nothing."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    path = tmp_path / "a.txt"
    with (
        pytest.raises(DataError, match=r"a\.txt: no space left .* Free some space"),
        atomic(path),
        open("/dev/full", "w") as full,
    ):
        full.write("x" * 100_000)
    assert list(tmp_path.iterdir()) == []


def test_h5py_hides_the_error_number_in_its_text():
    """HDF5 reports a full disk as text only."""
    assert is_disk_full(
        OSError("Can't write data (file write failed: errno = 28, error message = 'No space')")
    )
    assert not is_disk_full(OSError("Can't open file (errno = 2)"))


def test_killed_writer_leaves_no_finished_file(tmp_path):
    """Kill -9 in the middle of a write: the file under its own name does not exist."""
    path = tmp_path / "a.txt"
    script = (
        "import sys, time; from pathlib import Path; from dynsal.fileio import atomic\n"
        f"with atomic(Path({str(path)!r})) as part:\n"
        "    part.write_text('half'); print('writing', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.05)
    process.kill()
    process.wait()
    assert not path.exists()
    with atomic(path) as part:  # the next run is not disturbed by what was left
        part.write_text("whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]  # nor does anything of it stay


def test_json_is_stable(tmp_path):
    """Equal content gives equal bytes whatever the order of the keys."""
    write_json(tmp_path / "a", {"b": 1, "a": [1, 2]})
    write_json(tmp_path / "b", {"a": [1, 2], "b": 1})
    assert sha256(tmp_path / "a") == sha256(tmp_path / "b")
