"""folder: the user's own videos and gaze, read where they lie (layout in `dynsal.folder_files`).

Nothing is copied. ``root`` is the folder itself.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import ClassVar

from dynsal import folder_files, layout
from dynsal.datasets.base import Dataset, Decoded, Wanted
from dynsal.errors import DataError
from dynsal.findings import Findings
from dynsal.folder_files import FolderSettings
from dynsal.gaze import Gaze, Size, require_fixations
from dynsal.gaze_placement import place, to_gaze
from dynsal.gaze_table import read_rows
from dynsal.video import decode, packet_times, probe


class Folder(Dataset):
    """The reader."""

    name: ClassVar[str] = "folder"

    @functools.cached_property
    def settings(self) -> FolderSettings:
        """The content of dataset.yaml."""
        return folder_files.settings(self.root)

    @property
    def px_per_deg(self) -> float:  # type: ignore[override]  # every other data set knows its own
        """Pixels per degree by dataset.yaml.

        Raises
        ------
        DataError
            If it says nothing about it.
        """
        if self.settings.px_per_deg is None:
            raise no_px_per_deg(self.root)
        return self.settings.px_per_deg

    def videos(self) -> dict[str, str]:
        """Return video -> 'train' or 'test' by split.csv."""
        return layout.split_file(self.root / folder_files.SPLIT)

    def video_file(self, video: str) -> Path:
        """Return the video's file, whatever its format."""
        return self.root / folder_files.video_file(self.root, video)

    def open_frames(self, video: str, wanted: Wanted | None = None) -> Decoded:
        """Return all frames."""
        return decode(self.video_file(video), wanted)

    def fixations(self, video: str) -> Gaze:
        """Return one point per frame that a row covers (`dynsal.gaze_placement.place`); a malformed row is an error."""
        path, info = self.video_file(video), probe(self.video_file(video))
        frames, size = len(packet_times(path)), (info.width, info.height)
        name = folder_files.gaze_file(self.root, video)
        findings = Findings()
        rows = read_rows(self.root / name, findings, shared=folder_files.is_shared(name), video=video)
        findings.raise_first()
        assert rows is not None  # otherwise there was a finding
        placed = place(rows, info.fps, frames, size, origin(self.settings, size, self.root))
        return require_fixations(to_gaze(rows, placed, frames, size), f"{self.root / name} ({video})")


def origin(settings: FolderSettings, size: Size, folder: Path) -> tuple[float, float]:
    """Return where the picture's top-left corner lies in the coordinates of the gaze.

    Raises
    ------
    DataError
        If the video is larger than the screen on which it was shown at native size.
    """
    if settings.screen is None:
        return 0.0, 0.0
    left, top = (screen - side for screen, side in zip(settings.screen, size, strict=True))
    if left < 0 or top < 0:
        raise DataError(
            folder / folder_files.SETTINGS,
            f"the screen of {settings.screen[0]}x{settings.screen[1]} is smaller than a video of {size[0]}x{size[1]}",
            "The videos must have been shown at native size, centred; else convert the gaze to pixels of the video",
        )
    return left / 2, top / 2


def no_px_per_deg(folder: Path) -> DataError:
    """Return the error that asks for the viewing geometry."""
    return DataError(
        folder / folder_files.SETTINGS,
        "does not say how many pixels of the video make a degree of visual angle",
        "Write `px_per_deg: 30` with your number into it, or set gaze.px_per_deg in the configuration",
    )
