"""Tables of a cross-validation: means, paired differences, per kind of video and per video.

Reads the score files of `kfold.py`, the scores per video of arch lite that ``lite_search.py --videos all`` wrote (its first
candidate, over the same folds and frames), and a list of the videos with their kind (``docs/results/hevc33/kinds.csv``, told by
eye). Writes ``kfold.csv`` (means), ``kfold_kinds.csv`` (lite minus every other row, and the rival minus every other, over all videos and per kind),
``kfold_videos.csv`` (per video: how much camera and objects move, by the optical flow, and the score of every row) and
``figures/kfold.jpg`` (the videos where lite gains and loses most against a rival). Intervals: 95 %, percentile bootstrap over
videos.

Example: ``python benchmarks/kfold_table.py --config config/hevc33.yaml --scores kfold --lite lite_parts.csv
--kinds docs/results/hevc33/kinds.csv --out docs/results/hevc33``
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from folds import METRICS
from kfold import map_path, middle_frame, thinned
from matplotlib.figure import Figure

from dynsal.camera_motion import camera_field
from dynsal.clips import Clip
from dynsal.config import Config, TableConfig, load
from dynsal.examples import view
from dynsal.figures.grids import FLOW, FRAME, TRUTH, Example, compared
from dynsal.figures.style import short_name
from dynsal.fileio import write_text
from dynsal.references import load_references
from dynsal.statistics import bootstrap_means, by_video, paired_differences
from dynsal.tables import load_scores, per_video
from dynsal.workflow import Plan

EVERY = 5
"""Fields looked at for the motion of a video: every n-th."""
LITE = "lite"
SHOWN = 3
"""Videos at either end."""


def motion(results: Path, video: str) -> dict[str, float]:
    """Return how fast the camera and the rest of a video move, in pixels of 160 per frame: means over its fields.

    The camera's motion is that of a homography, the rest's the 95th percentile of what remains.
    """
    camera, rest = [], []
    with Clip(results / "flow" / f"{video}.h5") as clip:
        scale = 160 / clip.size[0]
        for place in range(0, len(clip.frames), EVERY):
            field = clip.flow(place).astype(np.float32)
            own = camera_field(field)
            camera.append(np.hypot(own[..., 0], own[..., 1]).mean() * scale)
            rest.append(np.quantile(np.hypot(*np.moveaxis(field - own, 2, 0)), 0.95) * scale)
    return {"camera_px": float(np.mean(camera)), "objects_px": float(np.mean(rest))}


def all_means(scores: Path, lite: Path, half_life: float, videos: list[str]) -> pd.DataFrame:
    """Return the mean scores of every row, seed and video."""
    runs = {
        folder.name: sorted(int(seed.name.removeprefix("seed")) for seed in folder.glob("seed*"))
        for folder in sorted((scores / "scores").iterdir())
    }
    rivals = per_video(load_scores(scores, runs, videos), list(runs))
    own = pd.read_csv(lite)
    first = (own["candidate"] == own["candidate"].iloc[0]) & (own["half_life"] == half_life)
    rows = [own[first].assign(model=LITE), rivals]
    joined: pd.DataFrame = pd.concat(rows)[["model", "seed", "video", *METRICS]]
    return joined.reset_index(drop=True)


def means_table(means: pd.DataFrame, config: TableConfig) -> pd.DataFrame:
    """Return one row per model: seeds, videos, and the mean of every metric with its interval."""
    table = means.groupby("model").agg(seeds=("seed", "nunique"), videos=("video", "nunique"))
    for metric in METRICS:
        values = by_video(means, metric)
        found = bootstrap_means(values.to_numpy(), config.resamples, config.seed)
        for end, column in (("", found.mean), ("_lo", found.low), ("_hi", found.high)):
            table[metric + end] = pd.Series(column, index=values.columns)
    return table.reset_index()


def by_kind(means: pd.DataFrame, whole: str, kinds: pd.Series, config: TableConfig) -> pd.DataFrame:
    """Return one row minus every other, paired over videos, per metric and kind of video."""
    rows = []
    for metric in METRICS:
        values = by_video(means, metric)
        order = list(values.columns)
        for kind in ["all", *sorted(kinds.unique())]:
            chosen = values if kind == "all" else values[kinds.reindex(values.index) == kind]
            found = paired_differences(-chosen.to_numpy(), order.index(whole), config.resamples, config.seed)
            rows += [
                {
                    "metric": metric,
                    "kind": kind,
                    "row": whole,
                    "minus": model,
                    "score": chosen[whole].mean(),
                    "other": chosen[model].mean(),
                    "difference": found.mean[k],
                    "lo": found.low[k],
                    "hi": found.high[k],
                    "n_videos": found.n_videos[k],
                    "seeds": means.loc[means["model"] == model, "seed"].nunique(),
                }
                for k, model in enumerate(order)
                if model != whole
            ]
    return pd.DataFrame(rows)


def with_motion(results: Path, kinds: pd.Series) -> pd.DataFrame:
    """Return one row per video: its name, its kind and how much moves in it."""
    return pd.DataFrame(
        [{"video": video, "kind": kind, **motion(results, str(video))} for video, kind in kinds.items()]
    )


def extremes(
    arguments: argparse.Namespace,
    config: Config,
    each: pd.DataFrame,
    pair: tuple[str, str],
    videos: list[str],
) -> Figure:
    """Draw the middle frame of the videos where the first row of a pair gains and loses most in sAUC against the second."""
    first, second = pair
    gain = (each[f"sauc_{first}"] - each[f"sauc_{second}"]).set_axis(each["video"]).sort_values()
    every = load_references(arguments.results, videos, config.gaze, config.evaluate)
    references = thinned(every, arguments.every)
    examples = []
    for video in [*gain.index[-SHOWN:][::-1], *gain.index[:SHOWN][::-1]]:
        seen = view(arguments.results, video, middle_frame(references[video]), config.gaze)
        maps = {row: np.load(map_path(arguments.scores, row, 0, video)) for row in pair}
        row = each.set_index("video").loc[video]
        scores = {name: float(row[f"sauc_{name}"]) for name in pair}
        examples.append(Example(f"{gain[video]:+.2f}: {short_name(video)}", *seen, maps=maps, scores=scores))
    rule = (
        f"The {SHOWN} videos with the largest and the {SHOWN} with the smallest difference in sAUC; middle frame; "
        "maps of seed 0."
    )
    numbers = "mean sAUC of the video over frames and seeds"
    return compared(examples, [FRAME, FLOW, TRUTH, *pair], rule, numbers=numbers)


def main() -> None:
    """Aggregate, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--results", type=Path, help="results/{ds}, if elsewhere")
    parser.add_argument("--scores", type=Path, required=True, help="--out of kfold.py")
    parser.add_argument("--lite", type=Path, required=True, help="--per-video of lite_search.py")
    parser.add_argument("--half-life", type=float, default=0.1, help="of lite's memory")
    parser.add_argument("--kinds", type=Path, required=True, help="CSV with columns video and kind")
    parser.add_argument("--every", type=int, default=4, help="that of both runs")
    parser.add_argument(
        "--rival", default="early_aug", help="row that lite is drawn beside, and others are compared with"
    )
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    config = load(arguments.config)
    plan = Plan(config)
    arguments.results = arguments.results or Path("results") / plan.ds
    kinds = pd.read_csv(arguments.kinds).set_index("video")["kind"].reindex(plan.videos)
    means = all_means(arguments.scores, arguments.lite, arguments.half_life, plan.videos)
    table = means_table(means, config.table)
    of_rival = by_kind(means, arguments.rival, kinds, config.table)
    kind_table = pd.concat([by_kind(means, LITE, kinds, config.table), of_rival[of_rival["minus"] != LITE]])
    each = with_motion(arguments.results, kinds)
    for metric in ("sauc", "chi2"):
        each = each.merge(by_video(means, metric).add_prefix(f"{metric}_"), left_on="video", right_index=True)
    for name, one in (("kfold", table), ("kfold_kinds", kind_table), ("kfold_videos", each)):
        write_text(arguments.out / f"{name}.csv", one.round(4).to_csv(index=False, lineterminator="\n"))
    drawn = extremes(arguments, config, each, (LITE, arguments.rival), plan.videos)
    drawn.savefig(arguments.out / "figures" / "kfold.jpg", dpi=200, pil_kwargs={"quality": 85})
    print(table[["model", "seeds", "videos", *METRICS]].round(3).to_string(index=False))
    print(kind_table[kind_table["metric"].isin(["sauc", "chi2"])].round(3).to_string(index=False))


if __name__ == "__main__":
    main()
