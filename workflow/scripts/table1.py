"""Aggregate per-frame scores into Table 1: means over videos, bootstrap intervals, differences, provenance."""

import argparse
import json
from pathlib import Path

import pandas as pd

from dynsal import script, tables
from dynsal.config import parse
from dynsal.fileio import write_json, write_text
from dynsal.notes import common
from dynsal.originals import label
from dynsal.provenance import costs, initial_weights, record
from dynsal.workflow import Plan


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    config = parse(json.loads(arguments.params), "--params")
    plan = Plan(config)
    order = [*plan.models, *plan.floors]
    scores = tables.load_scores(
        arguments.results,
        plan.runs(),
        plan.test,
    )
    table = tables.table(scores, order, plan.ds, config.table, pd.read_csv(arguments.paper))
    out = arguments.out
    trainings = {
        f"{model}/seed{seed}": json.loads(path.read_text(encoding="utf-8"))
        for model in plan.models
        for seed in plan.seeds
        if (path := arguments.results / "models" / model / f"seed{seed}" / "provenance.json").exists()
    }
    spread = tables.seed_spread(scores, "sauc")
    notes = common(plan, scores, "table1")
    starts = {name: config.models[name].start for name in plan.models if config.models[name].start}
    others = {name: one for name, one in trainings.items() if name.split("/")[0] not in starts}
    if others:
        notes["initial weights"] = initial_weights(others)
    if starts and config.transfer:
        notes["start"] = ", ".join(
            f"{name} has learnt from {label(config.transfer.dataset)}'s still images first ({start} of Table 3, same seed)"
            for name, start in starts.items()
        )
    if len(plan.seeds) > 1:
        notes["seeds"] = "standard deviation of sAUC over seeds: " + ", ".join(
            f"{name} {spread[name]:.3f}" for name in plan.models
        )
    for name, frame in {
        "table1.csv": table,
        "table1_differences.csv": tables.differences(scores, order, config.table),
        "table1_per_video.csv": tables.per_video(scores, order),
        "costs.csv": costs(arguments.results / "benchmarks"),
    }.items():
        write_text(out / name, frame.to_csv(index=False, float_format="%.6f", lineterminator="\n"))
    write_text(out / "table1.md", tables.render(table, notes))
    write_json(
        out / "table1_provenance.json",
        {
            **record(Path(__file__).resolve().parents[2]),
            "config": config.model_dump(mode="json"),
            "videos": {"train": plan.train, "validation": plan.validation, "test": plan.test},
            "skipped": tables.skipped(scores),
            "costs": costs(arguments.results / "benchmarks").to_dict("records"),
            "trainings": trainings,
        },
    )


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}")
    parser.add_argument("--paper", type=Path, required=True, help="the paper's printed numbers")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables")
    script.run(main, parser.parse_args())
