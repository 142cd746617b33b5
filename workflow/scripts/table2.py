"""Aggregate per-frame scores into Table 2: the last net, and any of our own, against the baselines, floors and ceiling."""

import argparse
import json
from pathlib import Path

import pandas as pd

from dynsal import script, tables
from dynsal.baselines.rudoy.notes import SUBSTITUTIONS
from dynsal.config import Config, parse
from dynsal.config_baselines import RudoyOptions
from dynsal.fileio import write_json, write_text
from dynsal.metrics import METRICS
from dynsal.notes import common
from dynsal.provenance import record
from dynsal.workflow import Plan


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    config = parse(json.loads(arguments.params), "--params")
    plan = Plan(config)
    runs = plan.compared()
    order, rows, nets = list(runs), plan.baselines, plan.subjects()
    scores = tables.load_scores(arguments.results, runs, plan.test)
    timings = pd.read_csv(arguments.timings).set_index("model")
    # Only the published protocol makes baselines on DIEM comparable with the paper's figures.
    comparable = config.dataset.name == "diem" and config.evaluate.protocol == "published"
    table = tables.table(
        scores,
        order,
        plan.ds,
        config.table,
        pd.read_csv(arguments.paper),
        baselines=rows,
        comparable=comparable,
    )
    table["ms_per_frame"] = table["model"].map(timings["ms_per_frame"])
    best = tables.against_best(scores, order, rows, config.table)
    notes = {
        **common(plan, scores, "table2"),
        "against the best baseline": "; ".join(_in_words(best, net) for net in nets)
        + "; the best is chosen on these very videos, which favours the baselines a little",
        "time": f"one core, {timings['machine'].iloc[0]}; maps only, frames of {_sizes(timings, nets)}; "
        f"{_flow_time(timings, nets)}",
        "baselines' options": "; ".join(
            f"{name} {options.model_dump_json(exclude={'model'})}"
            for name, options in config.baselines.models.items()
        ),
    }
    models = {name: options.model for name, options in config.baselines.models.items()}
    if "temporal_spectral" in models.values():
        notes["temporal_spectral"] = "after Cui et al. 2009, from memory: no code of theirs is known"
    if "rudoy" in models.values():
        notes["rudoy"] = f"trained on the training videos of {plan.ds}{_without(config)}; " + "; ".join(
            f"{part}: {here} in place of {there}" for part, here, there in SUBSTITUTIONS
        )
    out = arguments.out
    for name, frame in {
        "table2.csv": table,
        "table2_differences.csv": tables.differences(scores, order, config.table),
        "table2_against_best.csv": best,
        "table2_per_video.csv": tables.per_video(scores, order),
    }.items():
        write_text(out / name, frame.to_csv(index=False, float_format="%.6f", lineterminator="\n"))
    write_text(out / "table2.md", tables.render(table, notes))
    write_json(
        out / "table2_provenance.json",
        {
            **record(Path(__file__).resolve().parents[2]),
            "config": config.model_dump(mode="json"),
            "videos": {"train": plan.train, "validation": plan.validation, "test": plan.test},
            "skipped": tables.skipped(scores),
            "timings": timings.reset_index().to_dict("records"),
        },
    )


def _in_words(best: pd.DataFrame, model: str) -> str:
    """Return the differences of a model to the best baseline of each metric."""
    rows = best[best["model"] == model]
    return "; ".join(
        f"{model} - {row['best_baseline']} in {METRICS[row['metric']].label}: {row['difference']:+.3f} "
        f"[{row['lo']:+.3f}, {row['hi']:+.3f}]"
        for _, row in rows.iterrows()
    )


def _sizes(timings: pd.DataFrame, nets: list[str]) -> str:
    """Return the sizes at which the models were timed."""
    others = timings.drop(index=["flow", *nets])["size"]
    own = str(timings["size"][nets[0]])
    return f"{own} ({', '.join(nets)}) and {' or '.join(sorted(set(others)))} (baselines)"


def _without(config: Config) -> str:
    """Return which of Rudoy's detectors were off."""
    off = {
        kind
        for options in config.baselines.models.values()
        if isinstance(options, RudoyOptions)
        for kind in ("faces", "people")
        if not getattr(options, kind)
    }
    return f", without {' and '.join(sorted(off))}" if off else ""


def _flow_time(timings: pd.DataFrame, nets: list[str]) -> str:
    """Return what nets need besides their own time."""
    milliseconds = float(timings["ms_per_frame"]["flow"])
    return f"{' and '.join(nets)} need{'s' * (len(nets) == 1)} flow besides, {milliseconds:.1f} ms a frame"


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}")
    parser.add_argument("--timings", type=Path, required=True, help="timings.csv")
    parser.add_argument("--paper", type=Path, required=True, help="the paper's printed numbers")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables")
    script.run(main, parser.parse_args())
