"""Score one trained net on the still images of the test shards; one parquet file per shard."""

import argparse
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dynsal import script
from dynsal.clips import Clip
from dynsal.device import limit_threads, pick_device
from dynsal.errors import DataError
from dynsal.evaluation import fitted
from dynsal.fileio import atomic
from dynsal.inference import Predictor
from dynsal.references import score_path
from dynsal.still_scoring import load_still_references, score_images
from dynsal.training import load_model

Input = tuple[int, NDArray[np.uint8] | None, NDArray[np.float32] | None]


def read_inputs(results: Path, shard: str, inputs: tuple[str, ...], motionless: bool) -> Iterator[Input]:
    """Yield (number, image or None, flow or None) of the images of a shard; a net without motion sees no flow file."""
    with contextlib.ExitStack() as opened:
        frames = opened.enter_context(Clip(results / "frames" / f"{shard}.h5"))
        flow = None
        if "flow" in inputs and not motionless:
            flow = opened.enter_context(Clip(results / "flow" / f"{shard}.h5"))
            if not np.array_equal(flow.frames, frames.frames):
                raise DataError(
                    flow.path, "is not of these images", "Delete it and run the same command again"
                )
        still = np.zeros((*frames.size[::-1], 2), np.float32)
        for position, index in enumerate(frames.frames.tolist()):
            yield (
                index,
                frames.bgr(position) if "frame" in inputs else None,
                (still if flow is None else flow.flow(position).astype(np.float32))
                if "flow" in inputs
                else None,
            )


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    params = script.read_params(arguments)
    limit_threads(arguments.threads)
    net, meta = load_model(arguments.model)
    predictor = Predictor(net, meta, pick_device())
    references = load_still_references(
        arguments.results, arguments.shards, params.dataset, params.gaze, params.evaluate
    )
    start, images, skipped = time.perf_counter(), 0, 0
    blank: list[int] = []
    for shard, reference in references.items():
        items = read_inputs(arguments.results, shard, predictor.inputs, meta.get("motion") == "none")
        maps = fitted(predictor.predict_stream(items, params.evaluate.batch_size), reference.size, blank)
        table = score_images(
            reference, tqdm(maps, total=len(reference.frames), desc=shard, disable=None, leave=False)
        )
        with atomic(score_path(arguments.results, arguments.name, arguments.seed, shard)) as part:
            table.to_parquet(part, index=False)
        images += len(table)
        skipped += int((table["skipped"] != "").sum())
    script.log.info(
        "%s, seed %d: %d images of %d shards at %.1f images/s; %d skipped, %d blank maps scored as uniform, "
        "%.1f %% of the flow's pixels clipped",
        arguments.name,
        arguments.seed,
        images,
        len(references),
        images / (time.perf_counter() - start),
        skipped,
        predictor.blank_maps + len(blank),
        100 * predictor.clipped_pixels / max(1, predictor.flow_pixels),
    )


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--name", required=True, help="name of the model in the configuration")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument(
        "--results", type=Path, required=True, help="results/{ds}, with frames, gaze and flow"
    )
    parser.add_argument("--shards", nargs="+", required=True, help="test shards")
    parser.add_argument("--threads", type=int, default=8, help="at most; never more than the CPUs at hand")
    script.run(main, parser.parse_args())
