"""One synthetic video of the demo data set, with viewers and true density, in DIEM's release format."""

import argparse
from pathlib import Path

from dynsal import script
from dynsal.datasets.demo import generate


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    generate(arguments.video, arguments.root, arguments.seed)
    script.log.info("%s: written to %s", arguments.video, arguments.root / arguments.video)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--video", required=True, help="a name such as demo_pan_01_640x480")
    parser.add_argument("--root", type=Path, default=Path("results/demo/raw"), help="folder of the data set")
    parser.add_argument("--seed", type=int, default=0, help="seed of the synthetic world")
    script.run(main, parser.parse_args())
