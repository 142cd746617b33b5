"""SALICON: 20,000 images of MS COCO, attended to with the mouse (Jiang, Huang, Duan, Zhao, CVPR 2015).

The archives stay packed: images are read out of ``<root>/images.zip``. Where people looked comes from

* release ``2015r1``: the official JSON, [row, column] counted from 1, raw mouse samples. It holds gigabytes, so a step of
  its own (`dynsal.datasets.salicon_points`) sorts it into ``<root>/points/{train,val}.parquet``;
* release ``2017``: ``<root>/fixations_2017.zip``, one MATLAB file per image, x and y counted from 1, of which the
  detected ``fixations`` are taken (``location`` are the raw mouse samples).

Shard ``train_07`` holds images 3500 .. 3999 of the training images in the order of their names; likewise ``val`` and
``test``, whose gaze only the evaluation server knows.

Positions are *indices of pixels* and not points on a continuous screen: the pixel's centre is meant, so that
x = column - 1 in the coordinates of `dynsal.gaze`, without the half pixel that eye trackers need.
"""

from __future__ import annotations

import functools
import io
import re
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.io
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from dynsal.datasets.salicon_points import SIZE, read_points
from dynsal.datasets.stills import Stills
from dynsal.errors import FETCH_AGAIN, DataError
from dynsal.gaze import Gaze, Points, Size, fixation_counts, require_fixations, sort_table
from dynsal.zips import Zip

SHARD_IMAGES = 500
"""Images in a shard; the last one of a split may have fewer."""
PARTS = ("train", "val", "test")
OFFICIAL_SIGMA = 19.0
"""Standard deviation in pixels of the official maps."""
_IMAGE_LIMIT = _MAT_LIMIT = 64 * 2**20
_NAME = re.compile(r".*_(\d{12})\.jpg")


