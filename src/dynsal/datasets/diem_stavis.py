"""DIEM as preprocessed for STAViS: JPEG frames and binary fixation maps, read out of their archives.

Against the original: frames have been extracted and perhaps scaled by others, and a map says only which pixels were
looked at. How often, and by whom, is lost: every fixated pixel counts once, and belongs to the viewer "all".
Points come back in pixels of the native size, which the video's name states, so that a degree stays 50 of them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from dynsal.datasets.base import Decoded, Wanted
from dynsal.datasets.diem import FPS, Diem, native_size
from dynsal.errors import DataError
from dynsal.gaze import Gaze, require_fixations, sort_table, to_working
from dynsal.layout import diem_frames
from dynsal.tar_index import Member, beside, open_archive
from dynsal.video import VideoInfo

TOLERANCE = 0.05
"""Share of the published number of frames by which STAViS's may differ: up to 4.4 % by its own lists."""
_EVERYBODY = "all"
_AGAIN = "Delete results/diem/archive/stavis and run the same command again"


class DiemStavis(Diem):
    """The reader; ``<root>/stavis/<VIDEO>.json`` says where in the archives a video's files lie."""

    def verify(self, video: str) -> None:
        """Check that the archives have the sizes they had when they were indexed."""
        for kind in ("frames", "fixations"):
            self._archive(video, kind)

    def video_file(self, video: str) -> Path:
        """Return the list of the video's files."""
        return self.root / "stavis" / f"{video}.json"

    def info(self, video: str) -> VideoInfo:
        """Return the native size, which gaze refers to, and DIEM's rate."""
        return VideoInfo(*native_size(video), FPS, len(self._listed(video, "frames")["places"]))

    def open_frames(self, video: str, wanted: Wanted | None = None) -> Decoded:
        """Return the JPEG frames, all of one size, after checking their number against the published one."""
        archive, places = self._archive(video, "frames")
        published = diem_frames().get(video)
        if published is not None and abs(len(places) - published) > max(5, TOLERANCE * published):
            raise DataError(
                archive,
                f"has {len(places)} frames of {video}, but DIEM's video has {published}",
                "They were extracted at another rate, or from another cut: use dataset.source: original",
            )
        return self._decoded(video, archive, places, wanted)

    def fixations(self, video: str) -> Gaze:
        """Return one point per fixated pixel; frames without a map are counted as ``no_map``."""
        archive, places = self._archive(video, "fixations")
        n_frames = len(self._listed(video, "frames")["places"])
        size = self._frame_size(video)
        frames, points = [], []
        for number, data in _contents(archive, places):
            where = f"{archive}: fixMap_{number:05d}.mat of {video}"
            found = _fixated(data, where)
            if found.shape[::-1] != size:
                raise DataError(
                    where, f"is {found.shape[1]}x{found.shape[0]}, its frame {size[0]}x{size[1]}", _AGAIN
                )
            rows, columns = np.nonzero(found)
            frames.append(np.full(len(rows), number - 1))
            points.append(np.stack([columns, rows], axis=1))
        xy, frame = np.concatenate(points), np.concatenate(frames)
        table = sort_table(frame, np.full(len(frame), _EVERYBODY, dtype=object), xy[:, 0], xy[:, 1])
        missing = sum(number not in places for number in range(1, n_frames + 1))
        native = native_size(video)
        return require_fixations(
            Gaze(
                to_working(table, size, native),
                {"no_map": missing, "after_video_end": 0},
                max(places),
                native,
            ),
            archive,
        )

    def _listed(self, video: str, kind: str) -> dict[str, Any]:
        path = self.video_file(video)
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))[kind]
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                path, f"cannot be read ({error})", "Delete it and run the same command again"
            ) from error
        return found

    def _archive(self, video: str, kind: str) -> tuple[Path, dict[int, Member]]:
        """Return an archive and the places in it, by number from 1."""
        listed = self._listed(video, kind)
        archive = self.root.parent / "archive" / "stavis" / str(listed["archive"])
        if not archive.is_file() or archive.stat().st_size != listed["bytes"]:
            raise DataError(
                archive,
                "is missing, or not the one that was indexed",
                f"Delete {self.root / 'stavis'} and run again",
            )
        return archive, {int(number): Member(*place) for number, place in listed["places"].items()}

    def _frame_size(self, video: str) -> tuple[int, int]:
        archive, places = self._archive(video, "frames")
        number, data = next(_contents(archive, dict([min(places.items())])))
        picture = _picture(data, f"{archive}: img_{number:05d}.jpg of {video}")
        return picture.shape[1], picture.shape[0]

    def _decoded(
        self, video: str, archive: Path, places: dict[int, Member], wanted: Wanted | None
    ) -> Decoded:
        needed = {n: place for n, place in places.items() if wanted is None or wanted(n - 1)}
        contents = _contents(archive, needed)
        size = None
        for number in sorted(places):
            picture = None
            if number in needed:
                where = f"{archive}: img_{number:05d}.jpg of {video}"
                picture = _picture(next(contents)[1], where)
                size = size or picture.shape
                if picture.shape != size:
                    raise DataError(where, "differs in size from the frames before it", _AGAIN)
            yield (number - 1) / FPS, picture


def _contents(archive: Path, places: dict[int, Member]) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes, by number."""
    try:
        with open_archive(archive, beside(archive, "gzidx")) as stream:
            for number in sorted(places):
                place = places[number]
                data = stream.raw.pread(place.size, place.offset)
                if len(data) != place.size:
                    raise EOFError(f"it ends at {place.offset + len(data)}")
                yield number, data
    except (OSError, EOFError) as error:
        raise DataError(archive, f"cannot be read ({error})", _AGAIN) from error


def _picture(data: bytes, where: str) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        raise DataError(where, "is no picture", _AGAIN)
    return np.asarray(picture, np.uint8)


def _fixated(data: bytes, where: str) -> NDArray[np.bool_]:
    """Return the binary map of a .mat file."""
    try:
        stream: Any = io.BytesIO(data)  # the stubs know paths only
        found = np.asarray(loadmat(stream, variable_names=["eyeMap"])["eyeMap"])
    except KeyError:
        raise DataError(where, "has no variable eyeMap", _AGAIN) from None
    except (
        Exception
    ) as error:  # scipy raises many kinds on damaged files, and NotImplementedError on version 7.3
        raise DataError(where, f"cannot be read as a MATLAB file ({error})", _AGAIN) from error
    if found.ndim != 2 or not np.isin(found, (0, 1, 255)).all():
        raise DataError(where, "is no binary map", "Check that these are STAViS's fixation maps")
    return np.asarray(found > 0)
