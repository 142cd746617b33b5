"""Fetch one file of a data set's registry, or all of them: mirror folders first, then their addresses; verified."""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from dynsal import layout, script
from dynsal.download import fetch
from dynsal.manifests import write_manifest

CONNECTIONS = 4
"""Files at once, where a data set is many small ones."""


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    params = script.read_params(arguments)
    if not arguments.all:
        row = layout.registry_row(arguments.dataset, arguments.file)
        fetch(row, arguments.out, params.mirrors, arguments.dataset)
        return
    rows = layout.registry(arguments.dataset)
    folder = arguments.out.parent

    def one(row: layout.RegistryRow) -> Path:
        return fetch(row, folder / row.file, params.mirrors, arguments.dataset, progress=False)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        try:
            for _ in tqdm(pool.map(one, rows), total=len(rows), desc=arguments.dataset, disable=None):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)  # the first failure ends it; what has come stays
            raise
    script.log.info("%s: %d files", write_manifest(folder), len(rows))


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--dataset", required=True, help="name of resources/datasets/<name>.csv")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--file", help="file as listed there")
    what.add_argument("--all", action="store_true", help="all files; --out is then their manifest.json")
    parser.add_argument("--out", type=Path, required=True, help="where to put it")
    script.run(main, parser.parse_args())
