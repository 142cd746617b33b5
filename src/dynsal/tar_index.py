"""Random access to the members of a .tar.gz, without unpacking it.

indexed_gzip remembers the state of the decompressor every few megabytes, so that a member in the middle costs a
few megabytes of decompression more than its own bytes. The index is built once, in one pass that also checks the
archive's CRC and in a second one that hops from header to header, and lies beside the archive as two files:
``<archive>.gzidx`` (states) and ``<archive>.members.json`` (names, offsets, sizes; written last).
"""

from __future__ import annotations

import io
import json
import logging
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from indexed_gzip import IndexedGzipFile

from dynsal.errors import DataError
from dynsal.fileio import atomic, is_disk_full, write_text
from dynsal.holes import punch_hole

log = logging.getLogger(__name__)

SPACING = 4 << 20
"""Bytes between states, decompressed; indexed_gzip's default."""
STATES = 4096
"""Larger archives get wider spacing, so that this many states (32 KiB each) are the most, where little compresses."""
_BUFFER = SPACING
"""Bytes read at once: indexed_gzip begins every read at the last state before it."""
_DAMAGE = (OSError, EOFError, tarfile.TarError, zlib.error)
"""What indexed_gzip and tarfile raise on damaged archives; ZranError is an OSError."""


class Damaged(DataError):
    """The archive does not hold what it should: it is damaged, cut short, or no .tar.gz."""


class Member(NamedTuple):
    """Where a file of the archive lies in the decompressed stream."""

    offset: int
    size: int


