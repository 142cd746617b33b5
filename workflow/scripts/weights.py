"""Take published Caffe weights over into one .safetensors file, checked layer by layer."""

import argparse
from pathlib import Path

from dynsal import script
from dynsal.layout import PUBLISHED_WEIGHTS
from dynsal.nets.weights import describe_initial, save_imported


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    save_imported(arguments.out, arguments.caffemodel, arguments.name)
    taken = describe_initial(arguments.out)
    script.log.info(
        "%s: %s from %s (sha256 %s)",
        arguments.out,
        ", ".join(taken["layers"]),
        taken["file"],
        taken["sha256"],
    )


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--name", required=True, choices=PUBLISHED_WEIGHTS, help="whose weights they are")
    parser.add_argument("--caffemodel", type=Path, required=True, help="the published file")
    parser.add_argument("--out", type=Path, required=True, help="the .safetensors file to write")
    script.run(main, parser.parse_args())
