"""Draw motion seen in single images: of unseen videos, beside what was measured and the nearest image's, or of stills.

Shown are the middle labelled frame of every video, or five images of every shard at even distances. Nothing is chosen
by hand.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from dynsal import script
from dynsal.clips import Clip
from dynsal.device import pick_device
from dynsal.examples import short_name
from dynsal.figures import save
from dynsal.motion_scores import Nearest
from dynsal.static_prediction import StaticFlow
from dynsal.still_figures import MotionExample, static_flow
from dynsal.summed_motion import SIZE, SPAN
from dynsal.video import resize

IMAGES = 5
"""Of every shard of still images."""


def of_video(path: Path, model: StaticFlow, nearest: Nearest) -> MotionExample:
    """Return the middle labelled frame of a video with its motion, and what two predictors make of it."""
    with Clip(path) as clip:
        position = len(clip) // 2
        frame, image = int(clip.frames[position]), clip.bgr(position)
        fields = {
            "Measured": clip.flow(position).astype(np.float32),
            "Predicted": model.summed([image])[0],
            "Nearest image's": nearest(image),
        }
    return MotionExample(f"{short_name(path.stem)}\nframe {frame}", image, fields)


def of_shard(path: Path, model: StaticFlow) -> list[MotionExample]:
    """Return images of a shard with the motion that is predicted for them."""
    examples = []
    with Clip(path) as clip:
        for position in np.unique(np.linspace(0, len(clip) - 1, IMAGES).round().astype(int)).tolist():
            image = resize(clip.bgr(position), SIZE)
            fields = {"Predicted": model.summed([image])[0]}
            examples.append(MotionExample(Path(clip.names[position]).stem, image, fields))
    return examples


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(1)
    model = StaticFlow(arguments.model, pick_device())
    if arguments.frames:
        examples = [example for path in arguments.frames for example in of_shard(path, model)]
    else:
        nearest = Nearest(arguments.training)
        examples = [of_video(path, model, nearest) for path in arguments.motion]
    save(static_flow(examples, f"px over {SPAN} frames"), arguments.out)
    script.log.info("motion of %d images", len(examples))


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors of a static flow net")
    shown = parser.add_mutually_exclusive_group(required=True)
    shown.add_argument("--motion", type=Path, nargs="+", help="motion clips of test videos")
    shown.add_argument("--frames", type=Path, nargs="+", help="or clips of still images")
    parser.add_argument("--training", type=Path, nargs="+", help="motion clips of training videos")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="pictures; the suffix gives the format"
    )
    given = parser.parse_args()
    if given.motion and not given.training:
        parser.error("--motion needs --training, for the nearest image")
    script.run(main, given)
