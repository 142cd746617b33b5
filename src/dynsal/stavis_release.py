"""DIEM as preprocessed for STAViS: two .tar.gz of a quarter of a million small files each, which stay packed.

One job fetches both and indexes them; what a video's jobs need, ``<root>/stavis/<VIDEO>.json``, says where in the archives
its frames and fixation maps lie. How deep they lie is not documented, so the last parts of the paths decide.
"""

from __future__ import annotations

import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from dynsal import layout
from dynsal.errors import DataError
from dynsal.fileio import write_text
from dynsal.locks import locked
from dynsal.release_index import fetch_index
from dynsal.tar_index import Member, TarIndex, load_index

log = logging.getLogger(__name__)

FRAMES, ANNOTATIONS = "stavis/DIEM_frames.tar.gz", "stavis/DIEM_annotations.tar.gz"
"""The archives in the registry."""
_FRAME = re.compile(r"(?:^|/)([^/]+)/img_(\d{5})\.jpg$")
_MAP = re.compile(r"(?:^|/)([^/]+)/(?:maps/)?fixMap_(\d{5})\.mat$")
"""Video and number, from 1."""
_SHOWN = 5


def fetch_stavis(videos: Sequence[str], root: Path, mirrors: Iterable[str | Path] = ()) -> list[Path]:
    """Fetch and index both archives; write ``<root>/stavis/<VIDEO>.json`` of the given videos, and return their paths.

    Raises
    ------
    DataError
        If an archive cannot be fetched or is damaged, or lacks a video or some of its frames, naming what it holds.
    """
    folder = Path(root).parent / "archive"
    frames = _index(FRAMES, folder, mirrors)
    maps = _index(ANNOTATIONS, folder, mirrors)
    pictures, fixations = _by_video(frames, _FRAME), _by_video(maps, _MAP)
    for index, found, what in (
        (frames, pictures, "<VIDEO>/img_00001.jpg"),
        (maps, fixations, "<VIDEO>/fixMap_00001.mat or <VIDEO>/maps/fixMap_00001.mat"),
    ):
        missing = [video for video in videos if video not in found]
        if missing:
            examples = list(index.members)[:: max(1, len(index.members) // _SHOWN)][:_SHOWN]
            raise DataError(
                index.archive,
                f"holds no {what} of {', '.join(missing)}; among its {len(index.members)} files are "
                + ", ".join(examples),
                "Use split stavis17 (STAViS left out three of the 84 videos), or dataset.source: original",
            )
    written = []
    for video in videos:
        numbers = sorted(pictures[video])
        if numbers != list(range(1, len(numbers) + 1)):
            gap = next(number for number, found in enumerate(numbers, 1) if number != found)
            raise DataError(frames.archive, f"lacks img_{gap:05d}.jpg of {video}", "Get a whole copy of it")
        listed = {
            "frames": {
                "archive": frames.archive.name,
                "bytes": frames.archive.stat().st_size,
                "places": pictures[video],
            },
            "fixations": {
                "archive": maps.archive.name,
                "bytes": maps.archive.stat().st_size,
                "places": fixations[video],
            },
        }
        path = Path(root) / "stavis" / f"{video}.json"
        write_text(path, json.dumps(listed, sort_keys=True))
        written.append(path)
    log.info("%d videos indexed of %d in %s", len(videos), len(pictures), frames.archive)
    surplus = sorted(set(pictures) - set(layout.diem_frames()))
    if surplus:
        log.warning("%s: also holds %s", frames.archive, ", ".join(surplus))
    return written


def _index(file: str, folder: Path, mirrors: Iterable[str | Path]) -> TarIndex:
    archive = folder / file
    with locked(
        archive.with_name(f".{archive.name}.lock"), f"{archive}: another job is fetching it; waiting"
    ):
        return load_index(archive) or fetch_index(file, archive, mirrors)


def _by_video(index: TarIndex, pattern: re.Pattern[str]) -> dict[str, dict[int, Member]]:
    """Return video -> number -> place."""
    found: dict[str, dict[int, Member]] = defaultdict(dict)
    for name, member in index.members.items():
        match = pattern.search(name)
        if match:
            found[match[1]][int(match[2])] = member
    return dict(found)
