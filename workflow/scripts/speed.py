"""Draw sAUC against frames per second on one core, for every net and baseline.

A net that looks at flow needs the flow's time besides; both speeds are drawn.
"""

import argparse
from pathlib import Path

import pandas as pd

from dynsal import script
from dynsal.figures import save
from dynsal.figures.speed import speed

FLOORS = ("human", "centre")


def points(table: pd.DataFrame, timings: pd.DataFrame) -> pd.DataFrame:
    """Return what :func:`dynsal.figures.speed.speed` draws of the rows of tables that were timed."""
    times = timings.drop_duplicates("model").set_index("model")
    rows = table[table["model"].isin(times.index)].drop_duplicates("model").copy()
    alone = rows["model"].map(times["ms_per_frame"])
    with_flow = rows["model"].map(times["inputs"].str.contains("flow"))
    rows["fps"] = 1000 / alone
    rows["fps_all"] = 1000 / (alone + with_flow * times["ms_per_frame"]["flow"])
    return rows[["model", "kind", "sauc", "sauc_lo", "sauc_hi", "fps", "fps_all"]]


def sizes(timings: pd.DataFrame) -> str:
    """Return the sizes of the frames that models were timed on."""
    return " or ".join(sorted(set(timings["size"]))).replace("x", " x ")


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    table = pd.concat(map(pd.read_csv, arguments.tables), ignore_index=True)
    nets, baselines = pd.read_csv(arguments.net_timings), pd.read_csv(arguments.timings)
    baselines = baselines[~baselines["model"].isin(nets["model"])]
    floors = table[table["model"].isin(FLOORS)].drop_duplicates("model")
    timings = pd.concat([nets, baselines], ignore_index=True)
    note = (
        f"One core of {' / '.join(sorted(set(timings['machine'])))}; frames of {sizes(nets)} for nets and flow, of "
        f"{sizes(baselines)} for baselines. Nets that look at flow: filled with the optical flow's time, open without. Bars: "
        "intervals over test videos."
    )
    save(speed(points(table, timings), floors, note), arguments.out)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="table1.csv and table2.csv")
    parser.add_argument("--net-timings", type=Path, required=True, help="net_timings.csv")
    parser.add_argument("--timings", type=Path, required=True, help="timings.csv, for the baselines")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="pictures; the suffix gives the format"
    )
    script.run(main, parser.parse_args())
