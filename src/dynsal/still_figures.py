"""Pictures of still images: the gallery of Table 3 (paper, figures 6 and 7), and motion seen in single images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dynsal.errors import DataError
from dynsal.figures import (
    STYLE,
    Example,
    add_wheel,
    flow_colours,
    frame_picture,
    overview,
    set_row_title,
)

RANKS = ("best", "upper quartile", "median", "lower quartile", "worst")
"""Which images of a ranking are shown."""


def chosen_images(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the images that a gallery shows: the best, those at the quartiles and the median, and the worst.

    Parameters
    ----------
    scores
        One row per image, in any columns, with its ``sauc``. Images without one are not ranked; of equal ones the
        earlier row counts as better.

    Returns
    -------
    pandas.DataFrame
        The rows of those images, best first, with a column ``rank`` (:data:`RANKS`). Of fewer than five images, none
        is shown twice; a place between two goes to the one with an even number, counted from 0.

    Raises
    ------
    DataError
        If no image has a score.
    """
    ranked = scores.dropna(subset=["sauc"]).sort_values("sauc", ascending=False, kind="stable")
    if ranked.empty:
        raise DataError("the score files", "no image has an sAUC", "Take shards with fixations")
    places = np.rint(np.linspace(0, len(ranked) - 1, len(RANKS))).astype(int)
    shown = {int(place): rank for place, rank in zip(places[::-1], RANKS[::-1], strict=True)}
    places_in_order = sorted(shown)
    return ranked.iloc[places_in_order].assign(rank=[shown[place] for place in places_in_order])


def transfer_gallery(examples: Sequence[Example], bound: float) -> Figure:
    """Draw one row per image: image, predicted flow, fixations on their density, and every model's map with its sAUC.

    Parameters
    ----------
    examples
        With the motion predicted for the image as flow, pixels per frame.
    bound
        Magnitude of full saturation, in those pixels; it is written under the first field, which has the legend.
    """
    figure = overview(examples, bound, ("Image", "Predicted flow", "Truth"))
    with mpl.rc_context(STYLE):
        _explain(figure.axes[1], bound, "px/frame")
    return figure


@dataclass(frozen=True)
class MotionExample:
    """One row of :func:`static_flow`.

    Attributes
    ----------
    title
        Written to the left.
    bgr
        The image, H x W x 3.
    fields
        Heading of the column -> H x W x 2, u right and v down, of any size with the image's shape.
    """

    title: str
    bgr: NDArray[np.uint8]
    fields: Mapping[str, NDArray[np.floating[Any]]]


def static_flow(examples: Sequence[MotionExample], bound: float, unit: str) -> Figure:
    """Draw one row per image: the image and its fields in colour, such as measured, predicted and guessed motion.

    Parameters
    ----------
    examples
        All with the same fields.
    bound, unit
        Magnitude of full saturation, and what it counts, such as ``px/frame``.
    """
    names = list(examples[0].fields)
    with mpl.rc_context(STYLE):
        height, width = examples[0].bgr.shape[:2]
        size = (1.45 * (1 + len(names)) + 0.9, (1.4 * height / width + 0.04) * len(examples) + 0.4)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(examples), 1 + len(names), squeeze=False)
        for row, example in zip(axes, examples, strict=True):
            row[0].imshow(example.bgr[..., ::-1])
            set_row_title(row[0], example.title)
            for axis, name in zip(row[1:], names, strict=True):
                axis.imshow(flow_colours(example.fields[name], bound))
            for axis in row:
                frame_picture(axis)
        for axis, title in zip(axes[0], ["Image", *names], strict=True):
            axis.set_title(title)
        add_wheel(axes[0][1])
        _explain(axes[-1][1], bound, unit)
        return figure


def _explain(axis: Any, bound: float, unit: str) -> None:
    """Write what the legend's rim stands for under a field."""
    axis.set_xlabel(f"rim: {bound:.3g} {unit}", labelpad=1)
