"""Decode a video once, in order, and store its frames at the working size in one HDF5 file."""

import argparse
from pathlib import Path

import cv2

from dynsal import script
from dynsal.clips import create, describe, name_frames
from dynsal.datasets import open_dataset
from dynsal.datasets.base import Decoded
from dynsal.prepare import stride_for, wanted_frames, working_frames


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(1)
    params = script.read_params(arguments)
    dataset = open_dataset(params.dataset, arguments.raw)
    info = dataset.info(arguments.video)
    prepare = params.prepare
    stride = stride_for(info.fps, prepare.fps_target)
    decoded = 0

    def counted() -> Decoded:
        nonlocal decoded
        for time, frame in dataset.open_frames(arguments.video, wanted_frames(stride, prepare.frame_step)):
            decoded += 1
            yield time, frame

    with create(arguments.out, prepare.size, prepare.jpeg_quality) as writer:
        for frame in working_frames(counted(), prepare.size, stride, prepare.frame_step):
            writer.append(frame.index, frame.time, frame.bgr)
        names = dataset.names(arguments.video)
        if names:
            name_frames(writer, [names[index] for index in writer.frames()])
        describe(
            writer,
            video=arguments.video,
            source_width=info.width,
            source_height=info.height,
            source_fps=info.fps,
            source_frames=decoded,
            stride=stride,
            step=prepare.frame_step,
        )
    script.log.info(
        "%s: %d frames decoded (%s in the container), every %d-th kept",
        arguments.video,
        decoded,
        info.container_frames or "none stated",
        stride * prepare.frame_step,
    )


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--video", nargs="+", required=True, help="names in the split list")
    parser.add_argument("--raw", type=Path, required=True, help="folder of the downloaded data set")
    parser.add_argument("--out", type=Path, nargs="+", required=True, help="a HDF5 clip to write for each")
    script.run(script.each(main, "video", "out"), parser.parse_args())
