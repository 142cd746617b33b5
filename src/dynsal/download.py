"""Fetching original files: mirror folders first, then addresses; resumable, verified, never half-finished.

Standard library and tqdm only. pooch, the usual choice, cannot resume and leaves files that a group cannot read.
"""

from __future__ import annotations

import http.client
import logging
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from dynsal.errors import DataError
from dynsal.fileio import is_disk_full, sha256
from dynsal.layout import RegistryRow

log = logging.getLogger(__name__)

TIMEOUT = 30.0
"""Seconds without a byte before a connection counts as dead."""
ATTEMPTS = 4
"""Tries per address without a single new byte in between; any progress starts the count again."""
BACKOFF = 1.0
"""Seconds before the second try; doubled for each further one."""
MARGIN = 16 * 2**20
"""Bytes that must stay free besides the file."""
_BLOCK = 1 << 18
_LATER = (408, 425, 429, 500, 502, 503, 504)
"""HTTP status codes worth another try."""

DIEM_PAGE = "https://thediemproject.wordpress.com/videos-and%C2%A0data/"


class _Failed(Exception):
    """A place could not give the file; the text says why."""


def mirror_folders(configured: Iterable[str | Path] = ()) -> list[Path]:
    """Return the configured mirror folders, then those of DYNSAL_MIRROR (separated by colons)."""
    named = [*map(str, configured), *os.environ.get("DYNSAL_MIRROR", "").split(os.pathsep)]
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

    A file that is already there and right is kept; one that is wrong is removed. ``<mirror>/<dataset>/<file>`` is
    tried in each mirror folder (those of DYNSAL_MIRROR included), then each address. What an interrupted download
    has got so far stays in a hidden ``.part`` file beside the target, and the next run continues it.

    Raises
    ------
    DataError
        If no place has the right file, naming each with its reason (a wrong checksum with both sums); or if the
        disk is too full. Nothing is then left at ``target``.
    """
    target = Path(target)
    if target.is_file():
        if target.stat().st_size == row.bytes and sha256(target) == row.sha256:
            return target
        log.warning("%s: not the registered file, fetching it again", target)
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    tried: list[str] = []
    places: list[Path | str] = [
        *(folder / dataset / row.file for folder in mirror_folders(mirrors)),
        *row.urls,
    ]
    try:
        for place in places:
            try:
                if isinstance(place, Path) and in_place and place.is_file():
                    target.symlink_to(place.resolve())
                    return target
                if isinstance(place, Path):
                    _copy(place, part, row, target)
                else:
                    _download(place, part, row, target, progress)
            except _Failed as reason:
                tried.append(f"{place} ({reason})")
                log.warning("%s: %s", place, reason)
                continue
            _seal(part)
            os.replace(part, target)
            log.info("%s: %d bytes from %s, sha256 as registered", target, row.bytes, place)
            return target
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise _no_space(target, row.bytes) from error
    raise DataError(
        target,
        "could not be fetched. Tried: "
        + ("; ".join(tried) or "nothing, for there is no mirror folder and no address"),
        f"Put the file as {dataset}/{row.file} ({row.bytes} bytes, sha256 {row.sha256}) into a folder and name the "
        "folder in DYNSAL_MIRROR or the key mirrors, or try again with a network",
    )


def _copy(source: Path, part: Path, row: RegistryRow, target: Path) -> None:
    if not source.is_file():
        raise _Failed("no such file")
    _require_space(target, row.bytes)
    copy = part.with_name(f"{part.name}.{os.getpid()}")
    try:
        shutil.copyfile(source, copy)
        _check(copy, row)
        os.replace(copy, part)
    except OSError as error:
        if is_disk_full(error):
            raise
        raise _Failed(str(error)) from error
    finally:
        copy.unlink(missing_ok=True)


def _download(url: str, part: Path, row: RegistryRow, target: Path, progress: bool) -> None:
    """Bring the whole file into ``part``; one that was pieced together and is wrong is tried once more in one go."""
    _require_space(target, row.bytes - (part.stat().st_size if part.is_file() else 0))
    if _complete(url, part, row, progress):
        try:
            return _check(part, row)
        except _Failed as reason:
            log.warning("%s: %s; beginning again", url, reason)
            _complete(url, part, row, progress)
    return _check(part, row)


def _complete(url: str, part: Path, row: RegistryRow, progress: bool) -> bool:
    """Transfer until all bytes are there; return whether any were there before."""
    if part.is_file() and part.stat().st_size > row.bytes:
        part.unlink()
    best = got = part.stat().st_size if part.is_file() else 0
    in_pieces = got > 0
    failures = 0
    while got < row.bytes:
        reason = "the connection ended early"
        try:
            in_pieces |= got > 0
            _transfer(url, part, got, row, progress)
        except urllib.error.HTTPError as error:
            if error.code == 416 and got:  # the server has less than we do: what we have is of another file
                part.unlink()
            elif error.code not in _LATER:
                raise _Failed(f"HTTP {error.code} {error.reason}") from error
            reason = f"HTTP {error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            if is_disk_full(error):
                raise
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        got = part.stat().st_size if part.is_file() else 0
        if got >= row.bytes:
            break
        failures = 1 if got > best else failures + 1
        best = max(best, got)
        if failures >= ATTEMPTS:
            raise _Failed(f"{reason}; {got} of {row.bytes} bytes so far")
        time.sleep(BACKOFF * 2 ** (failures - 1))
    return in_pieces


def _transfer(url: str, part: Path, start: int, row: RegistryRow, progress: bool) -> None:
    """Append what the server sends from byte ``start`` on; begin again if it cannot send parts."""
    headers = {"User-Agent": "dynsal", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as response:
        sent = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        if response.status != 206 or sent is None or int(sent[1]) != start:
            start = 0
        with (
            part.open("ab" if start else "wb") as stream,
            tqdm(
                total=row.bytes, initial=start, unit="B", unit_scale=True, desc=Path(row.file).name, leave=False,
                disable=None if progress else True,
            ) as bar,
        ):  # fmt: skip
            while block := response.read(_BLOCK):
                stream.write(block)
                bar.update(len(block))
                if stream.tell() > row.bytes:
                    break  # longer than registered: the checksum will tell


def _check(path: Path, row: RegistryRow) -> None:
    """Remove the file and fail if it is not the registered one."""
    found = sha256(path)
    if found != row.sha256:
        size = path.stat().st_size
        path.unlink()
        raise _Failed(
            f"wrong checksum: expected sha256 {row.sha256} ({row.bytes} bytes), found {found} ({size} bytes); removed"
        )


def _seal(path: Path) -> None:
    """Flush to disk, and make read-only for whom the umask lets read."""
    umask = os.umask(0)
    os.umask(umask)
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
    path.chmod(0o444 & ~umask)


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
