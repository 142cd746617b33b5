"""Score one trained net on every frame of the test videos; one parquet file per video."""

import argparse
import contextlib
import time
from pathlib import Path

from dynsal import script
from dynsal.evaluation_run import Job, score_videos


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    params = script.read_params(arguments)
    processes = min(arguments.processes, len(arguments.videos))
    job = Job(
        name=arguments.name,
        seed=arguments.seed,
        model=arguments.model,
        results=arguments.results,
        videos=arguments.videos,
        gaze=params.gaze,
        evaluate=params.evaluate,
        threads=arguments.threads // max(1, processes),
    )
    start, scored = time.perf_counter(), []
    with contextlib.closing(score_videos(job, processes)) as videos:
        for one in videos:
            script.log.info(
                "%s: %d frames, %.1f %% of the flow's pixels clipped",
                one.video,
                one.frames,
                100 * one.clipped,
            )
            scored.append(one)
    frames = sum(one.frames for one in scored)
    script.log.info(
        "%s, seed %d: %d frames of %d videos at %.1f frames/s; %d skipped, %d blank maps",
        arguments.name,
        arguments.seed,
        frames,
        len(scored),
        frames / (time.perf_counter() - start),
        sum(one.skipped for one in scored),
        sum(one.blank_maps for one in scored),
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
    parser.add_argument(
        "--processes", type=int, default=1, help="that share the videos and the threads; for CPUs"
    )
    script.run(main, parser.parse_args())
