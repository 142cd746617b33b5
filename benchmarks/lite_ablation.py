"""What the parts of arch `lite` are worth, and on which videos: paired differences over the videos of a cross-validation.

Reads the scores per video that ``lite_search.py --per-video`` wrote. The candidate named first is the whole net; every
other one, and every other half-life of the memory, is compared with it, seed by seed averaged. Writes ``lite_ablation.csv``
(differences, whole net minus candidate, over all videos and per kind, 95 % intervals by bootstrap over videos), those over all
videos as a table to read and as a picture (``lite_ablation.md``, ``figures/lite_ablation.png``: candidate minus whole net),
and ``figures/lite_parts.png`` (the gain by motion and by memory over how much moves in a video).

Example: ``python benchmarks/lite_ablation.py --config config/hevc33.yaml --per-video lite_parts.csv
--kinds docs/results/hevc33/kinds.csv --out docs/results/hevc33``
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from kfold_table import by_kind, with_motion
from matplotlib.figure import Figure

from dynsal.config import load
from dynsal.figures import save
from dynsal.figures.style import BLUE, GREEN, ORANGE, STYLE, VERMILION, WIDTH
from dynsal.fileio import write_text
from dynsal.metrics import METRICS
from dynsal.statistics import by_video
from dynsal.workflow import Plan

COLOURS = {"faces": BLUE, "moving camera": VERMILION, "moving objects": GREEN, "screen content": ORANGE}
WHOLE = "whole"
SHOWN = ("sauc", "chi2", "cc", "nss", "kld")
NAMED = 3
"""Videos at either end whose names are written."""


def variants(scores: pd.DataFrame, half_life: float) -> pd.DataFrame:
    """Return the scores with a column ``model``: ``whole``, or the one thing in which a row differs from the whole net."""
    first = str(scores["candidate"].iloc[0])
    scores = scores[(scores["candidate"] == first) | (scores["half_life"] == half_life)]
    words = set(first.split())

    def name(candidate: str, memory: float) -> str:
        own = set(candidate.split())
        added = sorted(own - words)
        keys = {word.split("=")[0] for word in added}
        gone = [word for word in sorted(words - own) if word.split("=")[0] not in keys]
        changed = [f"without {word}" for word in gone] + added
        changed += [] if memory == half_life else [f"memory={memory:g}"]
        return ", ".join(changed) or WHOLE

    pairs = zip(scores["candidate"], scores["half_life"], strict=True)
    named = scores.assign(model=[name(*pair) for pair in pairs])
    return named.drop_duplicates(["model", "seed", "video"])  # several files may have the whole net


def readable(row: str) -> str:
    """Return a row's name without the keys' common beginning."""
    return row.replace("models.lite.net.lite.", "").replace("models.lite.train.", "")


def summary(table: pd.DataFrame) -> str:
    """Return the differences over all videos as a Markdown table: a candidate minus the whole net, bold if clear of zero."""
    rows = table[table["kind"] == "all"]
    order = ranked(rows)
    lines = ["| changed | seeds | " + " | ".join(METRICS[name].label for name in SHOWN) + " |"]
    lines.append("| --- " * (2 + len(SHOWN)) + "|")
    for row in order:
        cells = [readable(row), f"{_one(rows, row, 'sauc')['seeds']:.0f}"]
        for metric in SHOWN:
            found = _one(rows, row, metric)
            shown = f"{-found['difference']:+.3f} [{-found['hi']:.3f}, {-found['lo']:.3f}]"
            cells.append(f"**{shown}**" if found["lo"] * found["hi"] > 0 else shown)
        lines.append("| " + " | ".join(cells) + " |")
    whole = {metric: _one(rows, order[0], metric)["score"] for metric in SHOWN}
    lines.append(f"\nThe whole net: {', '.join(f'{METRICS[m].label} {whole[m]:.3f}' for m in SHOWN)}.")
    return "\n".join(lines) + "\n"


def ranked(rows: pd.DataFrame) -> list[str]:
    """Return the candidates, that of the highest sAUC first."""
    sauc = rows[rows["metric"] == "sauc"].set_index("minus")["other"]
    return [str(name) for name in sauc.sort_values(ascending=False, kind="stable").index]


def forest(table: pd.DataFrame) -> Figure:
    """Draw what every change does to sAUC and chi-square over all videos: candidate minus whole net, with its interval."""
    rows = table[table["kind"] == "all"]
    order = ranked(rows)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.6 + 0.2 * len(order)), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        for axis, metric in zip(axes, ("sauc", "chi2"), strict=True):
            info = METRICS[metric]
            for place, row in enumerate(order):
                found = _one(rows, row, metric)
                middle, ends = -found["difference"], [-found["hi"], -found["lo"]]
                better = (middle > 0) == info.higher_is_better
                clear = found["lo"] * found["hi"] > 0
                colour = "0.5" if not clear else BLUE if better else VERMILION
                axis.plot(ends, [place, place], color=colour, lw=1)
                axis.plot(middle, place, "o", color=colour, ms=3)
            axis.axvline(0, color="0.7", lw=0.6)
            axis.set_title(f"{info.label} ({'higher' if info.higher_is_better else 'lower'} is better)")
            axis.set_xlabel("changed minus whole net")
        axes[0].set_yticks(range(len(order)), [readable(row) for row in order])
        axes[0].invert_yaxis()
    return figure


def _one(rows: pd.DataFrame, row: str, metric: str) -> pd.Series:
    return rows[(rows["minus"] == row) & (rows["metric"] == metric)].iloc[0]


def picture(each: pd.DataFrame, gains: dict[str, pd.Series]) -> Figure:
    """Draw gains per video (by name) over how much moves in a video."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
        axes = figure.subplots(1, len(gains), squeeze=False)[0]
        moved = (each["camera_px"] + each["objects_px"]).set_axis(each["video"])
        kinds = each.set_index("video")["kind"]
        for axis, (title, gain) in zip(axes, gains.items(), strict=True):
            axis.axhline(0, color="0.7", lw=0.6)
            for kind, colour in COLOURS.items():
                here = kinds.index[kinds == kind]
                axis.scatter(moved[here], gain[here], s=10, color=colour, label=kind)
            for video in [*gain.nlargest(NAMED).index, *gain.nsmallest(NAMED).index]:
                axis.annotate(
                    video, (moved[video], gain[video]), xytext=(3, 2), textcoords="offset points", fontsize=5
                )
            axis.set_xscale("log")
            axis.set_xlabel("motion of camera and objects, pixels of 160 per frame")
            axis.set_title(title)
        axes[0].legend()
    return figure


