"""Aggregate the scores of still images into Table 3, with the printed figures and what the net's parts contribute."""

import argparse
import json
from pathlib import Path

import pandas as pd

from dynsal import script, table3, tables
from dynsal.config import Config, ConfigError, parse
from dynsal.fileio import write_json, write_text
from dynsal.provenance import record
from dynsal.table3_notes import Setting, notes


def setting(config: Config, dataset: str) -> Setting:
    """Return how the images were scored, by the configuration."""
    if config.transfer is None:
        raise ConfigError("Table 3 needs the section transfer")
    return Setting(
        dataset=dataset,
        size=config.transfer.size,
        sigma_deg=config.gaze.sigma_deg,
        pool_images=config.transfer.pool_images,
        table=config.table,
    )


def of_motion(path: Path | None) -> dict[str, str]:
    """Return a note on how well motion was predicted, on videos unseen in training."""
    if path is None:
        return {}
    found = pd.read_csv(path).set_index("model")
    cells = [
        f"{name}: error {row['epe']:.2f} [{row['epe_lo']:.2f}, {row['epe_hi']:.2f}], "
        + (
            "no correlation of magnitude is defined"
            if pd.isna(row["magnitude_cc"])
            else f"correlation of magnitude {row['magnitude_cc']:.2f}"
        )
        for name, row in found.iterrows()
    ]
    return {
        "predicted motion on unseen videos": "pixels over five frames at 320x240, means over videos; "
        + "; ".join(cells)
    }


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    config = parse(json.loads(arguments.params), "--params")
    how = setting(config, arguments.dataset)
    runs: dict[str, list[int]] = json.loads(arguments.runs)
    order, out = list(runs), arguments.out
    scores = table3.load_scores(arguments.results, runs, arguments.shards)
    table = table3.table(
        scores, order, how.dataset, how.table, pd.read_csv(arguments.paper), arguments.baselines
    )
    ablation = table3.ablation(scores, how.table)
    said = table3.verdicts(ablation)
    below = {**notes(how, table, scores, said), **of_motion(arguments.motion)}
    for name, frame in {
        "table3.csv": table,
        "table3_ablation.csv": ablation,
        "table3_differences.csv": table3.differences(scores, order, how.table),
        "table3_per_image.csv": table3.per_image(scores, order),
    }.items():
        write_text(out / name, frame.to_csv(index=False, float_format="%.6f", lineterminator="\n"))
    write_text(out / "table3.md", tables.render(table, below, table3.FORM))
    trainings = {
        f"{model}/seed{seed}": json.loads(path.read_text(encoding="utf-8"))
        for model, seeds in runs.items()
        for seed in seeds
        if (path := arguments.results / "models" / model / f"seed{seed}" / "provenance.json").exists()
    }
    write_json(
        out / "table3_provenance.json",
        {
            **record(Path(__file__).resolve().parents[2]),
            "config": config.model_dump(mode="json"),
            "rows": runs,
            "shards": arguments.shards,
            "skipped": tables.skipped(scores),
            "verdicts": said,
            "rule": table3.RULE,
            "trainings": trainings,
        },
    )


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}")
    parser.add_argument("--paper", type=Path, required=True, help="the paper's printed numbers")
    parser.add_argument(
        "--runs", required=True, help='row -> its seeds, in order, as JSON: {"early": [0, 1]}'
    )
    parser.add_argument("--baselines", nargs="*", default=[], help="which of the rows are baselines")
    parser.add_argument("--shards", nargs="+", required=True, help="test shards")
    parser.add_argument("--dataset", required=True, help="name of the data set")
    parser.add_argument("--motion", type=Path, help="static_flow.csv, for a note on the predicted motion")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables")
    script.run(main, parser.parse_args())
