"""The Python interface: ``for frame, saliency in dynsal.predict("video.mp4"): ...``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dynsal.device import usable_cpus
from dynsal.errors import DataError
from dynsal.inputs import Input, find_inputs
from dynsal.model_choice import default_model, load
from dynsal.pictures import Picture
from dynsal.prediction import stream
from dynsal.video import resize

Path_ = str | os.PathLike[str]


def predict(
    source: Path_ | Sequence[Path_],
    model: str | os.PathLike[str] | None = None,
    *,
    options: Sequence[str] = (),
    device: str | None = None,
    batch: int | None = None,
) -> Iterator[tuple[Picture, NDArray[np.float32]]]:
    """Yield every frame of a video with its saliency map, streaming; memory does not grow with the length.

    Parameters
    ----------
    source
        A video, an image, or a folder or list of images that are the frames of one video.
    model
        As `dynsal predict --model`: a name, or the file of a trained net or baseline; None takes the default.
    options
        Options of a baseline, such as ``["channels=DIOFM"]``.
    device
        ``cpu`` or ``cuda``; None takes a GPU if there is one.
    batch
        Frames per forward pass of a net.

    Yields
    ------
    frame
        With ``index``, ``time`` (seconds) and ``bgr`` (H x W x 3 uint8, as displayed).
    saliency
        H x W float32, finite and >= 0, at the frame's own size.

    Raises
    ------
    DataError
        If the source or the model is missing or cannot be read. Frames that cannot be decoded are left out.
    """
    words = [source] if isinstance(source, str | os.PathLike) else list(source)
    inputs = find_inputs([os.fspath(word) for word in words], sequence=True)
    if len(inputs) != 1:
        raise DataError(
            os.fspath(words[0]), f"stands for {len(inputs)} videos", "Call predict for each of them"
        )
    made, _ = load(os.fspath(model) if model is not None else default_model(), options, (), device, batch)
    opened: Input = inputs[0]
    with contextlib.closing(opened.open(max(1, usable_cpus() // 2))) as pictures:
        frames = stream(pictures, made, lambda picture: picture)
        with contextlib.closing(frames):  # whose thread must be done before the source is closed
            for frame, saliency in frames:
                yield frame.kept, resize(np.asarray(saliency, np.float32), pictures.size)
