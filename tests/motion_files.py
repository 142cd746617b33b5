"""Small motion clips, as workflow/scripts/motion.py leaves them: 320x240 whatever is in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dynsal.clips import create, describe, flow_step
from dynsal.summed_motion import SIZE


def field(seed: int) -> np.ndarray:
    """Return a smooth field of some pixels, H x W x 2: what moves is on one side, and grows with the seed."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    blob = np.exp(-((x - 80 - 20 * (seed % 8)) ** 2 + (y - 120) ** 2) / 2000)
    return np.dstack([(2 + seed % 8) * blob, -3 * blob]).astype(np.float32)


def image(seed: int) -> np.ndarray:
    """Return an image whose blue channel tells where ``field`` moves."""
    bgr = np.random.default_rng(seed).integers(60, 120, (SIZE[1], SIZE[0], 3))
    bgr[..., 0] = np.clip(90 + 40 * field(seed)[..., 0], 0, 255)
    return bgr.astype(np.uint8)


def write_motion(folder: Path, video: str, seeds: range) -> Path:
    """Write a clip of one frame per seed; every fifth source frame has a label."""
    path = folder / f"{video}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    with create(path, SIZE, 95, flow_step(SIZE[0])) as writer:
        for k, seed in enumerate(seeds):
            writer.append(5 * k, k / 5, image(seed), field(seed))
        describe(writer, video=video, estimator="dis")
    return path
