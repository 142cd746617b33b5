"""Time per frame of the baselines on one core, beside the bare cost of their dominant operation.

A row per baseline of the registry; one whose module or files are missing is named and left out. Files that need a
download or a training (AW.mat, a trained model) are looked for in the folder of `--files`.

python benchmarks/bench_baselines.py --models gbvs itti
"""

from __future__ import annotations

import argparse
import os

os.environ["OMP_NUM_THREADS"] = "1"  # read when numpy is imported

import dataclasses
import itertools
import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, get_args

import cv2
import numpy as np
from _common import at_most, begin, given_or_generated, interleaved, median_ratio, parser, show
from scipy import fft

from dynsal.baselines import REGISTRY, by_name, create
from dynsal.baselines.base import Baseline
from dynsal.baselines.matlab import imresize
from dynsal.config_baselines import BaselineOptions
from dynsal.errors import DataError
from dynsal.prepare import Frame, working_frames
from dynsal.video import decode

Work = Callable[[], object]
OPTIONS = {kind.model_fields["model"].default: kind for kind in get_args(get_args(BaselineOptions)[0])}


def graphs(frame: Frame) -> Work:
    """Return the products of 24 graphs' matrices of 24 x 32 nodes, 14 steps each as on photographs; none is built."""
    nodes = 768
    weights, walk = np.random.default_rng(0).random((nodes, nodes)), np.full(nodes, 1 / nodes)

    def work() -> None:
        for _ in range(24 * 14):
            np.einsum("ij,i->j", weights, walk)

    return work


def smoothing(frame: Frame) -> Work:
    """Return the pyramid's filter on its four planes at full size, which is 3/4 of the pyramid."""
    planes = np.dstack([frame.bgr, frame.bgr.max(axis=2)]).astype(np.float32)
    taps = np.array([1, 5, 10, 10, 5, 1]) / 32
    return lambda: cv2.sepFilter2D(planes, -1, taps, taps)


def phases(frame: Frame) -> Work:
    """Return the resizes of a frame and its map, and the two complex transforms there and back."""
    rgb, small = frame.bgr / 255, np.zeros((2, 64, 64), np.complex128)

    def work() -> None:
        imresize(rgb, (64, 64))
        fft.ifft2(fft.fft2(small))
        imresize(small[0].real, rgb.shape[:2])

    return work


def patches(frame: Frame) -> Work:
    """Return the products of 192 filters with the patches of 80 x 120 pixels."""
    rng = np.random.default_rng(0)
    return partial(np.matmul, rng.random((192, 192)), rng.random((192, 73 * 113)))


def decompositions(frame: Frame) -> Work:
    """Return the singular values of 27 x 3 gradients at 64 x 64 pixels."""
    return partial(np.linalg.svd, np.random.default_rng(0).random((4096, 27, 3)), full_matrices=False)


def responses(frame: Frame) -> Work:
    """Return the inverse transforms of 72 filters' responses at 256 x 192 pixels and their borders."""
    spectra = np.ones((8, 224, 288), np.complex64)

    def work() -> None:
        for _ in range(9):
            fft.ifft2(spectra)

    return work


class Row(NamedTuple):
    """What a baseline is held against."""

    target: float | None = None
    """Milliseconds per frame."""
    limit: Callable[[Frame], Work] | None = None
    """From a frame to the bare work that one frame needs at least."""
    frames: int = 4
    """Frames per turn; a whole block for models that work in blocks."""
    lead: int = 0
    """Frames before them that are not kept, for models that have nothing to say at first."""


ROWS = {
    "gbvs": Row(150, graphs),
    "itti": Row(60, smoothing),
    "pqft": Row(8, phases, 24, lead=3),
    "icl": Row(60, patches),
    "self_resemblance": Row(150, decompositions, 80),
    "temporal_spectral": Row(frames=80),
    "rudoy": Row(1000, graphs, 12),
    "rare_style": Row(150, responses),
}
"""Baselines of the registry without an entry get a row without a target."""


def built(name: str, files: dict[str, Path]) -> Baseline | str:
    """Return a baseline, or why there is none."""
    options = OPTIONS[name]()
    wanted = [*options.files(), *(["model"] if REGISTRY[name].trained else [])]
    missing = [file for file in wanted if file not in files]
    if missing:
        return f"needs {', '.join(missing)}"
    try:
        return create(options, files)
    except ModuleNotFoundError as error:
        return f"no module {error.name}"
    except (DataError, KeyError) as error:
        return str(error)


def run(baseline: Baseline, frames: Sequence[Frame]) -> None:
    """Compute all maps."""
    for _ in baseline.maps(frames):
        pass


def compare(name: str, frames: Sequence[Frame], files: dict[str, Path], repeats: int) -> None:
    """Print the row of one baseline."""
    baseline, row = built(name, files), ROWS.get(name, Row())
    if isinstance(baseline, str):
        show(name, "-", "", None, baseline)
        return
    used = [
        dataclasses.replace(frame, kept=position >= row.lead)
        for position, frame in enumerate(itertools.islice(itertools.cycle(frames), row.lead + row.frames))
    ]
    works: dict[str, Work] = {"maps": partial(run, baseline, used)}
    if row.limit is not None:
        works["limit"] = row.limit(frames[0])
    times = interleaved(works, repeats)
    times["maps"] = [seconds / row.frames for seconds in times["maps"]]
    figure = 1e3 * statistics.median(times["maps"])
    target = "" if row.target is None else at_most(figure, row.target, "ms")
    if row.limit is None:
        show(name, f"{figure:.1f} ms", "", None, target)
        return
    bare = 1e3 * statistics.median(times["limit"])
    ratio = median_ratio(times["limit"], times["maps"])
    show(name, f"{figure:.1f} ms", f"{bare:.1f} ms", ratio, target)


def main() -> None:
    """Measure and print."""
    options_parser: argparse.ArgumentParser = parser(__doc__, repeats=5)
    options_parser.add_argument("--video", type=Path, help="instead of a generated demo video")
    options_parser.add_argument("--models", nargs="+", default=list(REGISTRY), choices=list(REGISTRY))
    options_parser.add_argument(
        "--size", type=int, nargs=2, default=(640, 480), metavar=("WIDTH", "HEIGHT"), help="default 640 480"
    )
    options_parser.add_argument("--files", type=Path, help="folder with files that baselines need")
    options: Any = options_parser.parse_args()
    files = by_name(options.files.iterdir()) if options.files else {}
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temporary:
        video = given_or_generated(options.video, Path(temporary), 12)
        decoded = itertools.islice(decode(video), 12)
        frames = list(working_frames(decoded, tuple(options.size), 1, 1))
    begin(f"baselines, one core, {options.size[0]} x {options.size[1]}; per frame")
    for name in options.models:
        compare(name, frames, files, options.repeats)


if __name__ == "__main__":
    main()
