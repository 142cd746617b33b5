"""Random access to .tar.gz archives, parts of which are given back; against the bytes that went in."""

from __future__ import annotations

import gzip
import os
import random
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from releases import tar_gz

from dynsal import tar_index
from dynsal.errors import DataError
from dynsal.holes import punch_hole
from dynsal.locks import locked
from dynsal.tar_index import drop_index, load_index, open_index

SPACING = 1 << 16
"""Near the smallest that indexed_gzip takes; it lets kilobytes stand for gigabytes."""


@pytest.fixture(autouse=True)
def small_spacing(monkeypatch):
    monkeypatch.setattr(tar_index, "SPACING", SPACING)


def contents(sizes, seed=0, compressible=False):
    """Return names and bytes of so many files; random bytes do not shrink, as video does not."""
    rng = random.Random(seed)
    some = [
        b"0123456789abcdef" * (n // 16 + 1) if compressible and n % 2 else rng.randbytes(n) for n in sizes
    ]
    return {f"a folder/deep/{i}.7z": data[:n] for i, (n, data) in enumerate(zip(sizes, some, strict=True))}


def read(index, name) -> bytes:
    with index.open(name) as stream:
        return stream.read()


def holes_work(folder) -> bool:
    path = folder / "probe"
    path.write_bytes(bytes(8192))
    try:
        return punch_hole(path, 0, 8192) > 0
    except OSError:
        return False


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 200_000), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
    compressible=st.booleans(),
)
def test_every_member_until_it_is_given_back(tmp_path_factory, sizes, order, compressible):
    """Whatever has been given back, the others read as they went in, also after the index is loaded anew."""
    folder = tmp_path_factory.mktemp("tar")
    files = contents(sizes, compressible=compressible)
    archive = tar_gz(folder / "x.tar.gz", files)
    index = open_index(archive)
    assert set(index.members) == set(files)
    names = list(files)
    order.shuffle(names)
    for done, name in enumerate(names):
        for other in names[done:]:
            assert read(index, other) == files[other]
        if holes_work(folder):
            index.give_back(name)
        index = load_index(archive)


def test_seeking_within_a_member(tmp_path):
    files = contents([300_000, 1])
    index = open_index(tar_gz(tmp_path / "x.tar.gz", files))
    name = next(iter(files))
    with index.open(name) as stream:
        for where, count in [(299_990, 100), (0, 10), (150_000, 70_000), (10, 0)]:
            stream.seek(where)
            assert stream.read(count) == files[name][where : where + count]
        assert stream.seek(-5, os.SEEK_END) == 299_995
        assert stream.read() == files[name][-5:]
        assert stream.read() == b""
        stream.seek(10**9)
        assert stream.read(1) == b""
        with pytest.raises(ValueError, match="before the beginning"):
            stream.raw.seek(-1)


def test_given_back_space_is_free_and_asking_again_is_told(tmp_path):
    """Most of the disk's blocks come back, size and time stay; the member cannot be read as zeros."""
    if not holes_work(tmp_path):
        pytest.skip("this file system cannot free parts of a file")
    files = contents([400_000] * 4)
    archive = tar_gz(tmp_path / "x.tar.gz", files)
    os.utime(archive, (1_000_000_000, 1_000_000_000))
    archive.chmod(0o444)
    before = archive.stat()
    index = open_index(archive)
    first, second, *_ = files
    index.give_back(second)
    index.give_back(first)  # what lies between the two goes, too
    after = archive.stat()
    assert (after.st_size, after.st_mtime, after.st_mode) == (before.st_size, before.st_mtime, before.st_mode)
    assert (before.st_blocks - after.st_blocks) * 512 > 800_000 - 3 * SPACING
    with pytest.raises(
        DataError, match=rf"{second}: was unpacked before.*Delete {tmp_path} and run"
    ) as caught:
        read(load_index(archive), second)
    assert str(archive) in caught.value.where


