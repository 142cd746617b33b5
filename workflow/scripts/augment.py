"""Low-resolution copies of a video: frames averaged down, flow averaged down and divided by the factor."""

import argparse
from contextlib import ExitStack
from pathlib import Path

import cv2

from dynsal import script
from dynsal.clips import Clip, create, describe, flow_step
from dynsal.flow import shrink
from dynsal.video import resize


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(1)
    with ExitStack() as stack:
        frames = stack.enter_context(Clip(arguments.frames))
        flow = stack.enter_context(Clip(arguments.flow))
        sizes = [(frames.size[0] // factor, frames.size[1] // factor) for factor in arguments.factors]
        writers = [
            stack.enter_context(create(path, size, arguments.jpeg_quality, flow_step(size[0])))
            for path, size in zip(arguments.out, sizes, strict=True)
        ]
        for position, (index, time) in enumerate(zip(frames.frames, frames.times, strict=True)):
            image, field = frames.bgr(position), flow.flow(position)
            for writer, factor, size in zip(writers, arguments.factors, sizes, strict=True):
                writer.append(int(index), float(time), resize(image, size), shrink(field, factor))
        for writer, factor in zip(writers, arguments.factors, strict=True):
            inherited = {**flow.attrs, **frames.attrs}
            for own in ("width", "height", "jpeg_quality", "flow_step"):
                inherited.pop(own, None)
            describe(writer, **inherited, factor=factor)
    script.log.info(
        "%s: %d frames at 1/%s", arguments.frames, len(frames), ", 1/".join(map(str, arguments.factors))
    )


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument(
        "--frames", type=Path, nargs="+", required=True, help="clips with frames at the working size"
    )
    parser.add_argument(
        "--flow", type=Path, nargs="+", required=True, help="clips with flow at the working size"
    )
    parser.add_argument("--factors", type=int, nargs="+", required=True, help="for example 2 4")
    parser.add_argument("--jpeg-quality", type=int, default=95)
    parser.add_argument(
        "--out",
        type=Path,
        nargs="+",
        action="append",
        required=True,
        help="one HDF5 clip per factor; again for every video",
    )
    script.run(script.each(main, "frames", "flow", "out"), parser.parse_args())
