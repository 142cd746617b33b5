"""Which frames a picture shows: by their score, never by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dynsal.errors import DataError

PLACES = {"best": 0.0, "upper quartile": 0.25, "median": 0.5, "lower quartile": 0.75, "worst": 1.0}
"""Name of a rank -> its place in a ranking from the best to the worst."""
QUARTILES = tuple(PLACES)
EXTREMES = ("best", "median", "worst")
_WEAKEST_FIRST = ("upper quartile", "lower quartile", "median", "worst", "best")


def choose(scores: ArrayLike, ranks: Sequence[str] = QUARTILES) -> dict[int, str]:
    """Return which entries of a ranking are shown.

    Parameters
    ----------
    scores
        A score per entry, higher is better. Entries without one (NaN) are not ranked; of equal ones the earlier
        counts as better.
    ranks
        Keys of :data:`PLACES`.

    Returns
    -------
    dict of int to str
        Number of the entry -> its rank, best first. Where entries are few, none comes twice, and the ends and the
        median keep their names; a place half-way between two in the ranking, counted from 0, goes to the even one.

    Raises
    ------
    DataError
        If no entry has a score.
    """
    values = np.asarray(scores, np.float64)
    ranked = np.argsort(-values, kind="stable")[: int(np.isfinite(values).sum())]  # NaN comes last
    if not len(ranked):
        raise DataError("the score files", "nothing in them has an sAUC", "Take data with fixations")
    places = {name: int(np.rint(PLACES[name] * (len(ranked) - 1))) for name in ranks}
    # Of names for one place the last one stays.
    named = {places[name]: name for name in _WEAKEST_FIRST if name in places}
    return {int(ranked[place]): named[place] for place in sorted(named)}


def well_seen(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the scored rows with at least the median number of fixations of their video.

    The extremes of all frames would be those that one viewer looked at: luck, not the model. The number is the video's
    own, so that one with many viewers does not push the others out.

    Parameters
    ----------
    scores
        Rows with ``video``, ``n_fixations`` and ``sauc`` (NaN where a frame could not be scored).
    """
    scored = scores.dropna(subset=["sauc"])
    return scored[scored["n_fixations"] >= scored.groupby("video")["n_fixations"].transform("median")]


def by_mean(scores: pd.DataFrame) -> list[str]:
    """Return the videos of some scores from the best to the worst mean sAUC; those without one are left out."""
    means = scores.groupby("video", sort=False)["sauc"].mean().dropna()
    return [str(video) for video in means.sort_values(ascending=False, kind="stable").index]
