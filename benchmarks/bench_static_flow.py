"""Static flow: labels against the bare flow they are made of, and prediction against the bare forward pass.

Labels: decoding, rescaling to 320x240, five fields per labelled frame (each computed once), homographies, chaining,
and writing, against the estimator on the same grey frames in memory; per frame of the video. Prediction: squeezing,
forward pass, soft decoding and enlargement to the image's size, against the forward pass on a batch in memory; per
image. One thread.

python benchmarks/bench_static_flow.py --estimator dis --variant small --width 0.5
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch
from _common import at_least, begin, given_or_generated, interleaved, median_ratio, parser, show

from dynsal.clips import create, describe, flow_step
from dynsal.config_transfer import StaticFlowConfig
from dynsal.device import limit_threads
from dynsal.flow import estimator
from dynsal.nets.static_flow import INPUT, build_static_flow
from dynsal.nets.weights import save_model
from dynsal.prepare import working_frames
from dynsal.static_prediction import KIND, StaticFlow
from dynsal.summed_motion import SIZE, labelled
from dynsal.video import decode

LABELS_TARGET = 0.5
PREDICTION_TARGET = 0.7
BATCH = 16


def labels(options: argparse.Namespace, video: Path, folder: Path) -> None:
    """Print the rows of the labels."""
    frames = list(working_frames(itertools.islice(decode(video), options.frames), SIZE, 1, 1))
    greys = [np.asarray(cv2.cvtColor(frame.bgr, cv2.COLOR_BGR2GRAY), np.uint8) for frame in frames]
    estimate = estimator(options.estimator)

    def step() -> None:
        decoded = working_frames(itertools.islice(decode(video), options.frames), SIZE, 1, 1)
        with create(folder / "motion.h5", SIZE, 95, flow_step(SIZE[0])) as writer:
            for frame, motion in labelled(decoded, estimate, options.label_step, video.name):
                writer.append(frame.index, frame.time, frame.bgr, motion)
            describe(writer, estimator=options.estimator)

    def bare() -> None:
        for before, after in itertools.pairwise(greys):
            estimate(before, after)

    times = interleaved({"step": step, "bare": bare}, options.repeats)
    row(f"labels, {options.estimator}, every {options.label_step}th frame", times, len(frames), LABELS_TARGET)


def prediction(options: argparse.Namespace, folder: Path) -> None:
    """Print the row of the prediction."""
    config = StaticFlowConfig(variant=options.variant, width=options.width)
    rng = np.random.default_rng(0)
    meta = {
        "arch": KIND,
        "net": config.model_dump(mode="json"),
        "codebook": rng.normal(size=(40, 2)).tolist(),
    }
    save_model(folder / "model.safetensors", build_static_flow(config), meta)
    model = StaticFlow(folder / "model.safetensors")
    width, height = options.size
    images = list(rng.integers(0, 256, (BATCH, height, width, 3)).astype(np.uint8))
    batch = torch.randn(BATCH, 3, INPUT, INPUT)

    def bare() -> None:
        with torch.inference_mode():
            model.net(batch)

    times = interleaved({"step": lambda: list(model.stream(images, BATCH)), "bare": bare}, options.repeats)
    name = f"prediction, {options.variant} {options.width:g}, {width}x{height}"
    row(name, times, BATCH, PREDICTION_TARGET)


def row(name: str, times: dict[str, list[float]], count: int, target: float) -> None:
    """Print one comparison in milliseconds of wall time per frame."""
    ratio = median_ratio(times["bare"], times["step"])
    figure, limit = (1e3 * statistics.median(times[which]) / count for which in ("step", "bare"))
    show(name, f"{figure:.3f} ms", f"{limit:.3f} ms", ratio, at_least(ratio, target))


def main() -> None:
    """Measure and print."""
    made = parser(__doc__, repeats=5)
    made.add_argument("--video", type=Path, help="instead of a generated demo video")
    made.add_argument("--estimator", default="dis", choices=["dis", "deepflow", "farneback"])
    made.add_argument(
        "--label-step", type=int, default=5, help="distance of the frames with a label (default 5)"
    )
    made.add_argument("--frames", type=int, default=60, help="first frames of the video (default 60)")
    made.add_argument("--variant", default="small", choices=["walker", "small"])
    made.add_argument("--width", type=float, default=0.5, help="default 0.5")
    made.add_argument(
        "--size", type=int, nargs=2, default=(640, 480), metavar=("WIDTH", "HEIGHT"), help="default 640 480"
    )
    options = made.parse_args()
    cv2.setNumThreads(1)
    limit_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        video = given_or_generated(options.video, folder, options.frames)
        begin("static flow; wall time per frame, one thread")
        labels(options, video, folder)
        prediction(options, folder)


if __name__ == "__main__":
    main()
