"""Aggregate per-frame scores into Table 1: means over videos, bootstrap intervals, differences, provenance."""

import argparse
import json
from pathlib import Path

import pandas as pd

from dynsal import script, tables
from dynsal.config import parse
from dynsal.fileio import write_json, write_text
from dynsal.provenance import costs, record
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
    table = tables.table1(scores, order, plan.ds, config.table, pd.read_csv(arguments.paper))
    out = arguments.out
    spread = tables.seed_spread(scores, "sauc")
    notes = {
        "sAUC": f"exact rank form; negatives are the fixations of {config.evaluate.pool_frames} frames of each other "
        "test video, or (same video) of the video's other frames",
        "intervals": f"95 %, {config.table.resamples} bootstrap resamples over videos, the same for all rows; "
        "differences between rows: table1_differences.csv",
        "density": f"Gaussian, sigma {config.gaze.sigma_deg:g} degree; maps {config.prepare.size[0]}x"
        f"{config.prepare.size[1]}; frames scored: {config.evaluate.frames}, of every "
        f"{config.prepare.frame_step}. frame"
        + (
            f" of the videos thinned to about {config.prepare.fps_target:g} per second"
            if config.prepare.fps_target
            else ""
        ),
        "skipped frames": json.dumps(tables.skipped(scores)) if tables.skipped(scores) else "none",
    }
    if len(plan.seeds) > 1:
        notes["seeds"] = "standard deviation of sAUC over seeds: " + ", ".join(
            f"{name} {spread[name]:.3f}" for name in plan.models
        )
    if config.dataset.source == "stavis":
        notes["no human row"] = (
            "DIEM's fixation maps as preprocessed for STAViS do not say who looked, and count a pixel once however "
            "many looked there"
        )
    if plan.ds == "demo":
        notes["demo"] = (
            "synthetic videos and viewers: the numbers show that the pipeline works, nothing about people"
        )
    if plan.ds != "diem":
        notes["paper"] = (
            "its figures are for DIEM and are not comparable with this data set; only the order may be"
        )
    for name, frame in {
        "table1.csv": table,
        "table1_differences.csv": tables.differences(scores, order, config.table),
        "table1_per_video.csv": tables.per_video(scores, order),
        "costs.csv": costs(arguments.results / "benchmarks"),
    }.items():
        write_text(out / name, frame.to_csv(index=False, float_format="%.6f", lineterminator="\n"))
    write_text(out / "table1.md", tables.render(table, notes))
    root = Path(__file__).resolve().parents[2]
    trainings = {
        f"{model}/seed{seed}": json.loads(path.read_text(encoding="utf-8"))
        for model in plan.models
        for seed in plan.seeds
        if (path := arguments.results / "models" / model / f"seed{seed}" / "provenance.json").exists()
    }
    write_json(
        out / "table1_provenance.json",
        {
            **record(root),
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
