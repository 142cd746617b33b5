"""One shard of synthetic still images, with viewers and true densities, in the form of OSIE's release."""

import argparse
from pathlib import Path

from dynsal import script
from dynsal.datasets.demo_stills import generate


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    generate(arguments.shard, arguments.root, arguments.seed)
    script.log.info("%s: written to %s", arguments.shard, arguments.root / arguments.shard)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--shard", required=True, help="a name such as train_00")
    parser.add_argument(
        "--root", type=Path, default=Path("results/demo_stills/raw"), help="folder of the data set"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the synthetic world")
    script.run(main, parser.parse_args())