@dataclass
class TarIndex:
    """The regular files of one .tar.gz, by name; see :func:`open_index`."""

    archive: Path
    members: dict[str, Member]
    given_back: set[str] = field(default_factory=set)
    """Members whose bytes are no longer in the archive."""
    unpacked: set[str] = field(default_factory=set)
    """Members that have been unpacked, as their users noted, and could be given back."""

    @property
    def states(self) -> Path:
        """The file of indexed_gzip."""
        return beside(self.archive, "gzidx")

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a member as a seekable file.

        Raises
        ------
        DataError
            If the member's part of the archive was given back to the file system.
        """
        if name in self.given_back:
            raise DataError(
                f"{self.archive}: {name}",
                "was unpacked before, and its part of the archive given back to the file system",
                f"Delete {self.archive.parent} and run the same command again: the archive is fetched once more",
            )
        with open_archive(self.archive, self.states) as stream:
            yield io.BufferedReader(Window(stream, self.members[name]), _BUFFER)

    def give_back(self, name: str) -> int:
        """Free the part of the archive that only this member (and others given back before) occupied.

        Returns the size of the hole. The record comes first: a process killed in between leaves a member that
        counts as gone although it is there, never the reverse. Callers hold the archive's lock.

        Raises
        ------
        OSError
            If the file system cannot free parts of a file; the member counts as still there.
        """
        before = set(self.given_back)
        self.given_back.add(name)
        try:
            self.save()
            return punch_hole(self.archive, *self._hole(name))
        except OSError:
            self.given_back = before
            self.save()
            raise

    def _hole(self, name: str) -> tuple[int, int]:
        """Return the compressed offsets between the last byte that a member before needs and the first of one after."""
        place = self.members[name].offset
        kept = [member for other, member in self.members.items() if other not in self.given_back]
        first = max((member.offset + member.size for member in kept if member.offset < place), default=0)
        last = min((member.offset for member in kept if member.offset > place), default=None)
        with open_archive(self.archive, self.states) as stream:
            points = list(stream.raw.seek_points())
        # A member is read from the last state before it. States begin within a byte: one byte more on both sides.
        starts = [packed + 1 for unpacked, packed in points if unpacked >= first]
        ends = [packed - 1 for unpacked, packed in points if last is None or unpacked <= last]
        return (starts[0], ends[-1]) if starts and ends else (0, 0)

    def save(self) -> None:
        """Write the list of members; its presence says that the index is complete."""
        listed = {
            "archive_bytes": self.archive.stat().st_size,
            "given_back": sorted(self.given_back),
            "members": self.members,
            "unpacked": sorted(self.unpacked),
        }
        write_text(beside(self.archive, "members.json"), json.dumps(listed))


def open_index(archive: Path) -> TarIndex:
    """Return the index of an archive, building it where there is none yet. Callers hold the archive's lock.

    Raises
    ------
    Damaged
        If the archive is damaged or cut short, or is no .tar.gz.
    DataError
        If it cannot be read, or holds a file with an unsafe name.
    """
    return load_index(archive) or _build(archive)


def load_index(archive: Path) -> TarIndex | None:
    """Return the index if there is a complete one for the archive as it is."""
    try:
        listed = json.loads(beside(archive, "members.json").read_text(encoding="utf-8"))
        if archive.stat().st_size != listed["archive_bytes"] or not beside(archive, "gzidx").is_file():
            return None
        members = {name: Member(*place) for name, place in listed["members"].items()}
        return TarIndex(archive, members, set(listed["given_back"]), set(listed["unpacked"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def drop_index(archive: Path) -> None:
    """Remove the index of an archive that is to be fetched (again)."""
    for suffix in ("members.json", "gzidx"):
        beside(archive, suffix).unlink(missing_ok=True)


def beside(archive: Path, suffix: str) -> Path:
    """Return the path of a file of the index."""
    return archive.with_name(f"{archive.name}.{suffix}")


@contextmanager
def open_archive(
    archive: Path, states: Path | None = None, spacing: int = SPACING
) -> Iterator[IndexedGzipFile]:
    """Open a .gz for random access; with ``states``, those of a finished index."""
    # Once the index is there, the CRC of the whole has been checked, and parts of the file may be gone.
    options = {"index_file": str(states), "skip_crc_check": True} if states else {"spacing": spacing}
    with IndexedGzipFile(filename=str(archive), drop_handles=False, **options) as stream:
        yield stream


class Window(io.RawIOBase):
    """A part of a decompressed stream as a file of its own.

    It reads through the stream's raw layer, which decompresses no further than asked: a buffer would read on into
    what has been given back.
    """

    def __init__(self, stream: IndexedGzipFile, part: Member) -> None:
        self._raw = stream.raw
        self._part = part
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, and return the new position."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._part.size}[whence]
        if start + offset < 0:
            raise ValueError(f"position {start + offset} lies before the beginning")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # io gives a memoryview
        """Fill the buffer as far as the part goes; return the number of bytes."""
        wanted = max(0, min(len(buffer), self._part.size - self._position))
        if not wanted:
            return 0
        place = self._part.offset + self._position
        if self._raw.tell() != place:
            self._raw.seek(place)
        got = int(self._raw.readinto(memoryview(buffer)[:wanted]))
        if not got:
            raise EOFError(f"the archive ends at {place}")
        self._position += got
        return got


def _build(archive: Path) -> TarIndex:
    drop_index(archive)
    log.info("%s: making its index, once", archive)
    remedy = f"Delete {archive} and run the same command again, or get a whole copy of it"
    spacing = max(SPACING, archive.stat().st_size // STATES)
    try:
        with open_archive(archive, spacing=spacing) as stream:
            stream.raw.build_full_index()
            members = dict(_scan(archive, stream))
            with atomic(beside(archive, "gzidx")) as part:
                stream.raw.export_index(filename=str(part))
    except _DAMAGE as error:
        if is_disk_full(error):
            raise
        if isinstance(error, OSError) and error.errno is not None:  # the disk's fault, not the archive's
            raise DataError(archive, f"cannot be read ({error.strerror})", "Check the disk") from error
        raise Damaged(archive, f"is damaged, cut short, or no .tar.gz ({error})", remedy) from error
    index = TarIndex(archive, members)
    index.save()
    log.info("%s: %d files", archive, len(members))
    return index


def _scan(archive: Path, stream: IndexedGzipFile) -> Iterator[tuple[str, Member]]:
    """Yield the regular files; the end mark must be there, for an archive cut between two members looks whole."""
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        while (info := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # hundreds of thousands would fill the memory
            if info.isdir():
                continue
            if not info.isreg() or info.issparse() or not is_plain(info.name):
                raise DataError(
                    f"{archive}: {info.name}",
                    "is a link, a device or a name that leads outside",
                    "Do not use this archive: data sets hold plain files only",
                )
            yield info.name, Member(info.offset_data, info.size)
        stream.seek(tar.offset)
        if stream.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise tarfile.ReadError("the end mark is missing")
    while stream.read(_BUFFER):
        pass


def is_plain(name: str) -> bool:
    """Whether a name in an archive is a relative path that stays below its folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    return not path.is_absolute() and ".." not in path.parts and ":" not in name[:2] and bool(path.parts)
