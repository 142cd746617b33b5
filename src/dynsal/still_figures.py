"""The gallery of Table 3 (paper, figures 6 and 7): which still images it shows, and how."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from dynsal.errors import DataError
from dynsal.figures import STYLE, Example, overview

RANKS = ("best", "upper quartile", "median", "lower quartile", "worst")
"""Which images of a ranking are shown."""


def chosen_images(sauc: ArrayLike) -> dict[int, str]:
    """Return which images a gallery shows: the best, those at the quartiles and the median, and the worst.

    Parameters
    ----------
    sauc
        A score per image. Images without one (NaN) are not ranked; of equal ones the earlier counts as better.

    Returns
    -------
    dict of int to str
        Number of the image -> its rank (:data:`RANKS`), best first. Of fewer than five images none comes twice; a
        place half-way between two in the ranking, counted from 0, goes to the even one.

    Raises
    ------
    DataError
        If no image has a score.
    """
    values = np.asarray(sauc, np.float64)
    ranked = np.argsort(-values, kind="stable")[: int(np.isfinite(values).sum())]  # NaN comes last
    if not len(ranked):
        raise DataError("the score files", "no image has an sAUC", "Take shards with fixations")
    places = np.rint(np.linspace(0, len(ranked) - 1, len(RANKS))).astype(int)
    # Of names for one place the last one stays: the ends of the ranking before what is between them.
    named = {int(places[i]): RANKS[i] for i in (1, 3, 2, 4, 0)}
    return {int(ranked[place]): named[place] for place in sorted(named)}


def common_bound(fields: Iterable[NDArray[np.floating[Any]]]) -> float:
    """Return the magnitude that 99 % of the pixels of some fields stay below, in their unit; 1 if nothing moves.

    One bound for all fields of a picture keeps their colours comparable.
    """
    lengths = [np.linalg.norm(np.asarray(field, np.float64), axis=-1).ravel() for field in fields]
    return float(np.percentile(np.concatenate(lengths), 99)) or 1.0


def transfer_gallery(examples: Sequence[Example]) -> Figure:
    """Draw one row per image: image, predicted flow, fixations on their density, and every model's map with its sAUC.

    Examples have the motion predicted for the image as flow, pixels per frame. Predicted motion is small beside what a
    net's flow image can hold, so colours are full at :func:`common_bound`, which is written below.
    """
    bound = common_bound(example.flow for example in examples)
    figure = overview(examples, bound, ("Image", "Predicted motion", "Truth"))
    with mpl.rc_context(STYLE):
        text = f"Motion: hue is direction; colour is full at {bound:.2g} pixels per frame."
        figure.supxlabel(text, fontsize="medium")
    return figure
