"""The demo data set: synthetic videos and viewers, written in the format of DIEM's release.

Nothing here is real: scenes come from `dynsal.datasets.demo_scene`, viewers from
`dynsal.datasets.demo_viewers`, and every file says so where its format lets it. Because the gaze is drawn from a
known density, the density itself is an oracle that no model may beat.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import cv2
import h5py
import numpy as np
import numpy.typing as npt

from dynsal.datasets.demo_names import VALIDATION, VIDEOS
from dynsal.datasets.demo_paint import paint
from dynsal.datasets.demo_scene import FPS, NOISE_DEG, PX_PER_DEG, SHARE, Scene, density, make_scene
from dynsal.datasets.demo_viewers import N_VIEWERS, record
from dynsal.datasets.diem import Diem
from dynsal.errors import DataError
from dynsal.fileio import atomic, write_text
from dynsal.manifests import write_manifest
from dynsal.video import encode

__all__ = ["VALIDATION", "VIDEOS", "Demo", "generate"]

_CRF = 20
_PRESET = "superfast"
"""The slowest preset without x264's macroblock tree, whose bytes differ from run to run with equal frames."""


class Demo(Diem):
    """The DIEM reader, and the true density."""

    name: ClassVar[str] = "demo"

    def truth(self, video: str) -> npt.NDArray[np.float32]:
        """Return the true gaze density, n x rows x columns over the movie's area; every frame sums to 1."""
        path = self.root / video / "truth.h5"
        try:
            with h5py.File(path, "r") as file:
                return np.asarray(file["density"][()], dtype=np.float32)
        except (OSError, KeyError) as error:
            raise DataError(
                path,
                f"cannot be read as a true density ({error})",
                "Delete the video's folder and generate it again",
            ) from None


def generate(
    video: str, root: Path, seed: int, *, n_frames: int | None = None, n_viewers: int = N_VIEWERS
) -> None:
    """Write one video with its recordings, true density and, last, its manifest.

    The same arguments give the same bytes, whatever else was generated before or beside it.

    Parameters
    ----------
    video
        One of `VIDEOS`, or any name of the same pattern for a further scene.
    root
        Folder of the data set; everything goes to ``<root>/<video>/``.
    seed
        Seed of the world and its viewers.
    n_frames
        Length of the video; by default drawn between 60 and 75.
    n_viewers
        Number of recordings.

    Raises
    ------
    DataError
        If the name is not one of a demo video, or the disk is full.
    """
    scene = make_scene(video, seed, n_frames)
    folder = Path(root) / video
    manifest = folder / "manifest.json"
    manifest.unlink(missing_ok=True)

    movie = folder / "video" / f"{video}.mp4"
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        encode(movie, paint(scene, seed), FPS, _CRF, _PRESET)
    finally:
        cv2.setNumThreads(threads)

    events = folder / "event_data"
    recordings = record(scene, seed, n_viewers)
    for stale in {path.name for path in events.glob("*.txt")} - {item.filename for item in recordings}:
        (events / stale).unlink()
    for item in recordings:
        write_text(events / item.filename, item.text)

    truth = folder / "truth.h5"
    with atomic(truth) as part:
        _write_truth(part, scene, seed)

    write_manifest(folder)


def _write_truth(path: Path, scene: Scene, seed: int) -> None:
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "density",
            data=density(scene),
            chunks=(1, 60, 80),
            compression="gzip",
            compression_opts=1,
            shuffle=True,
        )
        data.attrs["description"] = (
            "synthetic: the true gaze density of a made-up scene, from which its viewers were drawn; "
            "frames x rows x columns over the movie's area, every frame sums to 1"
        )
        file.attrs.update(
            video=scene.video, kind=scene.kind, seed=seed, width=scene.width, height=scene.height, fps=FPS,
            pan=scene.pan, px_per_deg=PX_PER_DEG, noise_deg=NOISE_DEG,
            **{f"share_{role}": share for role, share in SHARE.items()},
        )  # fmt: skip
        things = file.create_group("things")
        for i, thing in enumerate(scene.things):
            path_of = things.create_dataset(f"{i:02d}", data=thing.path)
            path_of.attrs.update({k: v for k, v in dataclasses.asdict(thing).items() if k != "path"})
