"""Compare motion predicted from single frames of unseen videos with what was measured, beside simple guesses.

Row ``static_flow`` is decoded as configured; a second row has the same net's answers decoded the other way.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from dynsal import script
from dynsal.clips import Clip
from dynsal.codebook import DECODERS
from dynsal.device import pick_device
from dynsal.fileio import write_text
from dynsal.motion_scores import MEASURES, Nearest, differences, mean_motion, score, table
from dynsal.static_prediction import StaticFlow
from dynsal.statistics import video_means


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(1)
    params = script.read_params(arguments)
    model = StaticFlow(arguments.model, pick_device())
    (other,) = set(DECODERS) - {model.decode}
    nearest, mean = Nearest(arguments.training), mean_motion(arguments.training)
    rows = []
    for path in arguments.motion:
        with Clip(path) as clip:
            for position, frame in enumerate(clip.frames.tolist()):
                image, measured = clip.bgr(position), clip.flow(position).astype(np.float32)
                guesses = {
                    "static_flow": model.summed([image])[0],
                    f"static_flow_{other}": model.summed([image], other)[0],
                    "zero": np.zeros_like(measured),
                    "mean": mean,
                    "nearest": nearest(image),
                }
                rows += [
                    {"model": name, "seed": 0, "video": path.stem, "frame": frame, **score(guess, measured)}
                    for name, guess in guesses.items()
                ]
    scores = pd.DataFrame(rows)
    found = {
        arguments.out: table(scores, params.table),
        arguments.differences: differences(scores, params.table),
        arguments.per_video: video_means(scores, list(MEASURES)),
    }
    for out, frame in found.items():
        write_text(out, frame.to_csv(index=False, float_format="%.6f", lineterminator="\n"))
    script.log.info("motion from single frames:\n%s", found[arguments.out].to_string(index=False))


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors of a static flow net")
    parser.add_argument("--motion", type=Path, nargs="+", required=True, help="motion clips of test videos")
    parser.add_argument("--training", type=Path, nargs="+", required=True, help="those of training videos")
    parser.add_argument("--out", type=Path, required=True, help="table, CSV")
    parser.add_argument("--differences", type=Path, required=True, help="to the other predictors, CSV")
    parser.add_argument("--per-video", type=Path, required=True, help="means of every video, CSV")
    script.run(main, parser.parse_args())
