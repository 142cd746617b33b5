"""Collect the training pairs of a baseline that learns from gaze, from one training video."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from dynsal import baselines, script
from dynsal.baselines.base import Frame
from dynsal.baselines.rudoy.anchors import draw_anchors, find_cuts, settled_cuts
from dynsal.baselines.rudoy.cuts import read_cuts
from dynsal.baselines.rudoy.training import collect_pairs, save_pairs
from dynsal.clips import Clip
from dynsal.config_baselines import RudoyOptions
from dynsal.datasets import open_dataset
from dynsal.gaze import by_frame, read_gaze, to_working
from dynsal.prepare import wanted_frames, working_frames
from dynsal.references import scored_size


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(1)
    params = script.read_params(arguments)
    options = RudoyOptions.model_validate_json(arguments.options)
    with Clip(arguments.frames) as clip:
        stride = int(clip.attrs["stride"])
    gaze = read_gaze(arguments.gaze)
    # As large as the frames that the model will see: distances and boxes are in their pixels.
    size = (arguments.size[0], arguments.size[1]) if arguments.size else scored_size(gaze, params.evaluate)
    dataset = open_dataset(params.dataset, arguments.raw)

    def frames() -> Iterator[Frame]:
        decoded = dataset.open_frames(arguments.video, wanted_frames(stride, 1))
        return working_frames(decoded, size, stride, 1)

    cuts, count = find_cuts(frames())
    least = options.anchors
    if arguments.cuts:
        listed = read_cuts(arguments.cuts)
        if arguments.video in listed:  # then by the release's rule alone, without random anchors
            cuts, least = [cut // stride for cut in listed[arguments.video]], 0
    rng = np.random.default_rng([options.seed, *arguments.video.encode()])
    anchors = draw_anchors(settled_cuts(cuts), count, least, rng)
    points = by_frame(to_working(gaze.table, gaze.size, size))
    pairs = collect_pairs(frames(), points, anchors, options, baselines.by_name(arguments.files))
    save_pairs(arguments.out, pairs)
    script.log.info(
        "%s: %d cuts, %d anchors, %d pairs, %d of them positive",
        arguments.video,
        len(cuts),
        len(anchors),
        len(pairs.positive),
        int(pairs.positive.sum()),
    )


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--options", required=True, help='the entry as JSON: {"model": "rudoy"}')
    parser.add_argument("--cuts", type=Path, help="list of shot cuts, where there is one (00_cuts.mat)")
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="files that the model needs")
    parser.add_argument("--video", required=True, help="the training video")
    parser.add_argument("--size", type=int, nargs=2, help="of the model's frames; else those to be scored")
    parser.add_argument("--raw", type=Path, required=True, help="folder of the downloaded data set")
    parser.add_argument("--frames", type=Path, required=True, help="the video's rescaled clip")
    parser.add_argument("--gaze", type=Path, required=True, help="the video's gaze")
    parser.add_argument("--out", type=Path, required=True, help="pairs to write (.npz)")
    script.run(main, parser.parse_args())
