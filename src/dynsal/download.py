"""Fetching original files: folders first, then addresses; verified, never half-finished, never twice.

This module knows the places and their order. :mod:`dynsal.transfer` speaks HTTP, :mod:`dynsal.checksums` knows what a
file must look like. Standard library and tqdm only. pooch, the usual choice, cannot resume and leaves files that a
group cannot read.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from dynsal import checksums, layout, manifests, places
from dynsal.checksums import Digest, Expected
from dynsal.errors import DataError
from dynsal.fileio import atomic, is_disk_full, seal
from dynsal.layout import RegistryRow
from dynsal.locks import locked
from dynsal.transfer import Failed, Transfer

log = logging.getLogger(__name__)

MARGIN = 16 * 2**20
"""Bytes that must stay free besides the file."""
DROP = Path("downloads")
"""Folder in the working directory for files fetched by hand, always looked at first."""
CONNECTIONS = 4
"""Files fetched at once by :func:`fetch_all`."""
OFF = 2
"""Factor by which a file's size may differ from the registry's estimate."""
LARGE = 256 * 2**20
"""Files of a folder that are at least as large are linked to, not copied."""
_BLOCK = 1 << 20


class Unavailable(DataError):
    """No place has the right file; it may be had by hand."""


def mirror_folders(configured: Iterable[str | Path] = ()) -> list[Path]:
    """Return ``downloads`` of the working directory, the configured folders, then those of DYNSAL_MIRROR."""
    named = [str(DROP), *map(str, configured), *os.environ.get("DYNSAL_MIRROR", "").split(os.pathsep)]
    return [Path(name).expanduser() for name in dict.fromkeys(named) if name.strip()]


def fetch(
    row: RegistryRow,
    target: Path,
    mirrors: Iterable[str | Path] = (),
    dataset: str = "",
    progress: bool = True,
    in_place: bool = False,
) -> Path:
    """Bring one registered file to ``target``, read-only, and return its path.

    A file that is already there and right is kept; one that is wrong is removed. ``<folder>/<dataset>/<file>`` is
    tried in each folder of :func:`mirror_folders`, then each address. What an interrupted download has got so far stays
    in hidden files beside the target, and the next run continues it. Of two processes that fetch the same target, the
    second waits and finds the file there.

    Parameters
    ----------
    row
        The registry's line. Where it has no checksum, what comes first is written down and expected ever after
        (:mod:`dynsal.checksums`).
    dataset
        Name of the registry, and of the folder in the mirrors.
    progress
        Whether to show it: a bar on a terminal, a line about every ten seconds elsewhere.
    in_place
        Link to a file in a folder instead of copying it, however small; files of `LARGE` bytes are always linked to.

    Raises
    ------
    Unavailable
        If no place has the right file, naming each with its reason (a wrong checksum with both sums), and how to get
        the file by hand. Nothing is then left at ``target``.
    DataError
        If the disk is too full, with nothing left there either.
    """
    target = Path(target)
    before = _stamp(target)
    if before is not None and _is_right(target, row, dataset):
        return target
    with locked(
        target.with_name(f".{target.name}.fetch"), f"{target}: another process is fetching it; waiting"
    ):
        if _stamp(target) not in (None, before) and _is_right(target, row, dataset):
            return target  # another process was faster
        if target.exists():
            log.warning("%s: not the registered file, fetching it again", target)
        target.unlink(missing_ok=True)
        tried = []
        for place in _places(row, mirrors, dataset):
            if isinstance(place, Path) and not place.is_file():
                tried.append(f"{place} (no such file)")
                continue
            try:
                wanted = Wanted(dataset, row, checksums.expected(dataset, row))
                if isinstance(place, Path):
                    size = _from_folder(place, wanted, target, in_place)
                else:
                    size = _from_address(place, wanted, target, progress)
            except Failed as reason:
                tried.append(f"{place} ({reason})")
                log.warning("%s: %s", place, reason)
                continue
            log.log(logging.INFO if progress else logging.DEBUG, "%s: %d bytes from %s", target, size, place)
            return target
    raise Unavailable(
        target,
        "could not be fetched. Tried: " + "; ".join(tried),
        _by_hand(row, dataset),
    )


def fetch_all(dataset: str, folder: Path, mirrors: Iterable[str | Path] = ()) -> Path:
    """Bring every file of a registry into ``folder``, several at once; return the manifest, which is written last.

    Raises
    ------
    DataError
        As :func:`fetch` does, after the first file that cannot be had.
    """
    rows, mirrors = layout.registry(dataset), list(mirrors)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        jobs = [pool.submit(fetch, row, folder / row.file, mirrors, dataset, progress=False) for row in rows]
        finished = tqdm(as_completed(jobs), dataset, len(jobs), unit="file", leave=False, disable=None)
        try:
            for count, job in enumerate(finished, 1):
                job.result()
                if count % 100 == 0 or count == len(jobs):
                    log.info("%s: %d of %d files", dataset, count, len(jobs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return manifests.write_manifest(folder)


def _places(row: RegistryRow, mirrors: Iterable[str | Path], dataset: str) -> Iterator[Path | str]:
    for folder in mirror_folders(mirrors):
        yield folder / dataset / row.file
    yield from row.urls


def _from_folder(source: Path, wanted: Wanted, target: Path, in_place: bool) -> int:
    """Copy (or link to) a file of a folder; return its size."""
    size = source.stat().st_size
    problem = wanted.expected.wrong_size(size)
    if problem:
        raise Failed(problem)
    try:
        with Digest(wanted.expected.algorithm) as digest:
            if in_place or size >= LARGE:
                _accept(wanted, source, digest)
                _link(source, target)
                return size
            _require_space(target, size)
            with atomic(target) as part:
                _copy(source, part, digest)
                _accept(wanted, part, digest)
    except OSError as error:
        if is_disk_full(error):
            raise _no_space(target, size) from error
        raise Failed(str(error)) from error
    seal(target)
    return size


def _accept(wanted: Wanted, path: Path, digest: Digest) -> None:
    problem = wanted.problem(path, digest.finish(path), "a folder")
    if problem:
        raise Failed(problem)


def _link(source: Path, target: Path) -> None:
    link = target.with_name(f".{target.name}.link")
    link.unlink(missing_ok=True)
    link.symlink_to(source.resolve())
    os.replace(link, target)


def _copy(source: Path, part: Path, digest: Digest) -> None:
    with source.open("rb", buffering=0) as stream, part.open("wb", buffering=0) as copy:
        while block := stream.read(_BLOCK):
            copy.write(block)
            digest.update(block)


def _from_address(place: str, wanted: Wanted, target: Path, progress: bool) -> int:
    """Download from an address; return the size. What was pieced together and is wrong is tried once more."""
    part = target.with_name(f".{target.name}.part")
    got = part.stat().st_size if part.is_file() else 0
    _require_space(target, (wanted.row.expected or 0) - got)
    with Digest(wanted.expected.algorithm) as digest:
        transfer = Transfer(place, part, target.name, wanted.expected, digest, progress)
        for again in (True, False):
            try:
                transfer.run()
            except OSError as error:
                if is_disk_full(error):
                    raise _no_space(target, transfer.size or wanted.row.expected or 0) from error
                raise
            problem = wanted.problem(part, digest.finish(part), place)
            if problem is None:
                break
            transfer.begin_again()
            if not (again and transfer.in_pieces):
                raise Failed(f"{problem}; removed")
            log.warning("%s: %s; beginning again", place, problem)
    seal(part)
    os.replace(part, target)
    transfer.notes.forget()
    return target.stat().st_size


@dataclass(frozen=True)
class Wanted:
    """A registered file, and how to tell that one is it."""

    dataset: str
    row: RegistryRow
    expected: Expected

    def problem(self, path: Path, digest: str, source: str) -> str | None:
        """Return what is wrong with a file, or None; a right one of unknown checksum is written down."""
        size, expected = path.stat().st_size, self.expected
        if expected.digest is None and expected.problem(size, digest) is None:
            with path.open("rb") as stream:
                if places.looks_like_page(stream.read(512)) and not self.row.file.endswith((".html", ".htm")):
                    return "a web page in place of the file"
            about = self.row.about
            if about is not None and not about / OFF <= size <= about * OFF:
                return f"wrong size: expected about {about} bytes, as registered; found {size}"
            expected = checksums.record(self.dataset, self.row, size, digest, source)
        return expected.problem(size, digest)


def _is_right(target: Path, row: RegistryRow, dataset: str) -> bool:
    """Whether the file at the target is the registered one."""
    wanted = Wanted(dataset, row, checksums.expected(dataset, row))
    if not target.is_file() or wanted.expected.bytes not in (None, target.stat().st_size):
        return False
    with Digest(wanted.expected.algorithm) as digest:
        return wanted.problem(target, digest.finish(target), "an earlier run") is None


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what tells that a file has been replaced; None where there is none."""
    if not path.exists():
        return None
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _by_hand(row: RegistryRow, dataset: str) -> str:
    """Return how a person can get the file, where to put it, and what to expect."""
    wanted = checksums.registered(row)  # what merely came first may be what is wrong
    about = "" if row.about is None else f"about {row.about / 1e6:.0f} MB"
    facts = [
        about if wanted.bytes is None else f"{wanted.bytes} bytes",
        "" if wanted.digest is None else f"{wanted.algorithm} {wanted.digest}",
    ]
    described = ", ".join(fact for fact in facts if fact) or "size and checksum unknown"
    retry = "Try again with a network, or get it" if row.urls else "Get it"
    page = f" from {' or '.join(row.page.split())}" if row.page else ""
    licence = f"; licence: {row.licence}" if row.licence else ""
    return (
        f"{retry} by hand{page} ({described}{licence}): put the file at {DROP.absolute() / dataset / row.file}, or as "
        f"{dataset}/{row.file} into a folder named in DYNSAL_MIRROR or the key mirrors; then run the same command again"
    )


def _require_space(target: Path, needed: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(target.parent).free < needed + MARGIN:
        raise _no_space(target, needed)


def _no_space(target: Path, needed: int) -> DataError:
    free = shutil.disk_usage(target.parent).free
    return DataError(
        target,
        f"no space left: {needed / 2**20:.0f} MiB needed, {free / 2**20:.0f} MiB free",
        "Free some space or move results/ to a larger disk, then run the same command again",
    )
