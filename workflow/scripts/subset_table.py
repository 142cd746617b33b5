"""Print Table 1 over some of the test videos, from the score files of a finished run.

The negatives of sAUC stay as they were drawn: from all other test videos.
"""

import argparse
from pathlib import Path

import pandas as pd

from dynsal import script, tables
from dynsal.config import load
from dynsal.errors import DataError
from dynsal.fileio import write_text
from dynsal.workflow import Plan


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    plan = Plan(load(arguments.config))
    unknown = sorted(set(arguments.without) - set(plan.test))
    if unknown:
        raise DataError(
            arguments.config, f"has no test video {', '.join(unknown)}", f"It has {', '.join(plan.test)}"
        )
    kept = [video for video in plan.test if video not in arguments.without]
    scores = tables.load_scores(arguments.results, plan.runs(), kept)
    order = [*plan.models, *plan.floors]
    table = tables.table(scores, order, plan.ds, plan.config.table, pd.read_csv(arguments.paper))
    text = tables.render(table, {"videos": ", ".join(kept)})
    if arguments.out:
        write_text(arguments.out, text)
    print(text)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.set_defaults(config=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, required=True, help="results/{ds}")
    parser.add_argument("--without", nargs="+", required=True, help="test videos to leave out")
    parser.add_argument("--paper", type=Path, default=Path("resources/paper/table1.csv"))
    parser.add_argument("--out", type=Path, help="also write the Markdown here")
    script.run(main, parser.parse_args())
