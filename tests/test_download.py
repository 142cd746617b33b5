"""Downloads against a local server that cuts connections, lies, or cannot resume."""

from __future__ import annotations

import errno
import hashlib
import http.server
import os
import re
import stat
import threading
from collections import namedtuple

import pytest

from dynsal import download, transfer
from dynsal.download import fetch, mirror_folders
from dynsal.errors import DataError
from dynsal.layout import RegistryRow, registry_row

DATA = bytes(range(256)) * 4000  # 1 MB
WRONG = bytes(reversed(DATA))


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves DATA; what else it does stands in the first part of the path."""

    def do_GET(self):
        """Answer."""
        server, mode = self.server, self.path.split("/")[1]
        wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        server.requests.append((mode, start))
        body = (
            WRONG
            if mode == "wrong"
            else DATA[:-5]
            if mode == "short"
            else DATA + b"x"
            if mode == "long"
            else DATA
        )
        if mode == "missing":
            return self.send_error(404)
        if mode == "flaky" and len(server.requests) < 3:
            return self.send_error(503)
        if mode == "norange":
            start = 0
        if start >= len(body):
            return self.send_error(416)
        partial = start > 0 and mode != "norange"
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = len(body)
        if (mode in ("cut", "dead") and start < 600_000) or (mode == "norange" and len(server.requests) == 1):
            end = start + 250_000 if mode != "dead" else start
        self.wfile.write(body[start:end])
        self.wfile.flush()
        return None

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server(monkeypatch):
    """Return a running server with its address and the list of requests it saw."""
    monkeypatch.setattr(transfer, "BACKOFF", 0.001)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("DYNSAL_MIRROR", raising=False)
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.requests = []
    running.url = f"http://127.0.0.1:{running.server_port}"
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def row(*urls, data=DATA, file="videos/a b.avi") -> RegistryRow:
    return RegistryRow(file, len(data), hashlib.sha256(data).hexdigest(), urls, "free")


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_plain_download_is_verified_and_read_only(server, tmp_path):
    umask = os.umask(0o027)
    try:
        target = fetch(row(f"{server.url}/ok/a%20b.avi"), tmp_path / "sub" / "a b.avi", progress=False)
    finally:
        os.umask(umask)
    assert target.read_bytes() == DATA
    assert stat.S_IMODE(target.stat().st_mode) == 0o440
    assert files(tmp_path) == ["a b.avi"]


def test_a_right_file_is_kept_and_a_wrong_one_replaced(server, tmp_path):
    target = tmp_path / "a.avi"
    target.write_bytes(WRONG)
    wanted = row(f"{server.url}/ok/x")
    assert fetch(wanted, target, progress=False).read_bytes() == DATA
    fetch(wanted, target, progress=False)
    assert len(server.requests) == 1


def test_cut_connections_are_resumed(server, tmp_path):
    """Each connection breaks after 250,000 bytes; each next one asks for the rest only."""
    target = fetch(row(f"{server.url}/cut/x"), tmp_path / "a.avi", progress=False)
    assert target.read_bytes() == DATA
    assert server.requests == [("cut", 0), ("cut", 250_000), ("cut", 500_000), ("cut", 750_000)]


def test_the_next_run_resumes(server, tmp_path, monkeypatch):
    """A run that dies half-way leaves only a hidden part, never something that looks finished."""
    target = tmp_path / "a.avi"

    def die(_seconds):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(transfer.time, "sleep", die)
        with pytest.raises(KeyboardInterrupt):
            fetch(row(f"{server.url}/cut/x"), target, progress=False)
    assert files(tmp_path) == [".a.avi.part", ".a.avi.part.json"]
    assert fetch(row(f"{server.url}/ok/x"), target, progress=False).read_bytes() == DATA
    assert server.requests[-1] == ("ok", 250_000)
    assert files(tmp_path) == ["a.avi"]


def test_server_without_range(server, tmp_path):
    """It sends everything again, which must not be appended to what was there."""
    assert fetch(row(f"{server.url}/norange/x"), tmp_path / "a", progress=False).read_bytes() == DATA
    assert server.requests == [("norange", 0), ("norange", 250_000)]


@pytest.mark.parametrize("rest", [b"old" * 1000, b"x" * (len(DATA) - 1), DATA + b"more", WRONG])
def test_a_part_of_something_else(server, tmp_path, rest):
    """Left-overs of another file spoil nothing: the sum does not fit, so the download begins again."""
    (tmp_path / ".a.part").write_bytes(rest)
    assert fetch(row(f"{server.url}/ok/x"), tmp_path / "a", progress=False).read_bytes() == DATA
    assert files(tmp_path) == ["a"]


def test_wrong_checksum(server, tmp_path):
    """Both sums, where, and the remedy; nothing is left."""
    wanted = row(f"{server.url}/wrong/x")
    with pytest.raises(DataError) as caught:
        fetch(wanted, tmp_path / "a", dataset="toy", progress=False)
    text = str(caught.value)
    assert f"/wrong/x (wrong checksum: expected sha256 {wanted.sha256}" in text
    assert f"found {hashlib.sha256(WRONG).hexdigest()}" in text
    assert f"Put the file as toy/{wanted.file} ({len(DATA)} bytes, sha256 {wanted.sha256})" in text
    assert files(tmp_path) == []


def test_too_long_is_wrong(server, tmp_path):
    with pytest.raises(DataError, match="wrong checksum"):
        fetch(row(f"{server.url}/long/x"), tmp_path / "a", progress=False)
    assert files(tmp_path) == []


@pytest.mark.parametrize("first", ["missing", "wrong", "short", "dead"])
def test_next_address_after_a_bad_one(server, tmp_path, first):
    wanted = row(f"{server.url}/{first}/x", f"{server.url}/ok/x")
    assert fetch(wanted, tmp_path / "a", progress=False).read_bytes() == DATA
    assert len(server.requests) < 20


def test_a_busy_server_is_asked_again_but_a_missing_file_is_not(server, tmp_path):
    assert fetch(row(f"{server.url}/flaky/x"), tmp_path / "a", progress=False).read_bytes() == DATA
    assert len(server.requests) == 3
    server.requests.clear()
    with pytest.raises(DataError, match="HTTP 404"):
        fetch(row(f"{server.url}/missing/x"), tmp_path / "b", progress=False)
    assert len(server.requests) == 1


def test_nothing_reachable_names_every_place(server, tmp_path):
    """Two mirror folders, a missing file, a server that is not there."""
    closed = "http://127.0.0.1:9/x"
    with pytest.raises(DataError) as caught:
        fetch(
            row(f"{server.url}/missing/x", closed),
            tmp_path / "a",
            [tmp_path / "m1", tmp_path / "m2"],
            "toy",
            False,
        )
    for place in (
        tmp_path / "m1/toy/videos/a b.avi",
        tmp_path / "m2/toy/videos/a b.avi",
        f"{server.url}/missing/x",
        closed,
    ):
        assert f"{place} (" in str(caught.value)
    assert "DYNSAL_MIRROR" in caught.value.remedy


def test_mirror_comes_first_and_is_checked_too(server, tmp_path, monkeypatch, caplog):
    """Config folders, then those of the environment; a bad copy there is passed over, and left alone."""
    bad, good = tmp_path / "bad", tmp_path / "good"
    for folder, data in ((bad, WRONG), (good, DATA)):
        (folder / "toy/videos").mkdir(parents=True)
        (folder / "toy/videos/a b.avi").write_bytes(data)
    monkeypatch.setenv("DYNSAL_MIRROR", f"{tmp_path / 'none'}:{good}")
    assert mirror_folders([str(bad)]) == [bad, tmp_path / "none", good]
    target = fetch(row(f"{server.url}/ok/x"), tmp_path / "out" / "a", [bad], "toy", False)
    assert target.read_bytes() == DATA
    assert server.requests == []
    assert (bad / "toy/videos/a b.avi").read_bytes() == WRONG
    assert "wrong checksum" in caplog.text
    assert files(tmp_path / "out") == ["a"]


Usage = namedtuple("Usage", "total used free")


def test_no_disk_space(server, tmp_path, monkeypatch):
    """Too little free: refused before a byte is sent, with both numbers. Full half-way: the part stays, and is resumed."""
    target = tmp_path / "a"
    with monkeypatch.context() as patched:
        patched.setattr(download.shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 1000))
        with pytest.raises(DataError, match=r"a: no space left: 1 MiB needed, 0 MiB free"):
            fetch(row(f"{server.url}/ok/x"), target, progress=False)
    assert server.requests == []

    def full(_url, part, _start, _row, _progress):
        part.write_bytes(DATA[:1000])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(download, "_transfer", full)
        with pytest.raises(DataError, match="a: no space left"):
            fetch(row(f"{server.url}/ok/x"), target, progress=False)
    assert files(tmp_path) == [".a.part"]
    assert fetch(row(f"{server.url}/ok/x"), target, progress=False).read_bytes() == DATA
    assert server.requests == [("ok", 1000)]


@pytest.mark.data
def test_hevc33_through_registry_and_mirror(mirror, tmp_path, monkeypatch):
    """The real data base and the file with a space come from the mirror folder, without any network."""
    monkeypatch.setenv("DYNSAL_MIRROR", "")
    monkeypatch.setattr(download, "_download", None)
    for file in ("video_database.mat", "videos/Basketball Drive.avi"):
        target = fetch(registry_row("hevc33", file), tmp_path / file, [mirror], "hevc33", progress=False)
        assert target.read_bytes() == (mirror / "hevc33" / file).read_bytes()