def main() -> None:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--results", type=Path, help="results/{ds}, if elsewhere")
    parser.add_argument("--per-video", type=Path, nargs="+", required=True, help="the whole net's first")
    parser.add_argument("--kinds", type=Path, required=True, help="CSV with columns video and kind")
    parser.add_argument("--half-life", type=float, default=0.1, help="of the whole net's memory")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    config = load(arguments.config)
    plan = Plan(config)
    kinds = pd.read_csv(arguments.kinds).set_index("video")["kind"].reindex(plan.videos)
    means = variants(pd.concat(map(pd.read_csv, arguments.per_video)), arguments.half_life)
    table = by_kind(means, WHOLE, kinds, config.table)
    write_text(arguments.out / "lite_ablation.csv", table.round(4).to_csv(index=False, lineterminator="\n"))
    write_text(arguments.out / "lite_ablation.md", summary(table))
    save(forest(table), [arguments.out / "figures" / "lite_ablation.png"])
    values = by_video(means, "sauc")
    drawn = {
        f"sAUC gained by {part}": values[WHOLE] - values[row]
        for part, row in (("motion", "models.lite.net.lite.motion=false"), ("memory", "memory=0"))
    }
    each = with_motion(arguments.results or Path("results") / plan.ds, kinds)
    save(picture(each, drawn), [arguments.out / "figures" / "lite_parts.png"])
    for kind in ("all", *COLOURS):
        print(
            table[(table["kind"] == kind) & table["metric"].isin(["sauc", "chi2", "cc"])]
            .round(3)
            .to_string(index=False)
        )
    moved = (each["camera_px"] + each["objects_px"]).set_axis(each["video"])
    for title, gain in drawn.items():
        print(f"{title}: rank correlation with motion {moved.corr(gain, method='spearman'):.2f}")


if __name__ == "__main__":
    main()