def test_where_parts_cannot_be_freed_the_member_stays(tmp_path, monkeypatch):
    files = contents([100_000] * 3)
    archive = tar_gz(tmp_path / "x.tar.gz", files)
    index = open_index(archive)

    def cannot(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(tar_index, "punch_hole", cannot)
    name = list(files)[1]
    with pytest.raises(OSError, match="not supported"):
        index.give_back(name)
    assert read(load_index(archive), name) == files[name]


def test_the_index_is_made_once_and_again_for_another_archive(tmp_path, monkeypatch):
    archive = tar_gz(tmp_path / "x.tar.gz", contents([1000, 2000]))
    open_index(archive)
    with monkeypatch.context() as patched:
        patched.setattr(tar_index, "_build", None)
        assert set(open_index(archive).members) == set(contents([1000, 2000]))
    tar_gz(archive, contents([1000, 2000, 3000]))
    assert load_index(archive) is None
    assert len(open_index(archive).members) == 3
    drop_index(archive)
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar.gz"]
    drop_index(archive)


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> bytes:
    return tar_gz(tmp_path_factory.mktemp("packed") / "x.tar.gz", contents([200_000] * 4)).read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:500_000],
        lambda data: data[:-1],
        lambda data: data[:-8],
        lambda data: data[:300_000] + bytes([data[300_000] ^ 1]) + data[300_001:],
        lambda data: data[:-8] + bytes([data[-8] ^ 1]) + data[-7:],
        lambda data: gzip.compress(gzip.decompress(data)[:500_000], 1),
        lambda data: gzip.compress(gzip.decompress(data)[: 2 * 512 + 2 * (512 + 200_192)], 1),
        lambda data: gzip.decompress(data),
        lambda data: gzip.compress(b"no tar at all" * 1000),
        lambda data: b"",
        lambda data: b"<html>not found</html>",
    ],
    ids=["cut", "last byte", "no trailer", "one bit", "checksum", "tar cut within a file", "tar cut between files",
         "not compressed", "no tar", "empty", "a page"],
)  # fmt: skip
def test_damaged_archives_are_refused_and_leave_no_index(tmp_path, packed, damage):
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(damage(packed))
    with pytest.raises(DataError, match=r"x\.tar\.gz: is damaged, cut short, or no \.tar\.gz .*Delete"):
        open_index(archive)
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar.gz"]
    archive.write_bytes(packed)
    assert len(open_index(archive).members) == 4


@pytest.mark.parametrize("name", ["/etc/x.7z", "a/../../x.7z", "C:\\x.7z", "..\\x.7z"])
def test_names_that_lead_outside_are_refused(tmp_path, name):
    archive = tar_gz(tmp_path / "x.tar.gz", {name: b"1"})
    with pytest.raises(DataError, match="leads outside") as caught:
        open_index(archive)
    assert caught.value.where == f"{archive}: {name}"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    info = tarfile.TarInfo("a/x.7z")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(DataError, match=r"x\.tar\.gz: a/x\.7z: is a link, a device"):
        open_index(tar_gz(tmp_path / "x.tar.gz", {"a/y.7z": b"1"}, info))


def test_large_archives_get_wider_spacing(tmp_path, monkeypatch):
    """The number of states, each of 32 KiB, does not grow with the archive."""
    monkeypatch.setattr(tar_index, "STATES", 8)
    archive = tar_gz(tmp_path / "x.tar.gz", contents([100_000] * 30))
    index = open_index(archive)
    assert index.states.stat().st_size < 10 * 33_000
    assert read(index, "a folder/deep/29.7z") == contents([100_000] * 30)["a folder/deep/29.7z"]


def test_a_busy_lock_is_told_and_waited_for(tmp_path, caplog):
    """A child holds the lock for a moment; the parent says so and goes on when it is free."""
    caplog.set_level("INFO")
    ready, child = os.pipe()
    pid = os.fork()
    if not pid:
        with locked(tmp_path / "lock", "never"):
            os.write(child, b"1")
            import time

            time.sleep(0.2)
        os._exit(0)
    os.read(ready, 1)
    with locked(tmp_path / "lock", "somebody is at it"):
        assert os.waitpid(pid, 0)[1] == 0
    with locked(tmp_path / "lock", "not told"):
        pass
    assert [record.message for record in caplog.records] == ["somebody is at it"]
