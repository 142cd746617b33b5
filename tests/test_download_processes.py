"""Real processes that fetch the same file at once, are killed, or run out of disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import ROOT, environment
from web import DATA

from dynsal.download import fetch
from dynsal.errors import DataError
from dynsal.layout import RegistryRow

FETCH = """
import logging, sys
from pathlib import Path
from dynsal import checksums
from dynsal.download import fetch
from dynsal.layout import RegistryRow
logging.basicConfig(level=logging.INFO, format="%(message)s")
url, digest, target, lock = sys.argv[1:]
checksums.lock_files = lambda: [Path(lock)]
fetch(RegistryRow("a", None, digest or None, (url,), "free"), Path(target), dataset="toy")
"""


class Fetching:
    """Processes that fetch from one server into one folder; none outlives the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, url: str, sha256: str = "", target: str = "out/a") -> subprocess.Popen[str]:
        """Start one."""
        words = [url, sha256, self.folder / target, self.folder / "downloads.lock.csv"]
        process = subprocess.Popen(
            [sys.executable, "-c", FETCH, *map(str, words)],
            cwd=self.folder,
            env=environment(PYTHONPATH=str(ROOT / "src"), no_proxy="*"),
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process


@pytest.fixture
def fetching(server, tmp_path):
    """Yield a starter of processes."""
    started = Fetching(tmp_path)
    yield started
    server.gate.set()
    for process in started.processes:
        process.kill()
        process.communicate()


def until(condition) -> None:
    """Wait for something that other processes bring about."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.01)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("sha256", ["", hashlib.sha256(DATA).hexdigest()])
def test_two_processes_one_transfer(server, fetching, tmp_path, sha256):
    """The second waits while the first is half-way, then finds the file there."""
    first = fetching.start(f"{server.url}/gate/x", sha256)
    until(lambda: server.sent)
    second = fetching.start(f"{server.url}/gate/x", sha256)
    assert "another process is fetching it; waiting" in second.stderr.readline()
    server.gate.set()
    for process in (first, second):
        _, told = process.communicate(timeout=60)
        assert process.returncode == 0, told
    assert server.requests == [("gate", 0)]
    assert (tmp_path / "out" / "a").read_bytes() == DATA
    assert names(tmp_path / "out") == ["a"]


def test_a_killed_process_is_followed_up(server, fetching, tmp_path):
    """SIGKILL half-way: nothing looks finished, the lock is free, and only the other half is fetched."""
    digest = hashlib.sha256(DATA).hexdigest()
    killed = fetching.start(f"{server.url}/gate/x", digest)
    part = tmp_path / "out" / ".a.part"
    until(lambda: server.sent)
    time.sleep(0.2)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert names(tmp_path / "out") == [".a.fetch", ".a.part", ".a.part.json"]
    got = part.stat().st_size
    fetched = fetch(
        RegistryRow("a", None, digest, (f"{server.url}/ok/x",), "free"),
        tmp_path / "out" / "a",
        progress=False,
    )
    assert fetched.read_bytes() == DATA
    assert server.requests == [("gate", 0), ("ok", got)]
    assert names(tmp_path / "out") == ["a"]


def test_a_killed_process_frees_the_waiting_one(server, fetching, tmp_path):
    first = fetching.start(f"{server.url}/gate/x")
    until(lambda: server.sent)
    second = fetching.start(f"{server.url}/ok/x")
    assert "waiting" in second.stderr.readline()
    first.send_signal(signal.SIGKILL)
    _, told = second.communicate(timeout=60)
    assert second.returncode == 0, told
    assert (tmp_path / "out" / "a").read_bytes() == DATA


@pytest.fixture
def small_disk(tmp_path):
    """Yield a folder on a file system of 24 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("no small file system: mounting one needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_too_small_for_what_the_server_announces(server, small_disk):
    """The registry knows no size: the server's is enough to say so before anything is written."""
    server.data = DATA * 30
    row = RegistryRow("a", None, None, (f"{server.url}/ok/x",), "free")
    with pytest.raises(DataError, match=r"disk/a: no space left: 29 MiB needed, 24 MiB free"):
        fetch(row, small_disk / "a", progress=False)
    assert list(small_disk.iterdir()) == []


def test_a_disk_that_fills_up_on_the_way(server, small_disk):
    """No length announced, so it shows when it is full; with more room, what is there is kept and the rest fetched."""
    server.data = DATA * 30
    digest = hashlib.sha256(server.data).hexdigest()
    row = RegistryRow("a", None, digest, (f"{server.url}/chunked/x", f"{server.url}/ok/x"), "free")
    with pytest.raises(DataError, match=r"disk/a: no space left.*Free some space"):
        fetch(row, small_disk / "a", progress=False)
    assert not (small_disk / "a").exists()
    got = (small_disk / ".a.part").stat().st_size
    assert got > 20_000_000
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    row = RegistryRow("a", None, digest, (f"{server.url}/ok/x",), "free")
    assert fetch(row, small_disk / "a", progress=False).read_bytes() == server.data
    assert server.requests[-1] == ("ok", got)


def test_a_mirror_larger_than_the_disk(server, small_disk, tmp_path):
    (tmp_path / "downloads" / "toy").mkdir(parents=True)
    (tmp_path / "downloads" / "toy" / "a").write_bytes(DATA * 20)
    row = RegistryRow("a", None, None, (), "free")
    with pytest.raises(DataError, match="no space left: 20 MiB needed"):
        fetch(row, small_disk / "a", dataset="toy", progress=False)
    assert list(small_disk.iterdir()) == []
    fetch(row, small_disk / "a", dataset="toy", progress=False, in_place=True)
    assert (small_disk / "a").is_symlink()
