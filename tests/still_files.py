"""Small shards of still images, as the steps before scoring leave them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from dynsal.clips import create, describe, name_frames
from dynsal.gaze import Gaze, sort_table, write_gaze

SIZE = (32, 24)
"""Width and height of the clips, and of what the gaze was recorded on."""
PX_PER_DEG = 2.0


def picture(spot: tuple[float, float]) -> np.ndarray:
    """Paint noise, always the same, with a bright spot."""
    noise = np.random.default_rng(0).integers(80, 120, (*SIZE[::-1], 3))
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    blob = 130 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / 8)
    return np.clip(noise + blob[..., None], 0, 255).astype(np.uint8)


def spots(shard: str, n: int) -> np.ndarray:
    """Return where the bright spot of each image is, n x 2, well inside; the same for the same shard."""
    rng = np.random.default_rng(sum(map(ord, shard)))
    return rng.uniform([5, 5], np.array(SIZE) - 6, (n, 2))


def gaze_rows(
    shard: str, n: int, viewers: int = 6, without: tuple[int, ...] = ()
) -> list[tuple[int, str, float, float]]:
    """Let everybody look near the spot of every image, but for those that nobody looks at."""
    rng = np.random.default_rng(n)
    rows = []
    for image, spot in enumerate(spots(shard, n)):
        for viewer in range(viewers):
            x, y = rng.normal(spot, 1.5)
            if image not in without:
                rows.append((image, f"s{viewer}", float(x), float(y)))
    return rows


def write_gaze_rows(results: Path, shard: str, n: int, rows: list[tuple[int, str, float, float]]) -> None:
    """Write a gaze file of (image, viewer, x, y)."""
    table = pd.DataFrame(rows, columns=["frame", "subject", "x", "y"])
    columns = [table[name].to_numpy() for name in table]
    path = results / "gaze" / f"{shard}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_gaze(path, Gaze(sort_table(*columns), {}, n, SIZE), SIZE, PX_PER_DEG, shard)


def write_clip(results: Path, shard: str, n: int, named: bool = True) -> None:
    """Write the images of a shard, called <shard>-<number>.jpg."""
    path = results / "frames" / f"{shard}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    with create(path, SIZE, jpeg_quality=95) as writer:
        for image, spot in enumerate(spots(shard, n)):
            writer.append(image, float(image), bgr=picture(tuple(spot)))
        if named:
            name_frames(writer, [f"{shard}-{image}.jpg" for image in range(n)])
        describe(writer, source_frames=n, stride=1)


def write_flow(results: Path, shard: str, n: int) -> None:
    """Write a predicted flow for every image: whatever is bright moves right."""
    path = results / "flow" / f"{shard}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    with create(path, SIZE, flow_step=1 / 16) as writer:
        for image, spot in enumerate(spots(shard, n)):
            bright = cv2.cvtColor(picture(tuple(spot)), cv2.COLOR_BGR2GRAY) / 100.0 - 1
            writer.append(image, float(image), flow=np.dstack([bright, 0 * bright]))


def write_shard(
    results: Path, shard: str, n: int, viewers: int = 6, without: tuple[int, ...] = ()
) -> list[tuple[int, str, float, float]]:
    """Write images and gaze of a shard; returns the rows of its gaze."""
    rows = gaze_rows(shard, n, viewers, without)
    write_clip(results, shard, n)
    write_gaze_rows(results, shard, n, rows)
    return rows
