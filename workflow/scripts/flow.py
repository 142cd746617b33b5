"""Optical flow between consecutive rescaled frames of a video, in one HDF5 file."""

import argparse
import contextlib
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from dynsal import script
from dynsal.clips import Clip, create, describe, flow_step
from dynsal.datasets import open_dataset
from dynsal.errors import DataError
from dynsal.flow_processes import shared_fields
from dynsal.prepare import wanted_frames, working_frames


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(
        1
    )  # one process per core beats threads, and fields are the same for any number of threads
    params = script.read_params(arguments)
    dataset = open_dataset(params.dataset, arguments.raw)
    with Clip(arguments.frames) as clip:
        kept, stride, step = clip.frames, int(clip.attrs["stride"]), int(clip.attrs["step"])
    decoded = dataset.open_frames(arguments.video, wanted_frames(stride, step, neighbours=True))
    frames = working_frames(decoded, params.prepare.size, stride, step)
    shared = shared_fields(
        frames, arguments.estimator, arguments.direction, arguments.video, arguments.processes
    )
    with (
        contextlib.closing(shared) as pairs,
        create(arguments.out, params.prepare.size, flow_step=flow_step(params.prepare.size[0])) as writer,
    ):
        for frame, field in tqdm(
            pairs, total=len(kept), desc=f"flow {arguments.video}", disable=None, leave=False
        ):
            writer.append(frame.index, frame.time, flow=field)
        describe(
            writer,
            video=arguments.video,
            estimator=arguments.estimator,
            opencv=cv2.__version__,
            direction=arguments.direction,
        )
        written = writer.frames()
        if not np.array_equal(written, kept):
            raise DataError(
                arguments.frames,
                f"holds {len(kept)} frames but the video gave {len(written)} fields for other frames",
                "Delete it and run the same command again",
            )
    script.log.info(
        "%s: %d fields by %s, %s", arguments.video, len(kept), arguments.estimator, arguments.direction
    )


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--video", nargs="+", required=True, help="names in the split list")
    parser.add_argument("--raw", type=Path, required=True, help="folder of the downloaded data set")
    parser.add_argument("--frames", type=Path, nargs="+", required=True, help="every video's rescaled clip")
    parser.add_argument("--estimator", choices=["deepflow", "dis", "farneback"], default="deepflow")
    parser.add_argument("--direction", choices=["forward", "backward"], default="forward")
    parser.add_argument("--processes", type=int, default=1, help="that share a video's pairs of frames")
    parser.add_argument("--out", type=Path, nargs="+", required=True, help="a HDF5 clip to write for each")
    script.run(script.each(main, "video", "frames", "out"), parser.parse_args())
