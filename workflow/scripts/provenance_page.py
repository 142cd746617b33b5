"""Turn a table's provenance into a page for the report, with checksums of the data and the weights behind it."""

import argparse
import json
from pathlib import Path

import pandas as pd

from dynsal import script
from dynsal.fileio import sampled_sha256, write_text
from dynsal.pages import provenance_page


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    record = json.loads(arguments.record.read_text(encoding="utf-8"))
    hashes = pd.DataFrame(
        [(str(path), sampled_sha256(path)) for path in arguments.files], columns=["file", "SHA-256"]
    )
    write_text(arguments.out, provenance_page(arguments.title, record, hashes))


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--title", required=True, help="heading of the page")
    parser.add_argument("--record", type=Path, required=True, help="table{n}_provenance.json")
    parser.add_argument("--files", type=Path, nargs="+", required=True, help="files to take checksums of")
    parser.add_argument("--out", type=Path, required=True, help="page to write")
    script.run(main, parser.parse_args())
