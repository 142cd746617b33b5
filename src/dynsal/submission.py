"""A model's maps of SALICON's validation and test images, packed as the evaluation server wants them.

Every image stands alone: no model sees what came before it. Maps stream from the clips into the file, so that memory
does not grow with the number of images; the two lists of maps lie hidden beside the archive while it is made.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dynsal.baselines.base import Baseline, Frame
from dynsal.clips import Clip
from dynsal.datasets.salicon import image_id
from dynsal.datasets.salicon_export import check_submission, pack_upload, write_submission
from dynsal.datasets.salicon_points import SIZE
from dynsal.errors import DataError
from dynsal.evaluation import fitted
from dynsal.video import resize

if TYPE_CHECKING:
    from dynsal.inference import Predictor

log = logging.getLogger(__name__)

Pictures = Iterable[tuple[int, NDArray[np.uint8]]]
"""COCO number of an image, and the image: H x W x 3 BGR."""
Maps = Iterator[tuple[int, NDArray[np.floating[Any]]]]
"""COCO number of an image, and its map: >= 0, of any size and scale."""

PARTS = ("val", "test")
"""The two splits that the server wants at once."""
IMAGES = 5000
"""Images in each of them."""


def submit(
    out: Path, name: str, model: Callable[[Pictures], Maps], clips: Mapping[str, Sequence[Path]]
) -> int:
    """Write the archive for the server; return how many maps were zero everywhere and became uniform.

    Parameters
    ----------
    out
        Archive to write, called ``results.zip`` when it is uploaded; it appears only when all maps are in it.
    name
        Name of the model, for the names of the files inside, where hyphens take the place of underscores.
    model
        Gives the map of every image; see :func:`baseline_maps` and :func:`net_maps`.
    clips
        Clip files with the images of ``val`` and of ``test``.

    Raises
    ------
    DataError
        If the name is none for the server, a clip does not hold images of COCO or one image comes twice, or the model
        leaves one out.
    """
    algorithm = _algorithm(name)
    wanted = {part: image_ids(clips[part]) for part in PARTS}
    files = {part: out.with_name(f".{out.stem}.{part}.json") for part in PARTS}
    blank: list[int] = []
    try:
        for part, images in wanted.items():
            if len(images) != IMAGES:
                log.warning("%s: %d images of %d: the server takes whole splits", part, len(images), IMAGES)
            maps = fitted(model(pictures(clips[part])), SIZE, blank)
            write_submission(files[part], tqdm(maps, part, len(images), unit="image", disable=None))
            problems = check_submission(files[part], images)
            if problems:
                raise DataError(out, f"{part}: {'; '.join(problems)}", "Use a model that maps every image")
        pack_upload(out, algorithm, files["val"], files["test"])
    finally:
        for file in files.values():
            file.unlink(missing_ok=True)
    return len(blank)


def image_ids(clips: Iterable[Path]) -> list[int]:
    """Return the COCO numbers of the images in clips, in their order.

    Raises
    ------
    DataError
        If a clip's frames are no images of COCO, or one image comes twice.
    """
    found: Counter[int] = Counter()
    for path in clips:
        with Clip(path) as clip:
            numbers = _numbers(clip)
        found.update(numbers)
        twice = next((number for number in numbers if found[number] > 1), None)
        if twice is not None:
            raise DataError(path, f"image {twice} comes twice", "Name every clip once")
    return list(found)


def pictures(clips: Iterable[Path]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield every image of some clips, one at a time.

    Raises
    ------
    DataError
        If a clip is damaged, or its frames are no images of COCO.
    """
    for path in clips:
        with Clip(path) as clip:
            for position, number in enumerate(_numbers(clip)):
                yield number, clip.bgr(position)


def baseline_maps(model: Baseline, images: Pictures, size: tuple[int, int] | None = None) -> Maps:
    """Yield a baseline's map of every image, each a stream of one frame, so that nothing is remembered.

    ``size`` is the width and height at which it sees the images; None for their own.
    """
    for number, bgr in images:
        seen = bgr if size is None else resize(bgr, size)
        yield from model.maps([Frame(number, 0.0, seen, kept=True)])


def net_maps(
    predictor: Predictor,
    images: Pictures,
    size: tuple[int, int],
    motion: Callable[[list[NDArray[np.uint8]]], list[NDArray[np.float32]]] | None = None,
) -> Maps:
    """Yield a net's map of every image, rescaled to the width and height that it was trained at.

    ``motion`` gives the flow of such images, for a net that looks at it: a `dynsal.static_prediction.StaticFlow`, or
    :func:`no_motion`.
    """

    def items() -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.float32] | None]]:
        for number, bgr in images:
            seen = resize(bgr, size)
            yield number, seen, None if motion is None else motion([seen])[0]

    yield from predictor.predict_stream(items())


def no_motion(images: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    """Return fields of zeros."""
    return [np.zeros((*image.shape[:2], 2), np.float32) for image in images]


class StillNet(NamedTuple):
    """A trained net as it is applied to still images."""

    predictor: Predictor
    size: tuple[int, int]
    """Width and height that it was trained at."""
    motion: Callable[[list[NDArray[np.uint8]]], list[NDArray[np.float32]]] | None


def still_net(file: Path, motion: Path | None = None) -> StillNet:
    """Return a trained net with what it needs to see a still image.

    Parameters
    ----------
    file
        The net.
    motion
        A static flow net, for nets that look at flow; those of Table 3 that were trained without motion need none.

    Raises
    ------
    DataError
        If a file is missing, damaged or no such net, or the net looks at flow and nothing predicts any.
    """
    # Here, since torch is missing where only baselines run.
    from dynsal.device import pick_device
    from dynsal.inference import Predictor
    from dynsal.nets import REGISTRY
    from dynsal.nets.weights import load_model
    from dynsal.static_prediction import StaticFlow

    net, meta = load_model(file)
    device = pick_device()
    predictor, size = Predictor(net, meta, device), (int(meta["size"][0]), int(meta["size"][1]))
    if "flow" not in REGISTRY[meta["arch"]].inputs:
        return StillNet(predictor, size, None)
    if meta.get("motion") == "none":
        return StillNet(predictor, size, no_motion)
    if motion is None:
        raise DataError(
            file,
            f"is a net of arch {meta['arch']}, which looks at optical flow, and still images have none",
            "Give a static flow net that predicts it (--motion-model), or a net of arch spatial",
        )
    return StillNet(predictor, size, StaticFlow(motion, device))


def _numbers(clip: Clip) -> list[int]:
    try:
        if clip.names:
            return [image_id(name) for name in clip.names]
        problem = "its frames have no names, so they are no still images"
    except ValueError as error:
        problem = str(error)
    raise DataError(clip.path, problem, "Give clips of SALICON's shards, such as frames/test_00.h5")


def _algorithm(name: str) -> str:
    """Return the name as the server takes it, which splits file names at underscores."""
    if not re.fullmatch("[A-Za-z0-9_-]+", name):
        raise DataError(name, "is no name that the server takes", "Use letters, digits and hyphens")
    return name.replace("_", "-")
