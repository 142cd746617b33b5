"""Compare training recipes on the validation videos of a configuration; test videos are never read.

Each candidate is a set of overrides of the configuration. Prints the validation loss over the iterations and, for the
final weights, the mean sAUC and chi-square over the validation videos (negatives from the other validation videos).
The data must be there: ``snakemake --configfile config/hevc33.yaml data flows``.

Example: ``python benchmarks/recipe_search.py --config config/hevc33.yaml --model early --set train.base_lr=1.0e-3
--set train.base_lr=3.0e-4 flow.bound=1.0``
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pandas as pd
import torch
from trials import override, read, trained

from dynsal.clips import Clip
from dynsal.config import Config
from dynsal.device import limit_threads
from dynsal.evaluation import fitted, score_video
from dynsal.evaluation_run import read_inputs
from dynsal.references import load_references
from dynsal.workflow import Plan


def trial(config: Config, name: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Train one model and score it on the validation videos: history, per-video means, seconds."""
    plan = Plan(config)
    results = Path("results") / plan.ds
    start = time.perf_counter()
    predictor, outcome = trained(config, name, seed, results, plan.train, plan.validation)
    seconds = time.perf_counter() - start
    rows = []
    for video, reference in load_references(results, plan.validation, config.gaze, config.evaluate).items():
        with Clip(results / "frames" / f"{video}.h5") as clip:
            fps = float(clip.attrs["source_fps"])
        items = read_inputs(results, reference, predictor.inputs)
        table = score_video(reference, fitted(predictor.predict_stream(items, fps=fps), reference.size))
        rows.append({"video": video, "sauc": table["sauc"].mean(), "chi2": table["chi2"].mean()})
    return pd.DataFrame(outcome.history), pd.DataFrame(rows), seconds


def main() -> None:
    """Run all candidates in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, nargs="+", required=True)
    parser.add_argument("--model", nargs="+", required=True, help="models of the configuration")
    parser.add_argument("--set", nargs="*", action="append", default=[], help="overrides of one candidate")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    limit_threads(torch.get_num_threads())
    values = read(arguments.config)
    for assignments in arguments.set or [[]]:
        config = override(values, assignments)
        for name in arguments.model:
            for seed in arguments.seeds:
                history, scores, seconds = trial(config, name, seed)
                losses = history.dropna(subset=["val_loss"])
                course = " ".join(f"{row.step}:{row.val_loss:.3f}" for row in losses.itertuples())
                print(
                    f"{name} seed {seed} {' '.join(assignments) or 'as configured'}: {seconds:.0f} s, "
                    f"sAUC {scores['sauc'].mean():.3f}, chi2 {scores['chi2'].mean():.3f}, "
                    f"training loss {history['loss'].iloc[-1]:.3f}, validation {course}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
