"""Predict the motion of every image of a shard, as a flow clip."""

import argparse
from pathlib import Path

from tqdm import tqdm

from dynsal import script
from dynsal.clips import Clip, create, describe
from dynsal.device import limit_threads, pick_device
from dynsal.fileio import sha256
from dynsal.static_prediction import StaticFlow

STEP = 1 / 1024
"""Rounding of the stored fields in pixels: a net in doubt predicts far weaker motion than is measured in videos."""


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    limit_threads(arguments.threads)
    model = StaticFlow(arguments.model, pick_device())
    with (
        Clip(arguments.frames) as clip,
        create(arguments.out, clip.size, flow_step=STEP) as writer,
    ):
        images = (clip.bgr(position) for position in range(len(clip)))
        fields = tqdm(model.stream(images), total=len(clip), disable=None, leave=False)
        for index, time, field in zip(clip.frames.tolist(), clip.times.tolist(), fields, strict=True):
            writer.append(index, time, flow=field)
        describe(writer, estimator="static_flow", model=sha256(arguments.model), video=arguments.frames.stem)
    script.log.info("%s: motion predicted for %d images", arguments.frames.stem, len(clip))


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors of a static flow net")
    parser.add_argument("--frames", type=Path, required=True, help="clip of still images")
    parser.add_argument("--threads", type=int, default=8, help="at most; never more than the CPUs at hand")
    parser.add_argument("--out", type=Path, required=True, help="HDF5 clip to write")
    script.run(main, parser.parse_args())
