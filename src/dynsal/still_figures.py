"""Pictures of still images: the gallery of Table 3 (paper, figures 6 and 7), and motion seen in single images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

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
    figure = overview(examples, bound, ("Image", "Predicted flow", "Truth"))
    with mpl.rc_context(STYLE):
        _explain(figure, bound, "px/frame")
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


def static_flow(examples: Sequence[MotionExample], unit: str) -> Figure:
    """Draw one row per image: the image and its fields in colour, such as measured, predicted and guessed motion.

    Parameters
    ----------
    examples
        All with the same fields. Colours are full at :func:`common_bound`, which is written below.
    unit
        What the fields count, such as ``px/frame``.
    """
    bound = common_bound(field for example in examples for field in example.fields.values())
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
        _explain(figure, bound, unit)
        return figure


def _explain(figure: Figure, bound: float, unit: str) -> None:
    """Write below a figure what the rim of the legend stands for."""
    figure.supxlabel(f"Motion: hue is direction; colour is full at {bound:.2g} {unit}.", fontsize="medium")
