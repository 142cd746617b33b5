"""Where files come from, and that nothing wrong or half-finished is ever taken."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections import namedtuple
from pathlib import Path

import pytest
from web import DATA, WRONG

from dynsal import download, transfer
from dynsal.download import fetch, fetch_all, mirror_folders
from dynsal.errors import DataError
from dynsal.layout import RegistryRow, registry_row


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
    assert server.requests == [("cut", start) for start in range(0, len(DATA), 250_000)]


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
    assert f"({len(DATA)} bytes, sha256 {wanted.sha256}; licence: free)" in caught.value.remedy
    assert files(tmp_path) == []


def test_wrong_and_in_pieces_is_tried_once_more_and_not_for_ever(server, tmp_path):
    """Pieces that do not fit may be of two versions; if the second try fits as badly, the address has another file."""
    wanted = row(f"{server.url}/cut/x")
    server.data = WRONG
    with pytest.raises(DataError, match=r"/cut/x \(wrong checksum.*; removed\)"):
        fetch(wanted, tmp_path / "a", progress=False)
    assert server.requests == 2 * [("cut", start) for start in range(0, len(DATA), 250_000)]
    assert files(tmp_path) == []


@pytest.mark.parametrize(("mode", "size"), [("short", len(DATA) - 5), ("long", len(DATA) + 1)])
def test_another_length_is_refused_before_a_byte_comes(server, tmp_path, mode, size):
    with pytest.raises(DataError, match=f"the file there has {size} bytes instead of {len(DATA)}"):
        fetch(row(f"{server.url}/{mode}/x"), tmp_path / "a", progress=False)
    assert len(server.requests) == 1
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
    assert mirror_folders([str(bad)]) == [Path("downloads"), bad, tmp_path / "none", good]
    target = fetch(row(f"{server.url}/ok/x"), tmp_path / "out" / "a", [bad], "toy", False)
    assert target.read_bytes() == DATA
    assert server.requests == []
    assert (bad / "toy/videos/a b.avi").read_bytes() == WRONG
    assert "wrong checksum" in caplog.text
    assert files(tmp_path / "out") == ["a"]


Usage = namedtuple("Usage", "total used free")


def test_no_disk_space(server, tmp_path, monkeypatch):
    """Too little free: refused before a byte is sent, with both numbers."""
    target = tmp_path / "a"
    with monkeypatch.context() as patched:
        patched.setattr(download.shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 1000))
        with pytest.raises(DataError, match=r"a: no space left: 1 MiB needed, 0 MiB free"):
            fetch(row(f"{server.url}/ok/x"), target, progress=False)
    assert server.requests == []


def test_files_fetched_by_hand(server, tmp_path):
    """No address: what to get, from where, what to expect and where to put it; once it is there, the same call works."""
    wanted = RegistryRow(
        "a b.zip",
        None,
        None,
        (),
        "CC BY",
        md5=hashlib.md5(DATA).hexdigest(),
        about=int(1.2e9),
        page="http://x.org/d",
    )
    with pytest.raises(DataError) as caught:
        fetch(wanted, tmp_path / "out" / "a b.zip", dataset="toy", progress=False)
    assert caught.value.remedy == (
        f"Get it by hand from http://x.org/d (about 1200 MB, md5 {wanted.md5}; licence: CC BY): put the file at "
        f"{tmp_path}/downloads/toy/a b.zip, or as toy/a b.zip into a folder named in DYNSAL_MIRROR or the key mirrors; "
        "then run the same command again"
    )
    (tmp_path / "downloads" / "toy").mkdir(parents=True)
    (tmp_path / "downloads" / "toy" / "a b.zip").write_bytes(DATA)
    assert fetch(wanted, tmp_path / "out" / "a b.zip", dataset="toy", progress=False).read_bytes() == DATA


def test_in_place_links_after_the_same_check(server, tmp_path):
    """A right file is linked to, stays as it is, and counts as there; a wrong one is not linked to."""
    mirror, target = tmp_path / "mirror" / "toy" / "a", tmp_path / "out" / "a"
    mirror.parent.mkdir(parents=True)
    mirror.write_bytes(WRONG)
    wanted = row(file="a")
    with pytest.raises(DataError, match="wrong checksum"):
        fetch(wanted, target, [tmp_path / "mirror"], "toy", False, in_place=True)
    assert not target.is_symlink()
    mirror.write_bytes(DATA)
    mirror.chmod(0o640)
    for _ in range(2):
        fetch(wanted, target, [tmp_path / "mirror"], "toy", False, in_place=True)
        assert target.readlink() == mirror
    assert stat.S_IMODE(mirror.stat().st_mode) == 0o640
    mirror.unlink()
    wanted = row(f"{server.url}/ok/x", file="a")
    fetch(wanted, target, [tmp_path / "mirror"], "toy", False, in_place=True)
    assert not target.is_symlink()
    assert target.read_bytes() == DATA


def test_large_files_of_a_folder_are_linked(server, tmp_path, monkeypatch):
    """SALICON's archives need not lie on the disk twice."""
    (tmp_path / "mirror" / "toy").mkdir(parents=True)
    (tmp_path / "mirror" / "toy" / "a").write_bytes(DATA)
    for limit, linked in ((len(DATA) + 1, False), (len(DATA), True)):
        monkeypatch.setattr(download, "LARGE", limit)
        target = fetch(row(file="a"), tmp_path / str(limit), [tmp_path / "mirror"], "toy", False)
        assert target.is_symlink() == linked
        assert target.read_bytes() == DATA


def test_all_files_of_a_registry(server, tmp_path, monkeypatch):
    """Every file and a manifest of them; if one fails, no manifest, and the next run fetches only what is missing."""
    rows = [row(f"{server.url}/ok/{name}", file=f"sub/{name}") for name in "abcdef"]
    broken = [*rows[:5], row(f"{server.url}/missing/f", file="sub/f")]
    monkeypatch.setattr(download.layout, "registry", lambda _: broken)
    with pytest.raises(DataError, match="sub/f: could not be fetched"):
        fetch_all("toy", tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()
    before = server.asked("ok")
    monkeypatch.setattr(download.layout, "registry", lambda _: rows)
    manifest = fetch_all("toy", tmp_path / "out")
    assert server.asked("ok") <= 6
    assert server.asked("ok") > before
    assert json.loads(manifest.read_text()) == {
        one.file: {"bytes": len(DATA), "sha256": one.sha256} for one in rows
    }


@pytest.mark.data
def test_hevc33_through_registry_and_mirror(mirror, tmp_path, monkeypatch):
    """The real data base and the file with a space come from the mirror folder, without any network."""
    monkeypatch.setenv("DYNSAL_MIRROR", "")
    monkeypatch.setattr(download, "_from_address", None)
    for file in ("video_database.mat", "videos/Basketball Drive.avi"):
        target = fetch(registry_row("hevc33", file), tmp_path / file, [mirror], "hevc33", progress=False)
        assert target.read_bytes() == (mirror / "hevc33" / file).read_bytes()
