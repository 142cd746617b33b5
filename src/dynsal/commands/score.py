"""``dynsal score``: saliency maps against gaze."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from dynsal.errors import DataError

log = logging.getLogger(__name__)

METRICS = "sauc,sauc_same_video,chi2,auc_judd,nss,cc,sim,kld"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--maps", type=Path, required=True, help="HDF5 file as `dynsal predict` writes it")
    parser.add_argument(
        "--gaze",
        type=Path,
        required=True,
        help="CSV or parquet with the columns frame (from 0), x, y in pixels of the maps (centre of the first pixel "
        "at 0), one row per fixation and frame; optionally subject, video",
    )
    parser.add_argument("--metrics", default=METRICS, help="separated by commas")
    parser.add_argument(
        "--video", help="which video of the gaze table; the others' fixations become negatives"
    )
    parser.add_argument("--negatives", type=Path, help="table with x, y of other videos' fixations, for sauc")
    parser.add_argument(
        "--gaze-size", metavar="WxH", help="size that x and y refer to, if not that of the maps"
    )
    parser.add_argument(
        "--sigma",
        metavar="PX[,PX]",
        help="standard deviation of the ground truth's Gaussian in pixels of the maps, in x and y (default: the "
        "width / 25.6, DIEM's degree)",
    )
    parser.add_argument("--out", type=Path, help="also write the table as CSV")
    parser.add_argument("--per-frame", type=Path, help="also write every frame's scores as CSV")


def run(arguments: argparse.Namespace) -> None:
    """Do the work."""
    import numpy as np

    from dynsal import scoring
    from dynsal.fileio import write_text
    from dynsal.gaze import to_working
    from dynsal.maps import MapFile

    names = chosen_metrics(arguments.metrics)
    maps = MapFile(arguments.maps)
    table, others = scoring.pick_video(scoring.read_points(arguments.gaze), arguments.video, arguments.gaze)
    if arguments.negatives is not None:
        others = scoring.read_points(arguments.negatives, ("x", "y"))
    if arguments.gaze_size:
        size = two_numbers(arguments.gaze_size, "x", "--gaze-size")
        whole = (int(size[0]), int(size[1]))
        table, others = (to_working(rows, whole, maps.size) for rows in (table, others))
    kept, negatives = scoring.inside(table, maps.size), scoring.inside(others, maps.size)
    sigma = (
        two_numbers(arguments.sigma, ",", "--sigma")
        if arguments.sigma
        else (scoring.DEFAULT_SIGMA * maps.size[0],) * 2
    )
    definition = scoring.Definition(sigma, negatives[["x", "y"]].to_numpy(np.float64))
    scores = scoring.score_maps(maps, kept, definition, names)
    result = scoring.summary(scores, names, definition)
    text = result.to_csv(index=False, float_format="%.6f", lineterminator="\n")
    if arguments.out:
        write_text(arguments.out, text)
    if arguments.per_frame:
        columns = ["frame", "n_fixations", *names, "skipped"]
        write_text(
            arguments.per_frame, scores[columns].to_csv(index=False, float_format="%.6f", lineterminator="\n")
        )
    print(text, end="")
    log.info(
        "%s: %d maps, %d fixations inside the picture, %d outside",
        arguments.maps,
        len(maps),
        len(kept),
        len(table) - len(kept),
    )


def chosen_metrics(text: str) -> list[str]:
    """Return the names of the metrics.

    Raises
    ------
    DataError
        If there is none, or an unknown one.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = sorted(set(names) - set(METRICS.split(",")))
    if unknown or not names:
        raise DataError(
            "--metrics", f"unknown: {', '.join(unknown) or 'nothing given'}", f"There are {METRICS}"
        )
    return list(dict.fromkeys(names))


def two_numbers(text: str, between: str, option: str) -> tuple[float, float]:
    """Return two positive numbers from ``AxB`` or ``A,B``; a single one counts twice.

    Raises
    ------
    DataError
        If the text is anything else.
    """
    try:
        values = [float(part) for part in text.split(between)]
    except ValueError:
        values = []
    if len(values) not in (1, 2) or not all(0 < value < float("inf") for value in values):
        raise DataError(option, f"{text!r} is not one or two positive numbers", f"Write A or A{between}B")
    return values[0], values[-1]
