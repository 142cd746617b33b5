"""What a file must look like: checksums of the registry, and those that the first download wrote down.

Most data sets have no published checksums. The size and SHA-256 of what came first go into
``resources/datasets/downloads.lock.csv``, and every later download must agree with it. The file is meant to be
committed, so that all copies of a project use the same data.
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import errno
import hashlib
import io
import logging
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from dynsal.errors import DataError
from dynsal.fileio import write_text
from dynsal.layout import RegistryRow, repo_root, table_rows
from dynsal.locks import locked

log = logging.getLogger(__name__)

COLUMNS = ("dataset", "file", "bytes", "sha256", "source", "date")
_BLOCK = 1 << 20
_AHEAD = 32
"""Blocks that may wait to be hashed."""


@dataclass(frozen=True)
class Expected:
    """How to tell that a file is the right one."""

    bytes: int | None
    """Exact size, where it is known."""
    algorithm: str
    digest: str | None
    """None until the first download has written it down."""
    origin: str
    """Who says so, for messages."""

    def wrong_size(self, size: int) -> str | None:
        """Return what is wrong with a file of this size, or None."""
        if self.bytes in (None, size):
            return None
        return f"wrong size: expected {self.bytes} bytes, {self.origin}; found {size}"

    def problem(self, size: int, digest: str) -> str | None:
        """Return what is wrong with a file of this size and digest, or None."""
        if self.digest is not None and digest != self.digest:
            said = "" if self.bytes is None else f" ({self.bytes} bytes)"
            return (
                f"wrong checksum: expected {self.algorithm} {self.digest}{said}, {self.origin}; "
                f"found {digest} ({size} bytes)"
            )
        return self.wrong_size(size)


def registered(row: RegistryRow) -> Expected:
    """Return what the registry says about a file."""
    for algorithm, digest in (("sha256", row.sha256), ("md5", row.md5)):
        if digest is not None:
            return Expected(row.bytes, algorithm, digest, "as registered")
    return Expected(row.bytes, "sha256", None, "as registered")


def expected(dataset: str, row: RegistryRow) -> Expected:
    """Return what the registry says about a file, or else what its first download did.

    Raises
    ------
    DataError
        If the lock file cannot be read.
    """
    known = registered(row)
    for path in lock_files() if known.digest is None else []:
        found = _read(path).get((dataset, row.file))
        if found is not None:
            return _recorded(path, found)
    return known


def record(dataset: str, row: RegistryRow, size: int, digest: str, source: str) -> Expected:
    """Write down the first download of a file; return what stands in the lock file then.

    Where the checkout cannot be written, the working directory's ``downloads.lock.csv`` serves instead.

    Raises
    ------
    DataError
        If neither can be written.
    """
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    new = dict(zip(COLUMNS, (dataset, row.file, str(size), digest, source, today), strict=True))
    *_, last = lock_files()
    for path in lock_files():
        try:
            with _lock(path):
                rows = _read(path)
                standing = rows.setdefault((dataset, row.file), new)
                if standing is new:
                    _write(path, rows)
                    log.info("%s/%s: sha256 %s written down in %s", dataset, row.file, digest, path)
                return _recorded(path, standing)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            if path == last:
                raise DataError(
                    path,
                    f"cannot be written ({error.strerror})",
                    "It remembers checksums: make it writable, then run the same command again",
                ) from error
            log.warning("%s cannot be written (%s); using %s", path, error.strerror, last.absolute())
    raise AssertionError("the last lock file neither served nor failed")


def forget(dataset: str, file: str) -> Path | None:
    """Take back what the first download of a file wrote down, for the file has proved damaged.

    Returns the lock file that said so, None if none did.

    Raises
    ------
    DataError
        If the lock file cannot be read, or not be written, naming the line to delete.
    """
    for path in lock_files():
        try:
            if (dataset, file) not in _read(path):
                continue
            with _lock(path):
                rows = _read(path)
                rows.pop((dataset, file), None)
                _write(path, rows)
        except OSError as error:
            raise DataError(
                path,
                f"cannot be written ({error.strerror}), and has the checksum of a damaged {dataset}/{file}",
                f"Delete its line {dataset},{file},... and the file, then run the same command again",
            ) from error
        log.warning("%s/%s proved damaged: its line in %s is deleted", dataset, file, path)
        return path
    return None


def lock_files() -> list[Path]:
    """Return where checksums are written down: in the checkout, or else in the working directory."""
    name = "downloads.lock.csv"
    return [repo_root() / "resources" / "datasets" / name, Path(name)]


def _lock(path: Path) -> contextlib.AbstractContextManager[None]:
    return locked(path.with_name(f".{path.name}.lock"), f"{path}: another process writes to it; waiting")


def _recorded(path: Path, row: dict[str, str]) -> Expected:
    line = f"{row['dataset']},{row['file']},..."
    origin = (
        f"as first downloaded on {row['date']} from {row['source']} (if the file has rightly changed since, delete the "
        f"line {line} in {path})"
    )
    return Expected(int(row["bytes"]), "sha256", row["sha256"], origin)


def _read(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    if not path.is_file():
        return {}
    found = {}
    for where, row in table_rows(path, COLUMNS):
        if not row["bytes"].isdecimal():
            raise DataError(where, f"bytes {row['bytes']!r}", "It must be a whole number; or delete the line")
        found[row["dataset"], row["file"]] = row
    return found


def _write(path: Path, rows: dict[tuple[str, str], dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for _, row in sorted(rows.items()))
    write_text(path, text.getvalue())


class Digest:
    """A checksum that grows with its file, in a thread of its own, so that the next block can come meanwhile."""

    def __init__(self, algorithm: str) -> None:
        self._algorithm = algorithm
        self._thread = ThreadPoolExecutor(1)
        self._waiting: deque[Future[None]] = deque()
        self.restart()

    def __enter__(self) -> Digest:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)

    def restart(self) -> None:
        """Forget what was hashed so far."""
        while self._waiting:
            self._waiting.popleft().result()
        self._state = hashlib.new(self._algorithm, usedforsecurity=False)
        self.position = 0
        """Bytes from the start of the file that have been taken in."""

    def update(self, block: bytes) -> None:
        """Take in the next bytes of the file."""
        self._waiting.append(self._thread.submit(self._state.update, block))
        self.position += len(block)
        if len(self._waiting) > _AHEAD:
            self._waiting.popleft().result()

    def finish(self, path: Path) -> str:
        """Take in what is left of a file, and return the hexadecimal digest of the whole."""
        with path.open("rb", buffering=0) as stream:
            stream.seek(self.position)
            while block := stream.read(_BLOCK):
                self.update(block)
        while self._waiting:
            self._waiting.popleft().result()
        return self._state.hexdigest()