class Salicon(Stills):
    """The reader of both releases."""

    name: ClassVar[str] = "salicon"
    size: ClassVar[Size] = SIZE
    px_per_deg: ClassVar[float] = OFFICIAL_SIGMA
    """No degree is defined: people saw the images on screens of their own. So one "degree" is the Gaussian of the
    official maps, and ``gaze.sigma_deg: 1`` gives their width."""

    def video_file(self, video: str) -> Path:
        """Return the archive of images."""
        return self.root / "images.zip"

    def names(self, video: str) -> list[str]:
        """Return the file names of a shard's images."""
        part, number = shard_number(video)
        names = list(self._images[part])
        found = names[number * SHARD_IMAGES : (number + 1) * SHARD_IMAGES]
        if not found:
            raise DataError(
                self.video_file(video),
                f"has only {len(names)} images in a folder {part}, none for shard {video}",
                "Fetch the whole archive, or leave the shard out of dataset.only",
            )
        return found

    def image_ids(self, video: str) -> list[int]:
        """Return the COCO numbers of a shard's images, by which the annotations and the server know them."""
        return [image_id(name) for name in self.names(video)]

    def places(self, part: str) -> dict[int, tuple[int, int]]:
        """Return image number -> (shard, index in it) of all images of ``train``, ``val`` or ``test``."""
        return {image_id(name): divmod(place, SHARD_IMAGES) for place, name in enumerate(self._images[part])}

    def encoded(self, video: str, name: str) -> bytes:
        """Return one image's file."""
        return self._zip.read(self._images[shard_number(video)[0]][name], _IMAGE_LIMIT)

    def fixations(self, video: str) -> Gaze:
        """Return the positions of all workers on a shard's images.

        In release 2017 workers have no names, so that "worker 1" is someone else on every image. ``dropped`` counts
        positions outside the image.
        """
        part, number = shard_number(video)
        if part == "test":
            raise DataError(video, "the gaze of SALICON's test images is secret", "Score on the val shards")
        n_images = len(self.names(video))
        if self.config.release == "2017":
            where = self.root / "fixations_2017.zip"
            index, worker, x, y = self._read_2017(where, part, self.names(video))
            inside = (x >= -0.5) & (x < self.size[0] - 0.5) & (y >= -0.5) & (y < self.size[1] - 0.5)
            outside = int((~inside).sum())
            index, worker, x, y = index[inside], worker[inside], x[inside], y[inside]
        else:
            where = self.root / "points" / f"{part}.parquet"
            index, worker, x, y, outside = read_points(where, number)
        numbers = np.unique(worker)
        labels = np.array([str(number) for number in numbers], dtype=object)
        table = sort_table(index, labels[np.searchsorted(numbers, worker)], x, y)
        return require_fixations(
            Gaze(table, {"outside_frame": outside}, n_images, self.size), f"{where} ({video})"
        )

    @functools.cached_property
    def _zip(self) -> Zip:
        return Zip(self.root / "images.zip")

    @functools.cached_property
    def _images(self) -> dict[str, dict[str, zipfile.ZipInfo]]:
        return {part: self._members(part) for part in PARTS}

    def _members(self, part: str) -> dict[str, zipfile.ZipInfo]:
        images = self._zip.members(part, ".jpg")
        strange = next((name for name in images if not _NAME.fullmatch(name)), None)
        if strange is not None:
            raise DataError(
                self._zip.path,
                f"has {strange}, which is no name of a COCO image",
                "It must be SALICON's archive",
            )
        return images

    def _read_2017(
        self, path: Path, part: str, names: list[str]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return index of the image, worker (from 1), x and y of all fixations."""
        archive = Zip(path)
        members = archive.members(part, ".mat")
        rows = [np.empty((0, 4))]
        for index, name in enumerate(names):
            member = members.get(name.removesuffix(".jpg") + ".mat")
            if member is None:
                raise DataError(
                    path, f"has no {part}/{name.removesuffix('.jpg')}.mat for {name}", FETCH_AGAIN
                )
            workers = read_mat(archive.read(member, _MAT_LIMIT), f"{path}:{member.filename}")
            rows += [
                np.column_stack((np.full((len(points), 2), (index, worker)), points))
                for worker, points in enumerate(workers, 1)
            ]
        archive.close()
        table = np.concatenate(rows)
        return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2], table[:, 3]


def shard_number(shard: str) -> tuple[str, int]:
    """Return ('train', 7) of ``train_07``.

    Raises
    ------
    DataError
        If it is no shard's name.
    """
    part, _, number = shard.rpartition("_")
    if part not in PARTS or not re.fullmatch("[0-9]{2}", number):
        raise DataError(shard, "is no shard of SALICON", "Shards are train_00, val_00, test_00 and so on")
    return part, int(number)


def image_id(name: str) -> int:
    """Return COCO's number of an image, 123067 of ``COCO_train2014_000000123067.jpg``."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} is no name of a COCO image")
    return int(found[1])


def read_mat(data: bytes, where: str) -> list[Points]:
    """Return the fixations of every worker from an image's MATLAB file, K x 2 (x, y), pixel centres at integers.

    The file holds a struct array ``gaze``, one element per worker, whose ``fixations`` are rows of x and y from 1.
    Workers without a fixation give an empty array. Nothing is dropped here.

    Raises
    ------
    DataError
        If the file is damaged or of another structure.
    """
    stream: Any = io.BytesIO(data)  # scipy's type stubs know only of paths
    try:
        workers = scipy.io.loadmat(stream, variable_names=["gaze"])["gaze"].ravel()
        found = [np.asarray(worker["fixations"], np.float64) for worker in workers]
    except Exception as error:  # loadmat raises whatever its damaged input leads it into
        raise DataError(where, f"cannot be read as SALICON's gaze ({error!r})", FETCH_AGAIN) from error
    for worker, points in enumerate(found, 1):
        if points.size and (points.ndim != 2 or points.shape[1] != 2):
            shape = "x".join(map(str, points.shape))
            raise DataError(
                where, f"fixations of worker {worker} are {shape} numbers instead of n x 2", FETCH_AGAIN
            )
    return [points.reshape(-1, 2) - 1 for points in found]


def official_map(points: Points, size: Size, sigma: float = OFFICIAL_SIGMA) -> NDArray[np.float64]:
    """Return SALICON's own map of an image, H x W in [0, 1].

    All workers are merged into one *binary* map (where many looked counts as much as where one did), which is blurred
    (cut at four sigma, mirrored at the edges) and stretched from its minimum to its maximum. It is what the server
    compares with; training uses `dynsal.gaze.density`, which keeps multiplicity.

    Raises
    ------
    ValueError
        If there is no point, or one lies outside.
    """
    fixated = (fixation_counts(points, size) > 0).astype(np.float64)
    blurred = np.asarray(gaussian_filter(fixated, sigma), np.float64)
    blurred -= blurred.min()
    peak = blurred.max()
    return blurred / peak if peak > 0 else blurred
