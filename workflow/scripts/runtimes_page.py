"""Turn Snakemake's benchmark files into a page for the report: wall time and memory of every step and job."""

import argparse
import json
from pathlib import Path

from dynsal import script
from dynsal.fileio import write_text
from dynsal.pages import runtimes_page
from dynsal.provenance import costs, jobs


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    record = json.loads(arguments.records[0].read_text(encoding="utf-8"))
    machines = {json.dumps(run["hardware"]): run["hardware"] for run in record.get("trainings", {}).values()}
    devices = sorted({run["device"] for run in record.get("trainings", {}).values()})
    where = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB"
        for machine in list(machines.values()) or [record["hardware"]]
    ]
    machine = "; ".join(where) + (f"; nets trained on {', '.join(devices)}" if devices else "")
    folder = arguments.benchmarks
    write_text(arguments.out, runtimes_page(arguments.title, costs(folder), jobs(folder), machine))


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--title", required=True, help="heading of the page")
    parser.add_argument(
        "--benchmarks", type=Path, required=True, help="results/{ds}/benchmarks, with a folder per step"
    )
    parser.add_argument(
        "--records",
        type=Path,
        nargs="+",
        required=True,
        help="provenance of the tables; the first tells the machine",
    )
    parser.add_argument("--out", type=Path, required=True, help="page to write")
    script.run(main, parser.parse_args())
