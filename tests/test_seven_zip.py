"""Unpacking .7z archives: whole ones exactly, damaged and hostile ones not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import random
import stat
from collections import namedtuple

import py7zr
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from releases import seven_zip, tree

from dynsal import seven_zip as module
from dynsal.errors import DataError
from dynsal.seven_zip import unpack

FILES = {
    "V/video/V.mp4": random.Random(0).randbytes(30_000),
    "V/audio/V.wav": random.Random(1).randbytes(5_000),
    "V/event_data/a.txt": b"1\t2\r\n" * 500,
    "V/event_data/empty.txt": b"",
}
KEPT = {name: data for name, data in FILES.items() if not name.endswith(".wav")}


def choose(name: str) -> str | None:
    return None if name.endswith(".wav") else name


def do(data: bytes, folder, where="x.7z", packed=None):
    return unpack(io.BytesIO(data), packed or len(data), where, choose, folder, "Fetch it again")


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> bytes:
    return seven_zip(tmp_path_factory.mktemp("packed") / "x.7z", FILES)


@pytest.mark.parametrize(
    "filters",
    [
        None,
        [{"id": py7zr.FILTER_LZMA}],
        [{"id": py7zr.FILTER_COPY}],
        [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA2}],
        [{"id": py7zr.FILTER_BZIP2}],
    ],
    ids=["default", "LZMA", "stored", "BCJ", "bzip2"],
)
def test_what_went_in_comes_out(tmp_path, filters):
    """The chosen files, under the chosen names, read-only; the rest is told with its size; nothing hidden stays."""
    data = seven_zip(tmp_path / "x.7z", FILES, filters=filters)
    out = tmp_path / "out"
    files, left_out = unpack(
        io.BytesIO(data),
        len(data),
        "x.7z",
        lambda name: name.removeprefix("V/") if choose(name) else None,
        out,
        "",
    )
    assert tree(out, "V/") == KEPT
    assert files == sorted(name.removeprefix("V/") for name in KEPT)
    assert left_out == {"V/audio/V.wav": 5000}
    assert not (out / "video/V.mp4").stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "x.7z"]


@settings(max_examples=60, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(place=0.0, bit=0)
def test_one_wrong_bit_never_gives_wrong_bytes(tmp_path_factory, archive, place, bit):
    """Either a clear error and nothing, or what went in (some bits, as those of times, mean nothing here)."""
    folder = tmp_path_factory.mktemp("bit")
    data = bytearray(archive)
    data[int(place * len(data))] ^= 1 << bit
    with contextlib.suppress(DataError):
        do(bytes(data), folder / "out")
    assert tree(folder) in ({}, {f"out/{name}": content for name, content in KEPT.items()})


@pytest.mark.parametrize("keep", [0, 10, 32, 1000, 20_000, -1])
def test_archives_cut_short(tmp_path, archive, keep):
    with pytest.raises(DataError, match=r"x\.7z: is damaged or no \.7z .*Fetch it again"):
        do(archive[:keep], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_encrypted_archives_are_told_apart(tmp_path):
    for name, headers in (("a", False), ("b", True)):
        data = seven_zip(tmp_path / name, FILES, password="secret", header_encryption=headers)
        with pytest.raises(DataError, match=r"x\.7z: is encrypted"):
            do(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../../x.txt", "/etc/x.txt", "V/../../x.txt", "C:/x.txt"])
def test_names_that_lead_outside(tmp_path, monkeypatch, name):
    """Written by a packer that does not mind."""
    monkeypatch.setattr("py7zr.py7zr.check_archive_path", lambda _: True)
    monkeypatch.setattr(py7zr.SevenZipFile, "_sanitize_archive_arcname", staticmethod(lambda given: given))
    data = seven_zip(tmp_path / "in/x.7z", {"V/video/V.mp4": b"1", name: b"2"})
    with pytest.raises(DataError, match="leads outside") as caught:
        do(data, tmp_path / "in/out")
    assert caught.value.where == f"x.7z: {name}"
    assert set(tree(tmp_path)) == {"in/x.7z"}


def test_links_are_refused(tmp_path):
    """Even where they would not be unpacked."""
    (tmp_path / "V").mkdir()
    (tmp_path / "V/link.wav").symlink_to("/etc/passwd")
    with py7zr.SevenZipFile(tmp_path / "x.7z", "w") as packed:
        packed.write(tmp_path / "V/link.wav", "V/link.wav")
    with pytest.raises(DataError, match=r"x\.7z: V/link\.wav: is a link, a device"):
        do((tmp_path / "x.7z").read_bytes(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_bomb_is_refused_before_a_byte_is_written(tmp_path):
    """Sixteen megabytes of zeros in a few kilobytes."""
    data = seven_zip(tmp_path / "x.7z", {"V/video/V.mp4": bytes(1 << 24)})
    with pytest.raises(DataError, match=rf"says that its {len(data)} bytes unpack to {1 << 24}"):
        do(data, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["x.7z"]


Usage = namedtuple("Usage", "total used free")


def test_too_little_space(tmp_path, archive, monkeypatch):
    """Told beforehand where it can be, and cleaned up where the disk fills half-way."""
    with monkeypatch.context() as patched:
        patched.setattr(module.shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 1000))
        with pytest.raises(DataError, match=r"x\.7z: needs 0 MiB unpacked, but only 0 MiB are free"):
            do(archive, tmp_path / "out")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(py7zr.SevenZipFile, "extract", full)
        with pytest.raises(DataError, match="no space left"):
            do(archive, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_not_taken(tmp_path, archive):
    """Half a file, and one that is not in the archive."""
    scratch = tmp_path / ".out.unpacking"
    (scratch / "V/video").mkdir(parents=True)
    (scratch / "V/video/V.mp4").write_bytes(b"half")
    (scratch / "V/event_data").mkdir()
    (scratch / "V/event_data/old.txt").write_bytes(b"old")
    do(archive, tmp_path / "out")
    assert tree(tmp_path) == {f"out/{name}": data for name, data in KEPT.items()}
