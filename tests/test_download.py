"""Where files come from, and that nothing wrong or half-finished is ever taken; and DIEM from a mirror folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
from collections import namedtuple
from pathlib import Path

import pytest
from web import DATA, WRONG

from dynsal import download, transfer
from dynsal.datasets.diem import Diem
from dynsal.download import fetch, fetch_all, fetch_diem_video, mirror_folders
from dynsal.errors import DataError
from dynsal.layout import RegistryRow, registry_row
from dynsal.manifests import verify_manifest, write_manifest


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


# ---- DIEM -----------------------------------------------------------------------------------------------------------

VIDEO = "toy_640x480"


@pytest.fixture
def diem(tmp_path, monkeypatch):
    """Return a mirror folder with one small video in DIEM's layout."""
    monkeypatch.delenv("DYNSAL_MIRROR", raising=False)
    folder = tmp_path / "mirror" / "diem" / VIDEO
    (folder / "video").mkdir(parents=True)
    (folder / "event_data").mkdir()
    (folder / "video" / f"{VIDEO}.mp4").write_bytes(DATA)
    for name in ("diem2s1.asc_1", "diem2s2.asc_9"):
        (folder / "event_data" / f"{name}_{VIDEO}.txt").write_text("1\t640\t480\t9\t1\t640\t480\t9\t1\r\n")
    return tmp_path / "mirror"


def test_diem_video_with_manifest(diem, tmp_path):
    root = tmp_path / "raw"
    manifest = fetch_diem_video(VIDEO, root, [diem])
    assert manifest == root / VIDEO / "manifest.json"
    listed = json.loads(manifest.read_text())
    assert sorted(listed) == [
        f"event_data/diem2s1.asc_1_{VIDEO}.txt",
        f"event_data/diem2s2.asc_9_{VIDEO}.txt",
        f"video/{VIDEO}.mp4",
    ]
    assert listed[f"video/{VIDEO}.mp4"] == {"bytes": len(DATA), "sha256": hashlib.sha256(DATA).hexdigest()}
    assert not (root / VIDEO / "video" / f"{VIDEO}.mp4").stat().st_mode & 0o222
    verify_manifest(root, VIDEO, full=True)
    before = manifest.read_bytes()
    fetch_diem_video(VIDEO, root, [diem])
    assert manifest.read_bytes() == before


def test_diem_recordings_gone_from_the_mirror_are_not_read(diem, tmp_path):
    root = tmp_path / "raw"
    fetch_diem_video(VIDEO, root, [diem])
    (diem / "diem" / VIDEO / "event_data" / f"diem2s1.asc_1_{VIDEO}.txt").unlink()
    fetch_diem_video(VIDEO, root, [diem])
    assert files(root / VIDEO / "event_data") == [f"diem2s2.asc_9_{VIDEO}.txt"]
    verify_manifest(root, VIDEO, full=True)


def test_diem_missing_pieces_are_named(diem, tmp_path):
    """No folder, no mp4, no event files: each said, with where DIEM is to be had; no manifest."""
    root = tmp_path / "raw"
    with pytest.raises(DataError, match=r"thediemproject.*DYNSAL_MIRROR"):
        fetch_diem_video(VIDEO, root)
    with pytest.raises(DataError, match=r"other_640x480 \(no such folder\)"):
        fetch_diem_video("other_640x480", root, [diem])
    folder = diem / "diem" / VIDEO
    (folder / "event_data").rename(folder / "events")
    with pytest.raises(DataError, match=r"event_data \(no event files\)"):
        fetch_diem_video(VIDEO, root, [diem])
    (folder / "video" / f"{VIDEO}.mp4").unlink()
    with pytest.raises(DataError, match=rf"{VIDEO}\.mp4 \(no such file\)"):
        fetch_diem_video(VIDEO, root, [diem])
    assert files(tmp_path / "raw") == [] if root.exists() else True


def test_diem_copy_interrupted_leaves_no_manifest(diem, tmp_path, monkeypatch):
    """A disk that fills up half-way: clear error, no manifest (an old one is gone too), and the next run completes."""
    root = tmp_path / "raw"
    fetch_diem_video(VIDEO, root, [diem])
    changed = diem / "diem" / VIDEO / "event_data" / f"diem2s2.asc_9_{VIDEO}.txt"
    changed.write_text("1\t641\t480\t9\t1\t640\t480\t9\t1\r\n")

    def full(_source, _target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(download.shutil, "copyfile", full)
        with pytest.raises(DataError, match="no space left"):
            fetch_diem_video(VIDEO, root, [diem])
    with pytest.raises(DataError, match=r"manifest\.json: cannot be read"):
        verify_manifest(root, VIDEO)
    assert not [name for name in files(root) if name.endswith(".part")]
    fetch_diem_video(VIDEO, root, [diem])
    verify_manifest(root, VIDEO, full=True)
    assert "641" in (root / VIDEO / "event_data" / changed.name).read_text()


def test_manifest_tells_of_later_damage(diem, tmp_path):
    root = tmp_path / "raw"
    fetch_diem_video(VIDEO, root, [diem])
    path = root / VIDEO / "video" / f"{VIDEO}.mp4"
    path.chmod(0o644)
    path.write_bytes(WRONG)
    verify_manifest(root, VIDEO)  # sizes alone cannot tell
    with pytest.raises(DataError, match=r"mp4: has changed"):
        verify_manifest(root, VIDEO, full=True)
    path.write_bytes(DATA[:-1])
    with pytest.raises(DataError, match=rf"mp4: has {len(DATA) - 1} bytes instead of {len(DATA)}"):
        verify_manifest(root, VIDEO)
    path.unlink()
    with pytest.raises(DataError, match="mp4: is in the manifest but missing"):
        verify_manifest(root, VIDEO)
    path.write_bytes(DATA)
    (root / VIDEO / "event_data" / "extra.txt").touch()
    with pytest.raises(DataError, match=r"extra\.txt: is not in the manifest"):
        verify_manifest(root, VIDEO)
    write_manifest(root / VIDEO)
    verify_manifest(root, VIDEO, full=True)


@pytest.mark.data
def test_real_event_files_through_a_mirror(mirror, tmp_path, monkeypatch):
    """The 100 real files, copied through fetch_diem_video, are what the reader reads."""
    from dynsal.config import DatasetConfig

    monkeypatch.delenv("DYNSAL_MIRROR", raising=False)
    video = "50_people_brooklyn_1280x720"
    source = tmp_path / "mirror" / "diem" / video
    (source / "video").mkdir(parents=True)
    (source / "video" / f"{video}.mp4").write_bytes(DATA)
    shutil.copytree(mirror / "diem" / "event_data" / video, source / "event_data")
    fetch_diem_video(video, tmp_path / "raw", [tmp_path / "mirror"])
    verify_manifest(tmp_path / "raw", video)
    gaze = Diem(tmp_path / "raw", DatasetConfig(name="diem")).fixations(video)
    assert gaze.n_frames == 3667
    assert gaze.table["subject"].nunique() == 100
