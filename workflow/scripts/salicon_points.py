"""Sort SALICON's JSON of release 2015r1 by shard, in one pass, into one parquet file per split."""

import argparse
from pathlib import Path

from dynsal import script
from dynsal.datasets.salicon import Salicon
from dynsal.datasets.salicon_points import write_points


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    params = script.read_params(arguments)
    places = Salicon(arguments.raw, params.dataset).places(arguments.part)
    count = write_points(arguments.annotations, places, arguments.out)
    script.log.info("%s: %d positions on %d images", arguments.part, count, len(places))


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--part", required=True, choices=["train", "val"], help="split of the release")
    parser.add_argument("--raw", type=Path, required=True, help="folder of the downloaded data set")
    parser.add_argument("--annotations", type=Path, required=True, help="fixations_<part>2014.json.zip")
    parser.add_argument("--out", type=Path, required=True, help="parquet file to write")
    script.run(main, parser.parse_args())
