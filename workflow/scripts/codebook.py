"""The 40 motions that the static flow net chooses from: the authors', or k-means over the training videos."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dynsal import script
from dynsal.clips import Clip
from dynsal.codebook import cluster, read_codebook, write_codebook


def fields(files: list[Path], seed: int, count: int) -> Iterator[NDArray[np.floating]]:
    """Yield some random fields of every motion clip."""
    rng = np.random.default_rng(seed)
    for path in files:
        with Clip(path) as clip:
            for position in rng.permutation(len(clip))[:count].tolist():
                yield clip.flow(position)


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    if arguments.file:
        found = read_codebook(arguments.file)
    else:
        with threadpool_limits(1):  # rounding differs with the number of threads
            found = cluster(fields(arguments.motion, arguments.seed, arguments.fields), arguments.seed)
    write_codebook(arguments.out, found)
    longest = np.hypot(*found.T).max()
    script.log.info("%d motions, the longest %.1f pixels over five frames at 320x240", len(found), longest)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--motion", type=Path, nargs="+", help="motion clips of the training videos")
    source.add_argument("--file", type=Path, help="or a codebook: clusters.mat or its conversion")
    parser.add_argument("--seed", type=int, default=0, help="of pixels and of k-means")
    parser.add_argument("--fields", type=int, default=20, help="random fields of each video")
    parser.add_argument("--out", type=Path, required=True, help="codebook.npz")
    script.run(main, parser.parse_args())
