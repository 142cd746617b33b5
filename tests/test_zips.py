"""Members of zip archives: found by the last parts of their paths, and refused when they are not what they claim."""

from __future__ import annotations

import errno
import struct
import zipfile

import pytest

from dynsal.errors import DataError
from dynsal.zips import Zip


@pytest.fixture
def archive(tmp_path):
    """Return a function that writes an archive of the given members."""

    def write(members: dict[str, bytes], method=zipfile.ZIP_DEFLATED):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w", method) as made:
            for name, data in members.items():
                made.writestr(name, data)
        return path

    return write


def test_members_by_the_last_parts(archive):
    """Whatever folders stand around; sorted; no hidden files; a folder is the direct one only."""
    path = archive(
        {
            "x/images/train/b.jpg": b"b",
            "train/a.JPG": b"a",
            "images/val/c.jpg": b"c",
            "images/train/deeper/d.jpg": b"d",
            "images/train/e.png": b"e",
            "images/train/._b.jpg": b"junk",
            "__MACOSX/images/train/b.jpg": b"junk",
            "images/train/": b"",
        }
    )
    found = Zip(path)
    assert list(found.members("train", ".jpg")) == ["a.JPG", "b.jpg"]
    assert list(found.members(None, ".jpg")) == ["a.JPG", "b.jpg", "c.jpg", "d.jpg"]
    assert found.read(found.members("train", ".jpg")["b.jpg"], 1) == b"b"
    found.close()


def test_one_name_twice(archive):
    path = archive({"x/train/a.jpg": b"1", "y/train/a.jpg": b"2"})
    with pytest.raises(
        DataError, match=r"a\.zip: has two files for one name: x/train/a\.jpg and y/train/a\.jpg"
    ):
        Zip(path).members("train", ".jpg")


def test_absurd_sizes(archive):
    """A member that claims more than is sensible is not unpacked; one that hides its size is cut where it lied."""
    path = archive({"train/a.jpg": bytes(10_000)})
    found = Zip(path)
    member = found.members("train", ".jpg")["a.jpg"]
    with pytest.raises(
        DataError, match=r"a\.zip:train/a\.jpg: claims to unpack to 10000 bytes, more than 9999"
    ):
        found.read(member, 9_999)
    assert found.read(member, 10_000) == bytes(10_000)
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 10_000), struct.pack("<I", 5)))
    liar = Zip(path)
    with pytest.raises(DataError, match="cannot be unpacked"):
        liar.read(liar.members("train", ".jpg")["a.jpg"], 100)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damage(archive, method):
    """One flipped byte is noticed by the checksum or by the decompressor; archive and member are named."""
    path = archive({"train/a.jpg": b"some bytes of a picture" * 9}, method)
    data = bytearray(path.read_bytes())
    data[45] ^= 0xFF  # inside the member: its header has 30 bytes and its name 11
    path.write_bytes(data)
    damaged = Zip(path)
    with pytest.raises(DataError, match=r"a\.zip:train/a\.jpg: cannot be unpacked .*fetch it again"):
        damaged.read(damaged.members("train", ".jpg")["a.jpg"], 1000)


def test_the_callers_errors_stay_its_own(archive):
    """A full disk while writing what was read is no damage of the archive."""
    found = Zip(archive({"train/a.jpg": b"abc"}))
    full = OSError(errno.ENOSPC, "No space left on device")
    with (
        pytest.raises(OSError, match="No space left") as caught,
        found.open(found.members("train", ".jpg")["a.jpg"], 9),
    ):
        raise full
    assert caught.value is full


def test_encrypted_or_of_an_unknown_method(archive):
    for offset, value in ((8, 1), (10, 77)):  # in the central directory: flags and compression method
        path = archive({"train/a.jpg": b"abc"})
        data = bytearray(path.read_bytes())
        data[data.index(b"PK\x01\x02") + offset] = value
        path.write_bytes(data)
        locked = Zip(path)
        with pytest.raises(DataError, match="cannot be unpacked"):
            locked.read(locked.members("train", ".jpg")["a.jpg"], 1000)


def test_no_archive(tmp_path):
    with pytest.raises(DataError, match=r"none\.zip: there is no such archive"):
        Zip(tmp_path / "none.zip")
    for data in (b"", b"<html>quota exceeded</html>"):
        (tmp_path / "page.zip").write_bytes(data)
        with pytest.raises(DataError, match=r"page\.zip: is no zip archive"):
            Zip(tmp_path / "page.zip")
    with zipfile.ZipFile(tmp_path / "cut.zip", "w") as made:
        made.writestr("a", bytes(5000))
    (tmp_path / "cut.zip").write_bytes((tmp_path / "cut.zip").read_bytes()[:2500])
    with pytest.raises(DataError, match="cut short"):
        Zip(tmp_path / "cut.zip")
