"""Motion over five frames of a video, the camera's removed, beside its frames: what the static flow net learns from."""

import argparse
from pathlib import Path

import cv2
from tqdm import tqdm

from dynsal import script
from dynsal.clips import Clip, create, describe, flow_step
from dynsal.datasets import open_dataset
from dynsal.flow import estimator
from dynsal.prepare import wanted_frames, working_frames
from dynsal.summed_motion import SIZE, SPAN, labelled


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(1)
    params = script.read_params(arguments)
    with Clip(arguments.frames) as clip:
        stride = int(clip.attrs["stride"])
    dataset = open_dataset(params.dataset, arguments.raw)
    frames = working_frames(dataset.open_frames(arguments.video, wanted_frames(stride, 1)), SIZE, stride, 1)
    estimate = estimator(arguments.estimator)
    with create(arguments.out, SIZE, 95, flow_step(SIZE[0])) as writer:
        found = labelled(frames, estimate, arguments.label_step, arguments.video)
        for frame, motion in tqdm(found, desc=f"motion {arguments.video}", disable=None, leave=False):
            writer.append(frame.index, frame.time, frame.bgr, motion)
        describe(
            writer,
            video=arguments.video,
            estimator=arguments.estimator,
            opencv=cv2.__version__,
            unit=f"pixels over {SPAN} frames at {SIZE[0]}x{SIZE[1]}, without the camera's motion",
        )
        count = len(writer.frames())
    script.log.info("%s: motion of %d frames by %s", arguments.video, count, arguments.estimator)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--video", required=True, help="name in the split list")
    parser.add_argument("--raw", type=Path, required=True, help="folder of the downloaded data set")
    parser.add_argument(
        "--frames", type=Path, required=True, help="the video's rescaled clip, which tells its thinning"
    )
    parser.add_argument("--estimator", choices=["deepflow", "dis", "farneback"], default="deepflow")
    parser.add_argument("--label-step", type=int, default=5, help="distance of the frames with a label")
    parser.add_argument("--out", type=Path, required=True, help="HDF5 clip to write")
    script.run(main, parser.parse_args())
