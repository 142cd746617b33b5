"""Cross-validation over all videos of a configuration: every video is scored by nets that saw neither it nor its relatives.

Each row (a net of the configuration, with overrides) is trained once per fold and seed by the training of the workflow, and
scored by its evaluation, on every n-th frame with gaze; the negatives of the sAUC come from all other videos. So each video counts as a test
video, and a verdict hangs on all of them instead of the test split. Score files have the workflow's form and layout
(``<out>/scores/<row>/seed<n>/<video>.parquet``); what is finished is kept, so the same command goes on after an interruption.
``--floors`` scores the centre and the halves of the viewers instead. `kfold_table.py` makes tables of them.

The recipe must not be chosen by this: see `lite_search.py`, which does so on the training videos, and which cross-validates arch
lite in a fraction of the time (``--videos all``), over the same folds and frames.
The data must be there: ``snakemake --configfile config/hevc33.yaml data flows``. For nets with ``augment``, copies of videos
that are missing are made; nets that start from still images (``models.<name>.start``) need their files
(``results/osie/models/<start>/seed<n>/model.safetensors`` is a target), which have seen no video.

Example: ``python benchmarks/kfold.py --config config/hevc33.yaml --out kfold --model lite --row lite_tuned
--set models.lite.net.lite.backbone=tuned``
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from _common import SCRIPTS
from folds import METRICS, folds
from numpy.typing import NDArray
from trials import override, read, trained

from dynsal.clips import Clip
from dynsal.config import Config
from dynsal.device import limit_threads
from dynsal.evaluation import Reference, centre_map, constant, fitted, score_halves, score_video
from dynsal.evaluation_run import read_inputs
from dynsal.fileio import atomic
from dynsal.gaze import read_gaze
from dynsal.inference import Predictor
from dynsal.references import load_references, score_path, viewer_halves
from dynsal.workflow import Plan


def evaluated(
    predictor: Predictor, results: Path, reference: Reference
) -> tuple[pd.DataFrame, NDArray[np.floating]]:
    """Score a net on one video, as rule evaluate does; return the scores, and the map of the middle frame for pictures."""
    with Clip(results / "frames" / f"{reference.video}.h5") as clip:
        fps = float(clip.attrs["source_fps"])
    items = read_inputs(results, reference, predictor.inputs)
    middle, shown = middle_frame(reference), []

    def seen() -> Iterator[tuple[int, NDArray[np.floating]]]:
        for index, saliency in fitted(predictor.predict_stream(items, 8, fps), reference.size):
            if index == middle:
                shown.append(saliency)
            yield index, saliency

    return score_video(reference, seen()), shown[0]


def middle_frame(reference: Reference) -> int:
    """Return the frame of a video that pictures show: the middle one of those that are scored."""
    return int(reference.frames[len(reference.frames) // 2])


def thinned(references: dict[str, Reference], every: int) -> dict[str, Reference]:
    """Return the references with every n-th of the frames that have gaze, and those metrics that `lite_search` has."""
    chosen = {}
    for video, reference in references.items():
        fixated = [frame for frame in reference.frames.tolist() if frame in reference.points]
        chosen[video] = replace(reference, frames=np.array(fixated[::every], np.int32), names=METRICS)
    return chosen


def make_copies(config: Config, results: Path, videos: list[str], factors: list[int]) -> None:
    """Make the low-resolution copies that the workflow makes of training videos only."""
    for video in videos:
        missing = [f for f in factors if not (results / "augmented" / f"x{f}" / f"{video}.h5").is_file()]
        if missing:
            words = [
                sys.executable, SCRIPTS / "augment.py",
                "--frames", results / "frames" / f"{video}.h5", "--flow", results / "flow" / f"{video}.h5",
                "--factors", *missing, "--jpeg-quality", config.prepare.jpeg_quality,
                "--out", *(results / "augmented" / f"x{f}" / f"{video}.h5" for f in missing),
            ]  # fmt: skip
            subprocess.run([str(word) for word in words], check=True)


def map_path(out: Path, row: str, seed: int, video: str) -> Path:
    """Return the file with one map of a video."""
    return out / "maps" / row / f"seed{seed}" / f"{video}.npy"


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a score file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part:
        table.to_parquet(part, index=False)


def floors(config: Config, results: Path, references: dict[str, Reference], out: Path) -> None:
    """Score the centre, and each half of the viewers by the other."""
    for video, reference in references.items():
        write(
            score_video(reference, constant(reference, centre_map(reference.size))),
            score_path(out, "centre", 0, video),
        )
        halves = viewer_halves(read_gaze(results / "gaze" / f"{video}.parquet"), config.evaluate)
        write(score_halves(reference, halves), score_path(out, "human", 0, video))


def main() -> None:
    """Train and score one row, fold by fold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, nargs="+", required=True, help="and what is laid over it")
    parser.add_argument("--results", type=Path, help="results/{ds}, if elsewhere")
    parser.add_argument(
        "--inputs",
        type=Path,
        help="the same of another working size: what nets see, if not what they are scored at",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the score files")
    parser.add_argument("--model", help="of the configuration")
    parser.add_argument("--row", help="name of the row, if another than the model's")
    parser.add_argument("--set", nargs="*", default=[], help="overrides of the configuration")
    parser.add_argument(
        "--floors", action="store_true", help="score centre and human halves, and train nothing"
    )
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--every", type=int, default=4, help="frames with gaze that are scored: every n-th")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if not (arguments.model or arguments.floors):
        parser.error("give --model or --floors")
    limit_threads(arguments.threads)
    config = override(read(arguments.config), arguments.set)
    plan = Plan(config)
    results, row = arguments.results or Path("results") / plan.ds, arguments.row or arguments.model
    references = thinned(load_references(results, plan.videos, config.gaze, config.evaluate), arguments.every)
    if arguments.floors:
        floors(config, results, references, arguments.out)
        return
    seen_in = arguments.inputs or results
    make_copies(config, seen_in, plan.videos, plan.augment_factors(arguments.model))
    for seed in arguments.seeds:
        for number, held_out in enumerate(folds(plan.videos, arguments.folds)):
            paths = {video: score_path(arguments.out, row, seed, video) for video in held_out}
            if all(path.is_file() for path in paths.values()):
                continue
            start = time.perf_counter()
            seen = [video for video in plan.videos if video not in held_out]
            predictor, _ = trained(config, arguments.model, seed, seen_in, seen, [])
            spent = time.perf_counter() - start
            found = {video: evaluated(predictor, seen_in, references[video]) for video in held_out}
            for video, (table, shown) in found.items():
                with atomic(map_path(arguments.out, row, seed, video)) as part, part.open("wb") as stream:
                    np.save(stream, shown.astype(np.float32))
                write(table, paths[video])
            mean = np.mean([table["sauc"].mean() for table, _ in found.values()])
            print(
                f"{row}, seed {seed}, fold {number}: sAUC {mean:.3f} on {len(found)} videos; "
                f"{spent:.0f} s of training, {time.perf_counter() - start:.0f} s in all",
                flush=True,
            )


if __name__ == "__main__":
    main()
