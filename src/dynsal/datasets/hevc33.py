"""hevc33: 33 standard test clips and the fixations of 32 viewers (Xu, Jiang, Sun, Ye, Wang, IEEE TIP 2017).

``<root>/video_database.mat`` (MATLAB v7.3, that is HDF5, read with h5py: matrices appear transposed, strings as cells
of references to character codes) and ``<root>/videos/*.avi``. Viewers are known by their numbers only; the personal
initials in the data base are never read.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
from numpy.typing import NDArray

from dynsal.datasets.base import Dataset, Decoded, Wanted, checked_frames
from dynsal.errors import DataError
from dynsal.fixations import frame_range, spread
from dynsal.gaze import Gaze, Size, require_fixations, sort_table
from dynsal.layout import hevc33_file
from dynsal.video import decode, probe

SURPLUS_FRAMES = 1
"""Frames that a file may have beyond the data base's number: BQTerrace has 601 instead of 600."""


@dataclass(frozen=True)
class Clip:
    """A clip's entry in the data base."""

    number: int
    """From 1, as in column 2 of the fixations."""
    size: Size
    frames: int
    fps: float


@dataclass(frozen=True)
class Database:
    """What is read of video_database.mat."""

    clips: dict[str, Clip]
    fixations: NDArray[np.float64]
    """Rows that name a video: subject, video, start ms, duration ms, x, y."""
    without_video: int
    """Rows whose video is NaN (one); they belong to no video and are counted once for the whole data base."""


class Hevc33(Dataset):
    """The reader."""

    name: ClassVar[str] = "hevc33"
    px_per_deg: ClassVar[float] = 30.0

    @functools.cached_property
    def database(self) -> Database:
        """The data base, read once."""
        return read_database(self.root / "video_database.mat")

    def video_file(self, video: str) -> Path:
        """Return the avi; that of BasketballDrive has a space in its name."""
        return self.root / hevc33_file(video)

    def open_frames(self, video: str, wanted: Wanted | None = None) -> Decoded:
        """Return as many frames as the data base lists."""
        path, clip = self.video_file(video), self._clip(video)
        info = probe(path)
        if (info.width, info.height) != clip.size:
            raise DataError(
                path,
                f"is {info.width}x{info.height}, but the data base says {clip.size[0]}x{clip.size[1]}",
                "Delete it and fetch it again",
            )
        return checked_frames(path, decode(path, wanted), clip.frames, SURPLUS_FRAMES, "the data base")

    def fixations(self, video: str) -> Gaze:
        """Return one point per frame that a fixation covers, by the authors' rule (`dynsal.fixations.frame_range`).

        ``dropped`` counts fixations: those that start after the end of the clip, those outside the frame, and
        ``without_video``, which is the same for every video because such rows name none.
        """
        clip = self._clip(video)
        rows = self.database.fixations
        subject, _, start, duration, x, y = rows[rows[:, 1] == clip.number].T
        first, last = frame_range(start, duration, clip.fps, clip.frames)
        late = first > last
        outside = ~late & ((x < 0) | (x >= clip.size[0]) | (y < 0) | (y >= clip.size[1]))
        source, frame = spread(first, last, ~late & ~outside)
        viewers = np.array([str(int(number)) for number in subject], dtype=object)
        gaze = Gaze(
            sort_table(frame, viewers[source], x[source] - 0.5, y[source] - 0.5),
            {
                "without_video": self.database.without_video,
                "starts_after_end": int(late.sum()),
                "outside_frame": int(outside.sum()),
                "after_video_end": 0,
            },
            clip.frames,
            clip.size,
        )
        return require_fixations(gaze, f"{self.root / 'video_database.mat'} ({video})")

    def _clip(self, video: str) -> Clip:
        try:
            return self.database.clips[video]
        except KeyError:
            known = ", ".join(self.database.clips)
            raise DataError(
                self.root / "video_database.mat", f"has no video {video}", f"It has {known}"
            ) from None


def read_database(path: Path) -> Database:
    """Read video_database.mat.

    Raises
    ------
    DataError
        If the file is missing, damaged, or not of the known structure, or a fixation's numbers make no sense.
    """
    again = "Delete it and fetch it again"
    if not path.is_file():
        raise DataError(path, "there is no such data base", "Run the download again, or set DYNSAL_MIRROR")
    try:
        with h5py.File(path) as file:
            group = file["video_database"]
            info = group["videos_info"]
            names = [_text(file, reference) for reference in group["video_names_list"][()].ravel()]
            sizes = info["size"][()].T.astype(int).tolist()
            frames = info["frames"][()].ravel().astype(int).tolist()
            rates = info["framerate_fps"][()].ravel().tolist()
            rows = group["fixdata"][()].T
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(path, f"cannot be read as the hevc33 data base ({error})", again) from error
    if not len(names) == len(sizes) == len(frames) == len(rates) or rows.ndim != 2 or rows.shape[1] != 6:
        raise DataError(path, "its tables do not fit together", again)
    nameless = np.isnan(rows[:, 1])
    bad = ~nameless & (~np.isfinite(rows).all(1) | ~np.isin(rows[:, 1], np.arange(1, len(names) + 1)))
    if bad.any():
        number = int(np.flatnonzero(bad)[0])
        raise DataError(path, f"row {number + 1} of fixdata is {rows[number].tolist()}", again)
    clips = {
        name: Clip(number, (width, height), count, rate)
        for number, (name, (width, height), count, rate) in enumerate(
            zip(names, sizes, frames, rates, strict=True), 1
        )
    }
    return Database(clips, rows[~nameless], int(nameless.sum()))


def _text(file: h5py.File, reference: Any) -> str:
    return "".join(map(chr, file[reference][()].ravel()))
