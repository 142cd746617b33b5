"""demo_stills: frames of the demo's world as still images with gaze, written in the form of OSIE's release.

Nothing here is real. Every image is the middle frame of a scene of its own, which is none of the demo's videos; its
viewers look at places drawn from the scene's true density in that frame, which is therefore an oracle. After the
generator everything is OSIE's code path, but that a shard's files lie in a folder of their own:
``<root>/<shard>/stimuli/*.jpg``, ``fixations.mat``, ``truth.h5`` and, written last, ``manifest.json``.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any, ClassVar

import cv2
import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray

from dynsal.datasets.demo_names import KINDS
from dynsal.datasets.demo_paint import paint
from dynsal.datasets.demo_scene import PX_PER_DEG, Scene, density, generator, make_scene, mixture
from dynsal.datasets.osie import Osie, Viewers, read_fixations
from dynsal.errors import DataError
from dynsal.fileio import atomic
from dynsal.gaze import Size
from dynsal.manifests import write_manifest

IMAGES = 40
"""In every shard."""
N_VIEWERS = 15
_FIRST = {"train": 101, "test": 601}
"""Number of the first scene of each part: the demo's videos have numbers below 100."""
_SIZE = (640, 480)
_FRAMES = 12
"""Of a scene, of which only the middle one is shown."""
_QUALITY = 95


class DemoStills(Osie):
    """The reader."""

    name: ClassVar[str] = "demo_stills"
    size: ClassVar[Size] = _SIZE
    px_per_deg: ClassVar[float] = PX_PER_DEG

    def video_file(self, video: str) -> Path:
        """Return the folder of a shard's images."""
        return self.root / video / "stimuli"

    def names(self, video: str) -> list[str]:
        """Return the file names of a shard's images."""
        return [f"{scene}.jpg" for scene in scenes(video)]

    def fixations_file(self, video: str) -> Path:
        """Return the file with a shard's fixations."""
        return self.root / video / "fixations.mat"

    def recorded_of(self, video: str) -> dict[str, Viewers]:
        """Return image -> what every viewer fixated."""
        return read_fixations(self.fixations_file(video))

    def truth(self, shard: str) -> NDArray[np.float32]:
        """Return the true gaze density of every image, n x rows x columns over its area; each sums to 1.

        Raises
        ------
        DataError
            If the file is missing or damaged.
        """
        path = self.root / shard / "truth.h5"
        try:
            with h5py.File(path, "r") as file:
                return np.asarray(file["density"][()], np.float32)
        except (OSError, KeyError) as error:
            raise DataError(
                path,
                f"cannot be read as a true density ({error})",
                "Delete the shard's folder and generate it again",
            ) from None


def scenes(shard: str) -> list[str]:
    """Return the names of the scenes that a shard's images show, such as ``demo_pan_102_640x480``.

    Raises
    ------
    DataError
        If the name is not that of a shard, ``train_00`` to ``train_09`` or ``test_00`` to ``test_09``.
    """
    found = re.fullmatch("(train|test)_0([0-9])", shard)
    if not found:
        raise DataError(shard, "is no shard of demo_stills", "Use one of resources/splits/demo_stills.csv")
    first = _FIRST[found[1]] + IMAGES * int(found[2])
    return [f"demo_{KINDS[n % len(KINDS)]}_{n}_{_SIZE[0]}x{_SIZE[1]}" for n in range(first, first + IMAGES)]


def generate(shard: str, root: Path, seed: int) -> None:
    """Write one shard: images, fixations, true densities and, last, the manifest.

    The same arguments give the same bytes.

    Parameters
    ----------
    shard
        ``train_00``, ``test_00`` and so on.
    root
        Folder of the data set; everything goes to ``<root>/<shard>/``.
    seed
        Seed of the world and its viewers.

    Raises
    ------
    DataError
        If the name is not that of a shard, or the disk is full.
    """
    folder = Path(root) / shard
    (folder / "manifest.json").unlink(missing_ok=True)
    cells, truths = [], []
    for name in scenes(shard):
        scene = make_scene(name, seed, _FRAMES)
        middle = _FRAMES // 2
        picture = next(itertools.islice(paint(scene, seed), middle, None))
        with atomic(folder / "stimuli" / f"{name}.jpg") as part:
            ok, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            if not ok:
                raise RuntimeError(f"OpenCV could not encode {name}")
            part.write_bytes(data.tobytes())
        cells.append(_cell(f"{name}.jpg", _watch(scene, middle, seed)))
        truths.append(density(scene)[middle])
    table = np.empty((len(cells), 1), object)
    table[:, 0] = cells
    with atomic(folder / "fixations.mat") as part:
        scipy.io.savemat(part, {"fixations": table}, appendmat=False, do_compression=True)
        _undate(part)
    with atomic(folder / "truth.h5") as part, h5py.File(part, "w") as file:
        data = file.create_dataset("density", data=np.stack(truths), compression="gzip", shuffle=True)
        data.attrs["description"] = (
            "synthetic: the true gaze density of made-up scenes, from which their viewers were drawn; "
            "images x rows x columns, each sums to 1"
        )
    write_manifest(folder)


def _watch(scene: Scene, frame: int, seed: int) -> list[NDArray[np.float64]]:
    """Return what every viewer fixates, n x 3: x, y in pixels of the image from its corner, and milliseconds."""
    rng = generator(scene.video, seed, "still viewers")
    parts = mixture(scene)
    weights, means = parts.weights[frame], parts.means[frame]
    seen = []
    for _ in range(N_VIEWERS):
        chosen = rng.choice(len(weights), size=int(rng.integers(6, 10)), p=weights)
        points = means[chosen] + rng.normal(size=(len(chosen), 2)) * parts.sigmas[chosen]
        seen.append(np.column_stack([points, np.round(rng.gamma(4.0, 60.0, len(chosen)))]))
    return seen


def _cell(image: str, seen: list[NDArray[np.float64]]) -> dict[str, Any]:
    subjects = np.empty((len(seen), 1), object)
    subjects[:, 0] = [
        {
            "fix_x": points[:, 0][None],
            "fix_y": points[:, 1][None],
            "fix_duration": points[:, 2][None].astype(np.uint16),
        }
        for points in seen
    ]
    return {"img": image, "subjects": subjects}


def _undate(path: Path) -> None:
    """Replace the text of a MATLAB file's header, which holds the time of day."""
    text = b"MATLAB 5.0 MAT-file, synthetic: made-up viewers of made-up images"
    with path.open("r+b") as stream:
        stream.write(text.ljust(116))
