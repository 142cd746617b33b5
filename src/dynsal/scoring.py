"""Scoring a file of maps against gaze from a table, with the definition of every figure spelt out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dynsal.errors import DataError
from dynsal.evaluation import Reference, fitted, score_video
from dynsal.gaze import Points, Size, by_frame
from dynsal.maps import MapFile
from dynsal.metrics import METRICS
from dynsal.pools import same_video_pool

log = logging.getLogger(__name__)

_ALL_FRAMES = 2**31 - 1
DEFAULT_SIGMA = 1 / 25.6
"""Standard deviation of the density as a fraction of the width: DIEM's degree, 50 of 1280 pixels."""


@dataclass(frozen=True)
class Definition:
    """What the scores depend on besides maps and gaze."""

    sigma: tuple[float, float]
    """Standard deviations in x and y of the ground truth's Gaussian, in pixels of the maps."""
    negatives: Points
    """Of ``sauc``: fixations of other videos in pixels of the maps; without any the same video's other frames."""

    def describe(self, metric: str) -> str:
        """Return what a metric means here."""
        same = "the fixations of all other frames of this video"
        fixated = "points to the nearest pixel, multiplicity kept"
        density = (
            "p = map / sum, q = density / sum; density: one Gaussian per fixation, sigma "
            f"{self.sigma[0]:.4g} x {self.sigma[1]:.4g} px"
        )
        others = f"{len(self.negatives)} fixations of other videos" if len(self.negatives) else same
        return {
            "sauc": f"exact rank form (ties one half), {fixated}; negatives: {others}",
            "sauc_same_video": f"exact rank form (ties one half), {fixated}; negatives: {same}",
            "chi2": f"0.5 sum (p - q)^2 / (p + q); {density}",
            "auc_judd": f"exact rank form (ties one half), {fixated}; against all pixels without a fixation",
            "nss": f"mean of (map - mean) / sd over the fixations, sd with ddof 0; {fixated}",
            "cc": f"Pearson's correlation of map and density; {density}",
            "sim": f"sum min(p, q); {density}",
            "kld": f"sum q log(eps + q / (p + eps)), eps 2.2e-16; {density}",
        }[metric]


def read_points(path: Path, columns: Sequence[str] = ("frame", "x", "y")) -> pd.DataFrame:
    """Read a table of fixations, CSV or parquet: at least the given columns, and optionally video and subject.

    x runs right, y down, in pixels of the maps, the centre of the first pixel at 0; one row per fixation and frame.

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing, or a cell is no number; with the line.
    """
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(path, f"cannot be read as a table ({error})", "Write it as CSV or parquet") from None
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise DataError(
            path, f"lacks the column(s) {', '.join(missing)}; it has {', '.join(map(str, table.columns))}",
            f"One row per fixation and frame: {','.join(columns)} and optionally video,subject",
        )  # fmt: skip
    for name in columns:
        numbers = pd.to_numeric(table[name], errors="coerce")
        bad = ~np.isfinite(numbers.to_numpy(np.float64)) | ((numbers % 1 != 0) if name == "frame" else False)
        if bad.any():
            line = int(np.flatnonzero(bad)[0])
            raise DataError(
                f"{path}:{line + 2}", f"{name} is {table[name].iloc[line]}", "Correct or remove the row"
            )
        table[name] = numbers
    return table.astype({name: np.int64 if name == "frame" else np.float64 for name in columns})


def pick_video(table: pd.DataFrame, video: str | None, where: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of one video and those of all others; a table without a column ``video`` is of one.

    Raises
    ------
    DataError
        If the video is not in the table, or none is named and there are several.
    """
    if "video" not in table.columns:
        return table, table.iloc[:0]
    names = table["video"].astype(str)
    known = sorted(names.unique())
    if video is None and len(known) > 1:
        raise DataError(where, f"has {len(known)} videos: {', '.join(known)}", "Choose one with --video")
    chosen = video if video is not None else known[0]
    if chosen not in known:
        raise DataError(where, f"has no video {chosen}", f"It has {', '.join(known)}")
    return table[names == chosen], table[names != chosen]


def inside(table: pd.DataFrame, size: Size) -> pd.DataFrame:
    """Return the rows whose point lies in the picture."""
    x, y = table["x"], table["y"]
    return table[(x >= -0.5) & (x < size[0] - 0.5) & (y >= -0.5) & (y < size[1] - 0.5)]


def score_maps(
    maps: MapFile, table: pd.DataFrame, definition: Definition, names: Sequence[str] = tuple(METRICS)
) -> pd.DataFrame:
    """Return the scores of every map that the file holds, one row per frame.

    Parameters
    ----------
    maps
        The maps.
    table
        Fixations of the video, inside the picture; frames without a map are ignored.
    definition
        What the metrics mean.
    names
        Metrics to compute; the others are NaN.

    Raises
    ------
    DataError
        If no fixation falls into a frame that has a map.
    """
    seen = table[table["frame"].isin(maps.frames)]
    if seen.empty:
        raise DataError(
            maps.path, "no fixation belongs to any of its frames", "Check the frame numbers (from 0)"
        )
    reference = Reference(
        video=str(maps.path),
        frames=maps.frames.astype(np.int32),
        points=by_frame(seen),
        size=maps.size,
        sigma=definition.sigma,
        other_videos=definition.negatives,
        same_video=same_video_pool(table, _ALL_FRAMES, 0),
        names=tuple({*names, "sauc_same_video"} if "sauc" in names else names),
    )
    blank: list[int] = []
    scores = score_video(reference, fitted(maps, maps.size, blank))
    if not len(definition.negatives):
        scores["sauc"] = scores["sauc_same_video"]
    if blank:
        log.warning("%s: %d maps are zero everywhere and are scored as uniform", maps.path, len(blank))
    return scores


def summary(scores: pd.DataFrame, names: Sequence[str], definition: Definition) -> pd.DataFrame:
    """Return one row per metric: its mean over the frames that have a value, how many, and what it means."""
    rows = []
    for name in names:
        values = scores[name].dropna()
        rows.append(
            {
                "metric": name,
                "mean": values.mean() if len(values) else np.nan,
                "n_frames": len(values),
                "n_skipped": len(scores) - len(values),
                "better": "higher" if METRICS[name].higher_is_better else "lower",
                "definition": definition.describe(name),
            }
        )
    return pd.DataFrame(rows)
