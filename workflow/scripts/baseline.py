"""Score one baseline on the frames of one test video, and keep its map of the frame that the gallery shows."""

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import cv2
from tqdm import tqdm

from dynsal import baselines, script
from dynsal.baselines.base import Frame
from dynsal.clips import Clip
from dynsal.datasets import open_dataset
from dynsal.evaluation import Map, fitted, score_video
from dynsal.fileio import atomic
from dynsal.maps import create_maps
from dynsal.prepare import wanted_frames, working_frames
from dynsal.references import load_references, shown_frame


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(1)
    params = script.read_params(arguments)
    model = baselines.create(baselines.parse(arguments.options), baselines.by_name(arguments.files))
    video = arguments.video
    reference = load_references(arguments.results, arguments.videos, params.gaze, params.evaluate)[video]
    size = arguments.size or reference.size
    with Clip(arguments.results / "frames" / f"{video}.h5") as clip:
        stride = int(clip.attrs["stride"])
    decoded = open_dataset(params.dataset, arguments.raw).open_frames(video, wanted_frames(stride, 1))
    scored = set(reference.frames.tolist())
    blank: list[int] = []
    shown = shown_frame(reference)

    def frames() -> Iterator[Frame]:
        """Yield all working frames, because models may remember them; kept are those to score."""
        for frame in working_frames(decoded, tuple(size), stride, 1):
            yield dataclasses.replace(frame, kept=frame.index in scored)

    with create_maps(arguments.map, model=arguments.name, video=video) as keep:

        def maps() -> Iterator[tuple[int, Map]]:
            for index, saliency in fitted(model.maps(frames()), reference.size, blank):
                if index == shown:
                    keep(index, saliency)
                yield index, saliency

        table = score_video(reference, tqdm(maps(), total=len(scored), desc=video, disable=None, leave=False))
    with atomic(arguments.out) as part:
        table.to_parquet(part, index=False)
    script.log.info(
        "%s, %s: %d frames, %d skipped, %d blank maps scored as uniform",
        arguments.name,
        video,
        len(table),
        int((table["skipped"] != "").sum()),
        len(blank),
    )


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--name", required=True, help="name of the row in the configuration")
    parser.add_argument("--options", required=True, help='its entry as JSON, such as {"model": "gbvs"}')
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="files that the model needs")
    parser.add_argument("--video", required=True, help="the test video")
    parser.add_argument("--videos", nargs="+", required=True, help="all test videos, for the negatives")
    parser.add_argument("--size", type=int, nargs=2, help="of the model's frames; else the ground truth's")
    parser.add_argument("--raw", type=Path, required=True, help="folder of the downloaded data set")
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}, with frames and gaze")
    parser.add_argument("--out", type=Path, required=True, help="score file to write")
    parser.add_argument("--map", type=Path, required=True, help="HDF5 file of the one map to keep")
    script.run(main, parser.parse_args())
