"""OSIE: 700 images of 800x600, eye tracking of 15 viewers (Xu, Jiang, Wang, Kankanhalli, Zhao, Journal of Vision 2014).

``<root>/stimuli/1001.jpg`` .. ``1700.jpg`` and ``<root>/fixations.mat`` (MATLAB v5). Which image is in which shard is
fixed in ``resources/splits/osie_images.csv``.

The origin of the coordinates is not documented. They are taken for positions on a continuous screen with (0, 0) at the
image's upper left corner, which their range (1.2 .. 799.2, 1.2 .. 599.2) fits, so that 0.5 is subtracted. If they count
pixels from 1 instead, all points lie half a pixel too far to the lower right.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.io
from numpy.typing import NDArray

from dynsal import layout
from dynsal.datasets.stills import Stills
from dynsal.errors import DataError
from dynsal.gaze import Gaze, Size, require_fixations, sort_table

_AGAIN = "Delete it and fetch it again"
_END_OF_JPEG = b"\xff\xd9"

Viewers = dict[str, NDArray[np.float64]]
"""Viewer, '1' .. '15' -> n x 2, x and y as recorded."""


class Osie(Stills):
    """The reader."""

    name: ClassVar[str] = "osie"
    size: ClassVar[Size] = (800, 600)
    px_per_deg: ClassVar[float] = 24.0
    """Approximate, and not verified."""

    @functools.cached_property
    def recorded(self) -> dict[str, Viewers]:
        """Image -> what every viewer fixated, read once."""
        return read_fixations(self.fixations_file(""))

    def fixations_file(self, video: str) -> Path:
        """Return the file with a shard's fixations."""
        return self.root / "fixations.mat"

    def recorded_of(self, video: str) -> dict[str, Viewers]:
        """Return image -> what every viewer fixated; of all images, at least a shard's."""
        return self.recorded

    def video_file(self, video: str) -> Path:
        """Return the folder of images."""
        return self.root / "stimuli"

    def names(self, video: str) -> list[str]:
        """Return the file names of a shard's images."""
        return layout.osie_images(video)

    def encoded(self, video: str, name: str) -> bytes:
        """Return one image's file."""
        path = self.video_file(video) / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataError(path, f"cannot be read ({error})", "Run the download again") from error
        if not data.endswith(_END_OF_JPEG):  # OpenCV paints what is missing grey
            raise DataError(path, "is no JPEG, or one cut short", _AGAIN)
        return data

    def fixations(self, video: str) -> Gaze:
        """Return every fixation of a shard's images, once, whatever its duration.

        ``dropped`` counts fixations outside the image (there are none in the published file).
        """
        path, rows = self.fixations_file(video), [np.empty((0, 4))]
        recorded = self.recorded_of(video)
        for index, name in enumerate(self.names(video)):
            if name not in recorded:
                raise DataError(path, f"has no image {name}", _AGAIN)
            rows += [
                np.column_stack((np.full((len(points), 2), (index, int(viewer))), points))
                for viewer, points in recorded[name].items()
            ]
        index, viewer, x, y = np.concatenate(rows).T
        inside = (x >= 0) & (x < self.size[0]) & (y >= 0) & (y < self.size[1])
        viewers = np.array([str(int(number)) for number in viewer[inside]], dtype=object)
        table = sort_table(index[inside], viewers, x[inside] - 0.5, y[inside] - 0.5)
        gaze = Gaze(table, {"outside_frame": int((~inside).sum())}, len(self.names(video)), self.size)
        return require_fixations(gaze, f"{path} ({video})")


def read_fixations(path: Path) -> dict[str, Viewers]:
    """Read fixations.mat.

    Raises
    ------
    DataError
        If the file is missing, damaged, or not of the known structure.
    """
    if not path.is_file():
        raise DataError(path, "there is no such file", "Run the download again, or set DYNSAL_MIRROR")
    found: dict[str, Viewers] = {}
    try:
        for cell in scipy.io.loadmat(path, variable_names=["fixations"])["fixations"].ravel():
            image = cell[0, 0]
            found[str(image["img"].item())] = {
                str(number): np.column_stack((viewer[0, 0]["fix_x"].ravel(), viewer[0, 0]["fix_y"].ravel()))
                for number, viewer in enumerate(image["subjects"].ravel(), 1)
            }
    except Exception as error:  # loadmat raises whatever its damaged input leads it into
        raise DataError(path, f"cannot be read as OSIE's fixations ({error!r})", _AGAIN) from error
    return found
