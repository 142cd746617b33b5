"""Getting DIEM's videos: from a mirror folder, unpacked or as .7z, or from the one .tar.gz that holds all .7z archives.

The release is never unpacked as a whole. The .tar.gz stays as it came; an index (`dynsal.tar_index`) lets every
video's job open its own .7z inside it and unpack just that. The parts of a downloaded archive that held videos which
have landed are given back to the file system, so that the disk holds one copy of everything, not two.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import re
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath
from typing import IO

from dynsal import layout, manifests
from dynsal.download import DROP, Unavailable, mirror_folders
from dynsal.errors import DataError
from dynsal.fileio import atomic, seal, sha256
from dynsal.locks import locked
from dynsal.release_index import fetch_index
from dynsal.seven_zip import unpack
from dynsal.tar_index import TarIndex, drop_index, load_index

log = logging.getLogger(__name__)

ARCHIVE = "diem.tar.gz"
"""The release in the registry."""
_REMEDY = "Delete this archive and run the same command again, or get a whole copy of it"


def fetch_diem_video(video: str, root: Path, mirrors: Iterable[str | Path] = ()) -> Path:
    """Bring one video and its event files to ``<root>/<VIDEO>``; return the manifest, which is written last.

    Looked for in this order: ``<mirror>/diem/<VIDEO>/`` with ``video/<VIDEO>.mp4`` and ``event_data/*.txt``;
    ``<mirror>/diem/<VIDEO>.7z``; the release ``diem.tar.gz``, from a mirror folder or its addresses. The
    release lies in ``<root>/../archive``, where concurrent jobs share it.

    Raises
    ------
    DataError
        If no place has the video whole, saying what is wrong with each; or an archive is damaged or hostile; or
        the disk is full. No manifest is left then, so that nothing half-done is ever read.
    """
    target = Path(root) / video
    mirrors = list(mirrors)
    tried = []
    for folder in mirror_folders(mirrors):
        unpacked = folder / "diem" / video
        lacking = _lacking(unpacked, video)
        if lacking is None:
            log.info("%s: copied from %s", video, unpacked)
            return _copy(unpacked, target)
        tried.append(lacking)
        packed = folder / "diem" / f"{video}.7z"
        if packed.is_file():
            with packed.open("rb") as stream:
                return _unpack(stream, packed.stat().st_size, str(packed), target)
        tried.append(f"{packed} (no such file)")
    return _from_release(target, mirrors, tried)


def _release(archive: Path, video: str, mirrors: Iterable[str | Path], tried: Iterable[str]) -> TarIndex:
    """Return the index of the release, which one of several processes fetches and makes, for a job that unpacks a video."""
    with _lock(archive):
        index = load_index(archive)
        if index is None:
            drop_index(archive)
            try:
                index = fetch_index(ARCHIVE, archive, mirrors)
            except Unavailable as error:
                before = "".join(f"; {place}" for place in tried)
                single = (
                    f". In place of {ARCHIVE}, the single archives <VIDEO>.7z will do (the store on Mediafire probably "
                    f"has these), such as {DROP.absolute() / 'diem' / video}.7z"
                )
                raise DataError(error.where, error.problem + before, error.remedy + single) from error
            _compare(index)
        member = archives(index).get(video)
        if member in index.unpacked:
            index.unpacked.remove(member)  # nobody may give it back now
            index.save()
    return index


def _lock(archive: Path) -> contextlib.AbstractContextManager[None]:
    return locked(
        archive.with_name(f".{ARCHIVE}.lock"), f"{archive}: another job is fetching or indexing it; waiting"
    )


def archives(index: TarIndex) -> dict[str, str]:
    """Return video -> member of the release, which may lie at any depth."""
    names = (PurePosixPath(name) for name in index.members)
    return {name.stem: str(name) for name in names if name.suffix == ".7z" and not name.name.startswith(".")}


def _compare(index: TarIndex) -> None:
    """Say which of the 84 videos the release lacks, and what it has besides."""
    found, known = set(archives(index)), set(layout.diem_frames())
    log.info("%s: %d of DIEM's %d videos", index.archive, len(found & known), len(known))
    for told, names in (("lacks", known - found), ("also holds", found - known)):
        if names:
            log.warning("%s: %s %s", index.archive, told, ", ".join(sorted(names)))


def _from_release(target: Path, mirrors: list[str | Path], tried: list[str]) -> Path:
    video = target.name
    index = _release(target.parent.parent / "archive" / ARCHIVE, video, mirrors, tried)
    members = archives(index)
    if video not in members:
        raise DataError(
            index.archive,
            f"holds no {video}.7z (but {len(members)} others: {', '.join(sorted(members)[:3])}, ...)",
            f"Put {video}.7z, or the folder it unpacks to, into the folder diem of a mirror folder",
        )
    member = members[video]
    with index.open(member) as stream:
        manifest = _unpack(stream, index.members[member].size, f"{index.archive}: {member}", target)
    _give_back(index.archive, member)
    left = [name for name in members if not (target.parent / name / "manifest.json").is_file()]
    if left:
        log.info("%s: %d of its %d videos are still packed", index.archive, len(left), len(members))
    else:
        log.info("%s: all its videos are unpacked; %s may be deleted", index.archive, index.archive.parent)
    return manifest


def _give_back(archive: Path, member: str) -> None:
    """Note that a member is unpacked, and free the parts of a downloaded archive that held those before it.

    Not its own part: if this job is killed before Snakemake knows that it ended well, it will ask for the video again. An
    archive that is linked from a mirror folder is not ours to change.
    """
    if archive.is_symlink():
        return
    with _lock(archive):
        index = load_index(archive)
        if index is None:
            return
        try:
            for other in sorted(index.unpacked - index.given_back):
                log.info("%s: %.0f MiB given back", archive, index.give_back(other) / 2**20)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EACCES):
                raise
            log.info("%s: stays whole, for parts cannot be freed here (%s)", archive, error.strerror)
        index.unpacked.add(member)
        index.save()


def _unpack(stream: IO[bytes], packed: int, where: str, folder: Path) -> Path:
    """Unpack a video's .7z; what is no picture and no gaze stays packed, and is reported."""
    video = folder.name
    manifest = folder / "manifest.json"
    manifest.unlink(missing_ok=True)
    wanted = re.compile(
        rf"(?:{re.escape(video)}/)?(video/{re.escape(video)}\.mp4|event_data/[^/.][^/]*\.txt)"
    )

    def choose(name: str) -> str | None:
        match = wanted.fullmatch(name)
        return match[1] if match else None

    files, left_out = unpack(stream, packed, where, choose, folder, _REMEDY)
    if f"video/{video}.mp4" not in files or len(files) == 1:
        raise DataError(
            where,
            f"holds {len(files)} of the files video/{video}.mp4 and event_data/*.txt",
            f"Get another copy of {video}.7z",
        )
    _remove_others(folder, files)
    sound = {name: size for name, size in left_out.items() if name.endswith(".wav")}
    log.info(
        "%s: video and %d recordings unpacked; left out: %.1f MiB of sound, %d other files",
        where,
        len(files) - 1,
        sum(sound.values()) / 2**20,
        len(left_out) - len(sound),
    )
    return manifests.write_manifest(folder)


def _copy(source: Path, folder: Path) -> Path:
    """Copy an unpacked video and its recordings."""
    manifest = folder / "manifest.json"
    manifest.unlink(missing_ok=True)
    found = [*source.glob(f"video/{folder.name}.mp4"), *sorted(source.glob("event_data/*.txt"))]
    names = {str(path.relative_to(source)): path for path in found}
    _remove_others(folder, names)
    for name, path in names.items():
        target = folder / name
        if target.is_file() and manifests.facts(target) == manifests.facts(path):
            continue
        with atomic(target) as part:
            shutil.copyfile(path, part)
            if sha256(part) != sha256(path):
                raise DataError(
                    path, "was not copied faithfully", "Check the disk, then run the same command again"
                )
        seal(target)
    return manifests.write_manifest(folder)


def _remove_others(folder: Path, names: Collection[str]) -> None:
    """Remove what an earlier copy left: a recording that the source no longer has must not be read."""
    for name, path in manifests.files(folder).items():
        if name not in names and name.startswith(("video/", "event_data/")):
            path.unlink()


def _lacking(source: Path, video: str) -> str | None:
    """Return what a mirror's folder of the video lacks, None if nothing."""
    mp4 = source / "video" / f"{video}.mp4"
    if not source.is_dir():
        return f"{source} (no such folder)"
    if not mp4.is_file():
        return f"{mp4} (no such file)"
    if not any(source.glob("event_data/*.txt")):
        return f"{source / 'event_data'} (no event files)"
    return None
