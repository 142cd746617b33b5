"""Turn a table's Markdown and its CSV files into a page for the report."""

import argparse
from pathlib import Path

import pandas as pd

from dynsal import script
from dynsal.fileio import write_text
from dynsal.pages import table_page


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    details = {
        path.stem.split("_", 1)[-1].replace("_", " ").capitalize() + f" ({path.name})": pd.read_csv(path)
        for path in arguments.details
    }
    markdown = arguments.table.read_text(encoding="utf-8")
    write_text(arguments.out, table_page(arguments.title, markdown, details))


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--title", required=True, help="heading of the page")
    parser.add_argument("--table", type=Path, required=True, help="table{n}.md")
    parser.add_argument("--details", type=Path, nargs="*", default=[], help="CSV files to unfold below")
    parser.add_argument("--out", type=Path, required=True, help="page to write")
    script.run(main, parser.parse_args())
