"""Score one baseline on the images of one shard, each a stream of its own of one frame."""

import argparse
from pathlib import Path

import cv2
from tqdm import tqdm

from dynsal import baselines, script
from dynsal.datasets import open_dataset
from dynsal.evaluation import fitted
from dynsal.fileio import atomic
from dynsal.still_scoring import load_still_references, score_images
from dynsal.submission import baseline_maps


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(1)
    params = script.read_params(arguments)
    model = baselines.create(baselines.parse(arguments.options), baselines.by_name(arguments.files))
    shard = arguments.shard
    references = load_still_references(
        arguments.results, arguments.shards, params.dataset, params.gaze, params.evaluate
    )
    reference = references[shard]
    size = tuple(arguments.size) if arguments.size else reference.size
    decoded = open_dataset(params.dataset, arguments.raw).open_frames(shard)
    pictures = ((index, bgr) for index, (_, bgr) in enumerate(decoded) if bgr is not None)
    blank: list[int] = []
    maps = fitted(baseline_maps(model, pictures, size), reference.size, blank)
    table = score_images(
        reference, tqdm(maps, total=len(reference.frames), desc=shard, disable=None, leave=False)
    )
    with atomic(arguments.out) as part:
        table.to_parquet(part, index=False)
    script.log.info(
        "%s, %s: %d images, %d skipped, %d blank maps scored as uniform",
        arguments.name,
        shard,
        len(table),
        int((table["skipped"] != "").sum()),
        len(blank),
    )


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--name", required=True, help="name of the row in the configuration")
    parser.add_argument("--options", required=True, help='its entry as JSON, such as {"model": "gbvs"}')
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="files that the model needs")
    parser.add_argument("--shard", required=True, help="the test shard")
    parser.add_argument("--shards", nargs="+", required=True, help="all test shards, for the negatives")
    parser.add_argument("--size", type=int, nargs=2, help="of the model's images; else the ground truth's")
    parser.add_argument("--raw", type=Path, required=True, help="folder of the downloaded data set")
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}, with frames and gaze")
    parser.add_argument("--out", type=Path, required=True, help="score file to write")
    script.run(main, parser.parse_args())
