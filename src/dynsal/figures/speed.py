"""The picture of scores against speed."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from dynsal.figures.style import GREY, KIND_COLOURS, SMALL, STYLE, WIDTH, footnote, label
from dynsal.figures.summaries import direction

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""


def speed(points: pd.DataFrame, floors: pd.DataFrame, note: str) -> Figure:
    """Draw sAUC against frames per second on one core, for every model.

    Parameters
    ----------
    points
        A row per model: model, kind (net or baseline), sauc, sauc_lo, sauc_hi, fps (of the map alone), fps_all (with
        the optical flow that a net needs; equal to fps where it needs none).
    floors
        Rows that cost nothing: model, sauc. Drawn as lines.
    note
        What stands below.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
        axis = figure.subplots()
        axis.set_xscale("log")
        for row in points.to_dict("records"):
            colour = KIND_COLOURS[row["kind"]]
            axis.plot([row["fps_all"]] * 2, [row["sauc_lo"], row["sauc_hi"]], color=colour, lw=0.7, alpha=0.6)
            if row["fps_all"] < row["fps"]:
                axis.plot([row["fps_all"], row["fps"]], [row["sauc"]] * 2, color=colour, lw=0.7, ls=":")
                axis.plot(row["fps"], row["sauc"], "o", mfc="white", mec=colour, ms=4)
            axis.plot(row["fps_all"], row["sauc"], "o" if row["kind"] == "net" else "s", color=colour, ms=4.5)
        axis.margins(x=0.12)
        left = axis.get_xlim()[0]
        for row in floors.to_dict("records"):
            axis.axhline(row["sauc"], color=GREY, lw=0.7, ls=(0, (4, 2)), zorder=0)
            axis.text(left, row["sauc"], f" {label(row['model'])}", va="bottom", color=GREY, fontsize=SMALL)
        _name_points(figure, axis, points)
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set_xlabel("frames per second on one core")
        axis.set_ylabel(direction("sauc"))
        footnote(figure, note)
        return figure


def _name_points(figure: Figure, axis: Axes, points: pd.DataFrame) -> None:
    """Write the names of points beside them: at the right, or where another name is near, at the left, above or below."""
    taken: list[Box] = []
    figure.draw_without_rendering()
    pixels = axis.transData.transform(points[["fps_all", "sauc"]].to_numpy())
    letter = figure.dpi * SMALL / 72
    marks = [*pixels, *axis.transData.transform(points[["fps", "sauc"]].to_numpy())]
    taken += [(x - 0.5 * letter, y - 0.5 * letter, x + 0.5 * letter, y + 0.5 * letter) for x, y in marks]
    places = [((5, 0), "left", "center"), ((-5, 0), "right", "center"), ((0, 5), "center", "bottom"), ((0, -5), "center", "top"),
              ((4, 6), "left", "bottom"), ((-4, -6), "right", "top"), ((4, -6), "left", "top"), ((-4, 6), "right", "bottom")]  # fmt: skip
    for (x, y), row in zip(pixels, points.to_dict("records"), strict=True):
        width, height = 0.55 * letter * len(label(row["model"])), 1.1 * letter
        boxes = []
        for (dx, dy), ha, va in places:
            left = x + dx * letter / SMALL - {"left": 0, "center": width / 2, "right": width}[ha]
            low = y + dy * letter / SMALL - {"bottom": 0, "center": height / 2, "top": height}[va]
            boxes.append((left, low, left + width, low + height))
        free = [sum(_cover(box, other) for other in taken) for box in boxes]
        best = int(np.argmin(free))
        (offset, ha, va), box = places[best], boxes[best]
        taken.append(box)
        axis.annotate(
            label(row["model"]), (row["fps_all"], row["sauc"]), offset, textcoords="offset points", ha=ha, va=va, fontsize=SMALL,
            color=KIND_COLOURS[row["kind"]], path_effects=[withStroke(linewidth=1.5, foreground="white")],
        )  # fmt: skip


def _cover(one: Box, other: Box) -> float:
    """Return the area that two boxes share."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, wide) * max(0.0, high)
