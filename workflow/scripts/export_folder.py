"""Write videos of hevc33 as a folder of one's own data: gaze.csv, links to the videos, dataset.yaml, split.csv."""

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from dynsal import script
from dynsal.config import DatasetConfig
from dynsal.datasets.hevc33 import Hevc33
from dynsal.errors import DataError
from dynsal.fileio import write_text


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    dataset = Hevc33(arguments.raw, DatasetConfig(name="hevc33", split="hevc33"))
    roles = dataset.videos()
    videos = arguments.videos or list(roles)
    if unknown := sorted(set(videos) - set(roles)):
        raise DataError("--videos", f"no such video: {', '.join(unknown)}", f"There are {', '.join(roles)}")
    folder = arguments.out
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    for video in videos:
        source = dataset.video_file(video)
        link = folder / "videos" / f"{video}{source.suffix}"
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(source.resolve(), link.parent.resolve()))
    table = fixations(dataset, videos)
    write_text(folder / "gaze.csv", table.to_csv(index=False, lineterminator="\n"))
    write_text(folder / "dataset.yaml", yaml.safe_dump({"px_per_deg": dataset.px_per_deg}))
    lines = [f"{video},{roles[video]}\n" for video in videos]
    write_text(folder / "split.csv", "video,split\n" + "".join(lines))
    script.log.info("%s: %d videos, %d fixations", folder, len(videos), len(table))


def fixations(dataset: Hevc33, videos: list[str]) -> pd.DataFrame:
    """Return the fixations as recorded: one row each, not one per frame."""
    rows = dataset.database.fixations
    parts = []
    for video in videos:
        subject, _, start, duration, x, y = rows[rows[:, 1] == dataset.database.clips[video].number].T
        columns = {
            "subject": subject.astype(np.int64),
            "t_ms": start,
            "duration_ms": duration,
            "x": x,
            "y": y,
        }
        parts.append(pd.DataFrame({"video": video, **columns}))
    return pd.concat(parts)


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--raw", type=Path, required=True, help="folder with video_database.mat and videos/")
    parser.add_argument("--videos", nargs="*", default=[], help="names of clips; all if left out")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    script.run(main, parser.parse_args())
