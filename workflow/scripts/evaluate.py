"""Score one trained net on every frame of the test videos; one parquet file per video."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dynsal import script
from dynsal.clips import Clip
from dynsal.device import limit_threads, pick_device
from dynsal.evaluation import Reference, fitted, score_video
from dynsal.fileio import atomic
from dynsal.inference import Predictor
from dynsal.references import load_references, score_path
from dynsal.training import load_model

Input = tuple[int, NDArray[np.uint8] | None, NDArray[np.float32] | None]


def read_inputs(results: Path, reference: Reference, inputs: tuple[str, ...]) -> Iterator[Input]:
    """Yield (frame, image or None, flow or None) of the frames to score."""
    with (
        Clip(results / "frames" / f"{reference.video}.h5") as frames,
        Clip(results / "flow" / f"{reference.video}.h5") as flow,
    ):
        wanted = set(reference.frames.tolist())
        for position, index in enumerate(frames.frames.tolist()):
            if index in wanted:
                yield (
                    index,
                    frames.bgr(position) if "frame" in inputs else None,
                    flow.flow(position).astype(np.float32) if "flow" in inputs else None,
                )


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    params = script.read_params(arguments)
    limit_threads(arguments.threads)
    net, meta = load_model(arguments.model)
    predictor = Predictor(net, meta, pick_device())
    references = load_references(arguments.results, arguments.videos, params.gaze, params.evaluate)
    start, frames, skipped = time.perf_counter(), 0, 0
    for video, reference in references.items():
        items = read_inputs(arguments.results, reference, predictor.inputs)
        with Clip(arguments.results / "frames" / f"{video}.h5") as clip:
            fps = float(clip.attrs["source_fps"])
        maps = predictor.predict_stream(items, params.evaluate.batch_size, fps)
        shown = tqdm(
            fitted(maps, reference.size), total=len(reference.frames), desc=video, disable=None, leave=False
        )
        table = score_video(reference, shown)
        with atomic(score_path(arguments.results, arguments.name, arguments.seed, video)) as part:
            table.to_parquet(part, index=False)
        clipped = predictor.clipped_pixels / max(1, predictor.flow_pixels)
        predictor.clipped_pixels = predictor.flow_pixels = 0
        script.log.info(
            "%s: %d frames, %.1f %% of the flow's pixels clipped", video, len(table), 100 * clipped
        )
        frames += len(table)
        skipped += int((table["skipped"] != "").sum())
    rate = frames / (time.perf_counter() - start)
    script.log.info(
        "%s, seed %d: %d frames of %d videos at %.1f frames/s; %d skipped, %d blank maps",
        arguments.name,
        arguments.seed,
        frames,
        len(references),
        rate,
        skipped,
        predictor.blank_maps,
    )


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--name", required=True, help="name of the model in the configuration")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors")
    parser.add_argument(
        "--results", type=Path, required=True, help="results/{ds}, with frames, flow and gaze"
    )
    parser.add_argument("--videos", nargs="+", required=True, help="test videos")
    parser.add_argument("--threads", type=int, default=8, help="at most; never more than the CPUs at hand")
    script.run(main, parser.parse_args())
