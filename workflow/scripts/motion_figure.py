"""Draw frames of unseen videos with the motion measured there, the predicted one, and that of the nearest training image.

The frame is the middle one of every test video that has a label. Nothing is chosen by hand.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from dynsal import script
from dynsal.clips import Clip
from dynsal.figures import save
from dynsal.figures.motion import MotionExample, motion_rows
from dynsal.figures.style import short_name
from dynsal.motion_scores import Nearest, score
from dynsal.static_prediction import StaticFlow


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(1)
    model, nearest = StaticFlow(arguments.model), Nearest(arguments.training)
    examples = []
    for path in arguments.motion:
        with Clip(path) as clip:
            image, measured = clip.bgr(len(clip) // 2), clip.flow(len(clip) // 2).astype(np.float32)
        fields = {"measured": measured, "predicted": model.summed([image])[0], "nearest": nearest(image)}
        scores = {name: score(field, measured)["epe"] for name, field in fields.items() if name != "measured"}
        examples.append(MotionExample(short_name(path.stem), image, fields, scores))
    save(motion_rows(examples), arguments.out)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors of a static flow net")
    parser.add_argument("--motion", type=Path, nargs="+", required=True, help="motion clips of test videos")
    parser.add_argument("--training", type=Path, nargs="+", required=True, help="those of training videos")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="pictures; the suffix gives the format"
    )
    script.run(main, parser.parse_args())
