"""Predictions for SALICON's blind test set in the form that the evaluation server takes, and a check of such a file.

A submission is a JSON list of ``{"image_id": <COCO number>, "saliency_map": <base64 of a PNG>}``, one for each test
image: 8-bit grey, 640x480. The server (salicon.net/upload) takes a results.zip with two such files, one for the
validation and one for the test images.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import cv2
import ijson
import numpy as np
from numpy.typing import NDArray

from dynsal.datasets.salicon_points import SIZE
from dynsal.errors import DataError
from dynsal.fileio import atomic

_NAMED = 5
"""Images named in a message; of the others only the number is given."""


def write_submission(path: Path, items: Iterable[tuple[int, NDArray[np.floating]]]) -> int:
    """Write a submission, one map after the other; return their number.

    Parameters
    ----------
    path
        JSON file to write; it appears only when all maps are in it.
    items
        COCO number of each image and its map: 480 x 640, >= 0, of any scale. Each map is scaled so that its maximum
        becomes 255; a map that is 0 everywhere stays so.

    Raises
    ------
    ValueError
        If a map has another size, holds a negative number or one that is not finite, or an image comes twice.
    """
    seen: set[int] = set()
    with atomic(Path(path)) as part, part.open("w", encoding="ascii") as stream:
        stream.write("[")
        for image, saliency in items:
            if image in seen:
                raise ValueError(f"image {image} comes twice")
            entry = {"image_id": int(image), "saliency_map": encode_map(saliency, image)}
            stream.write((",\n" if seen else "\n") + json.dumps(entry))
            seen.add(image)
        stream.write("\n]\n")
    return len(seen)


def pack_upload(path: Path, algorithm: str, validation: Path, test: Path) -> None:
    """Put the submissions for validation and test images into the archive, and under the names, that the server wants.

    Parameters
    ----------
    path
        Archive to write; it must be called ``results.zip`` when it is uploaded.
    algorithm
        Name of the model: letters, digits and hyphens, since the file names are split at underscores.

    Raises
    ------
    ValueError
        If the name holds anything else.
    """
    if not re.fullmatch("[A-Za-z0-9-]+", algorithm):
        raise ValueError(f"{algorithm!r}: a model's name may hold letters, digits and hyphens only")
    with atomic(Path(path)) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for split, source in (("val", validation), ("test", test)):
            member = zipfile.ZipInfo(
                f"fixations_{split}2014_{algorithm}_results.json"
            )  # without today's date
            member.compress_type = zipfile.ZIP_DEFLATED
            with Path(source).open("rb") as stream, archive.open(member, "w", force_zip64=True) as target:
                shutil.copyfileobj(stream, target)


def encode_map(saliency: NDArray[np.floating], image: int) -> str:
    """Return a map as base64 of an 8-bit grey PNG; see :func:`write_submission`."""
    if saliency.shape != SIZE[::-1]:
        raise ValueError(f"the map of image {image} is {saliency.shape}, not {SIZE[::-1]}")
    if not np.isfinite(saliency).all() or saliency.min() < 0:
        raise ValueError(f"the map of image {image} holds negative numbers or some that are not finite")
    peak = float(saliency.max())
    scaled = np.asarray(saliency, np.float64) * (255 / peak) if peak > 0 else np.zeros(saliency.shape)
    ok, png = cv2.imencode(".png", np.round(scaled).astype(np.uint8))
    if not ok:
        raise RuntimeError(f"OpenCV could not encode the map of image {image}")
    return base64.b64encode(png.tobytes()).decode("ascii")


def check_submission(path: Path, expected_ids: Iterable[int]) -> list[str]:
    """Return every problem of a submission, none if it is complete; maps are decoded one by one.

    Problems are images that are missing, come twice or were not asked for, and maps that do not decode or are not 8-bit
    grey of 640x480.

    Raises
    ------
    DataError
        If the file is missing, or no JSON list of such entries.
    """
    wanted, seen, problems = set(expected_ids), Counter[int](), []
    again = "Write the submission again"
    try:
        with Path(path).open("rb") as stream:
            for number, entry in enumerate(ijson.items(stream, "item")):
                if not isinstance(entry, dict) or set(entry) != {"image_id", "saliency_map"}:
                    problems.append(f"entry {number} does not consist of image_id and saliency_map")
                    continue
                image = entry["image_id"]
                if not isinstance(image, int):
                    problems.append(f"entry {number}: image_id {image!r} is no whole number")
                    continue
                seen[image] += 1
                fault = _fault(entry["saliency_map"])
                if fault:
                    problems.append(f"image {image}: {fault}")
    except (OSError, ijson.JSONError, UnicodeDecodeError) as error:
        raise DataError(
            path, f"cannot be read as a submission ({' '.join(str(error).split())})", again
        ) from error
    problems += _listed("missing", wanted - set(seen))
    problems += _listed("in it more than once", {image for image, count in seen.items() if count > 1})
    problems += _listed("not of the test set", set(seen) - wanted)
    return problems


def _fault(text: object) -> str:
    """Return what is wrong with an encoded map; empty if nothing is."""
    try:
        data = base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        return "its map is no base64"
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if pixels is None:
        return "its map does not decode"
    if pixels.shape != SIZE[::-1] or pixels.dtype != np.uint8:
        shape = "x".join(map(str, [*pixels.shape[1::-1], *pixels.shape[2:]]))
        return f"its map is {shape} {pixels.dtype}, not 640x480 uint8"
    return ""


def _listed(what: str, images: set[int]) -> list[str]:
    if not images:
        return []
    named = ", ".join(map(str, sorted(images)[:_NAMED])) + (", ..." if len(images) > _NAMED else "")
    return [f"{len(images)} image(s) {what}: {named}"]
