"""Archives of SALICON as the tests write them: real structure, small content; and submissions as its server reads them."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import scipy.io

WORDS = {"train": "COCO_train2014", "val": "COCO_val2014", "test": "COCO_test2014"}


def name(part: str, number: int) -> str:
    """Return the name of an image."""
    return f"{WORDS[part]}_{number:012d}.jpg"


def picture(seed: int, size=(640, 480)) -> bytes:
    """Return a JPEG of coarse noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (6, 8, 3), np.uint8)
    return cv2.imencode(".jpg", cv2.resize(coarse, size, interpolation=cv2.INTER_NEAREST))[1].tobytes()


def write_zip(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write an archive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return path


def write_json(path: Path, annotations: Sequence[object], images: Sequence[object] = ()) -> Path:
    """Write an archive with a JSON of release 2015r1."""
    body = {
        "info": {"version": "r1"},
        "images": list(images),
        "licenses": [],
        "type": "fixations",
        "annotations": list(annotations),
    }
    return write_zip(path, {path.name.removesuffix(".zip"): json.dumps(body).encode()})


def annotation(number: int, image: int, worker: int, points: Sequence[Sequence[int]]) -> dict[str, object]:
    """Return one worker's annotation of one image; points are [row, column] from 1."""
    return {
        "id": number,
        "image_id": image,
        "worker_id": worker,
        "fixations": [list(point) for point in points],
    }


def mat(workers: Sequence[np.ndarray]) -> bytes:
    """Return an image's MATLAB file of release 2017; each worker's fixations are n x 2 (x, y) from 1."""
    gaze = np.zeros((len(workers), 1), dtype=[("location", "O"), ("timestamp", "O"), ("fixations", "O")])
    for row, fixations in enumerate(workers):
        samples = np.tile(np.array([[333, 222]], np.uint16), (7, 1))  # a trap for whoever reads `location`
        gaze[row, 0] = (samples, np.arange(7.0)[:, None], fixations)
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"gaze": gaze}, do_compression=True)
    return stream.getvalue()


def sent(archive: Path, member: str) -> dict[int, np.ndarray]:
    """Return image number -> H x W uint8 map of a submission in an archive for the server."""
    with zipfile.ZipFile(archive) as opened:
        entries = json.loads(opened.read(member))
    maps = [
        (entry["image_id"], np.frombuffer(base64.b64decode(entry["saliency_map"]), np.uint8))
        for entry in entries
    ]
    return {number: cv2.imdecode(png, cv2.IMREAD_UNCHANGED) for number, png in maps}
