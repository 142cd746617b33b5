"""One video with its gaze, decoded once: what the checks, the table and the picture of ``dynsal validate`` look at."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dynsal.datasets.folder import origin
from dynsal.fixations import spread
from dynsal.folder_files import FolderSettings
from dynsal.gaze import Size
from dynsal.gaze_placement import Placement, place
from dynsal.gaze_table import Rows
from dynsal.video import decode, display, packet_times, probe

_NO_ROWS = pd.DataFrame(
    {
        "line": np.array([], np.int64),
        **{name: np.array([], object) for name in ("video", "subject")},
        **{name: np.array([], np.float64) for name in ("when", "duration", "x", "y")},
    }
)


@dataclass(frozen=True)
class Inspected:
    """A video and where the rows of its gaze fall."""

    name: str
    path: Path
    frames: int
    """As decoded."""
    fps: float
    size: Size
    irregular: bool
    """Whether the frames do not come at a constant rate."""
    turned: int
    """Degrees by which players turn the frames clockwise, and `dynsal.video.decode` does not."""
    pixel: Fraction
    """Width of a pixel / its height."""
    samples: dict[int, NDArray[np.uint8]]
    """Frame -> its picture (H x W x 3 BGR), for the frames to draw."""
    rows: Rows
    placed: Placement

    @property
    def viewers(self) -> list[str]:
        """Whose gaze there is."""
        return sorted(self.rows.table["subject"].unique())

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether a row has a position."""
        return ~self.placed.dropped["without_position"]

    @property
    def outside(self) -> float:
        """Share of the rows with a position, at a time of the video, that lie outside its picture."""
        out = int(self.placed.dropped["outside_frame"].sum())
        return out / max(1, out + int(self.placed.kept.sum()))

    @property
    def blind_frames(self) -> int:
        """Number of frames without gaze inside the picture."""
        _, frame = spread(self.placed.first, self.placed.last, self.placed.kept)
        return self.frames - int((np.unique(frame) < self.frames).sum())

    def points(self) -> pd.DataFrame:
        """Return one row per point and frame, those outside the picture too.

        Columns frame, subject, x, y (source pixels, pixel centres at integers) and inside (whether it counts).
        """
        kept = self.placed.kept
        row, frame = spread(self.placed.first, self.placed.last, kept | self.placed.dropped["outside_frame"])
        return pd.DataFrame(
            {
                "frame": frame,
                "subject": self.rows.table["subject"].to_numpy(object)[row],
                "x": self.placed.x[row],
                "y": self.placed.y[row],
                "inside": kept[row],
            }
        )


def inspect(path: Path, rows: Rows | None, settings: FolderSettings, n_samples: int) -> Inspected:
    """Decode a video and lay its gaze over it; keep the pictures of some frames that have gaze.

    Raises
    ------
    DataError
        If the video cannot be decoded to its end, or is larger than the screen of dataset.yaml.
    """
    info, times = probe(path), packet_times(path)
    turned, pixel = display(path)
    size = (info.width, info.height)
    rows = rows or Rows(_NO_ROWS, by_frame=False)
    placed = place(rows, info.fps, len(times), size, origin(settings, size, path.parents[1]))
    _, seen = spread(placed.first, placed.last, placed.kept | placed.dropped["outside_frame"])
    candidates = np.unique(seen) if len(seen) else np.arange(len(times))
    chosen = candidates[np.linspace(0, len(candidates) - 1, n_samples).round().astype(int)]
    samples, frames = {}, 0
    for frames, (_, picture) in enumerate(decode(path, set(chosen.tolist()).__contains__), 1):
        if picture is not None:
            samples[frames - 1] = picture
    drift = np.abs(times - times[0] - np.arange(len(times)) / info.fps).max() * info.fps
    return Inspected(
        path.stem, path, frames, info.fps, size, bool(drift > 0.5), turned, pixel, samples, rows, placed
    )
