"""Pictures with lines: learning curves, scores over time, ROC curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dynsal.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    STYLE,
    VERMILION,
    WIDTH,
    footnote,
    label,
)

ACROSS = 5
"""Panels of learning curves beside each other."""
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
FLOORS: dict[str, dict[str, Any]] = {
    "human": {"color": BLACK, "ls": (0, (4, 1.5))},
    "oracle": {"color": BLACK, "ls": ":"},
    "centre": {"color": GREY, "ls": (0, (4, 1.5))},
    "mean_map": {"color": GREY, "ls": "-."},
    "uniform": {"color": GREY, "ls": ":"},
}
"""Lines of the rows that no configuration names: not in the colours of models, and not solid."""


def line_styles(models: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return how each row of a table is drawn as a line; from the seventh model on, colours return dashed."""
    free = iter([(colour, dash) for dash in ("-", "--", ":") for colour in COLOURS])
    spare = cycle([(BLACK, "-")])
    styles: dict[str, dict[str, Any]] = {}
    for model in models:
        if model in FLOORS:
            styles[model] = {**FLOORS[model], "lw": 0.8}
        else:
            colour, dash = next(free, next(spare))
            styles[model] = {"color": colour, "ls": dash, "lw": 1.0}
    return styles


def curves(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw training and validation loss against the iteration; keys are ``model/seed``, one panel per model."""
    models = list(dict.fromkeys(name.split("/")[0] for name in histories))
    across = min(ACROSS, len(models))
    down = -(-len(models) // across)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(0.4 + 1.36 * across, 1.5 * down + 0.35), layout="constrained")
        axes = figure.subplots(down, across, sharey=True, squeeze=False)
        for axis in axes.flat[len(models) :]:
            axis.set_axis_off()
        for axis, model in zip(axes.flat, models, strict=False):
            for name, history in histories.items():
                if name.split("/")[0] != model:
                    continue
                axis.plot(history["step"], history["loss"], color=BLUE, lw=0.6, alpha=0.6, label="training")
                validated = history.dropna(subset=["val_loss"])
                if len(validated):
                    axis.plot(
                        validated["step"],
                        validated["val_loss"],
                        "o-",
                        color=VERMILION,
                        lw=0.9,
                        ms=2,
                        zorder=3,
                        label="validation",
                    )
            axis.set_title(label(model))
            axis.set_xlabel("iteration")
        for axis in axes[:, 0]:
            axis.set_ylabel("loss")
        shown = [axis.get_legend_handles_labels() for axis in axes.flat]
        unique = {name: line for lines, names in shown for line, name in zip(lines, names, strict=True)}
        axes[0, -1].legend(unique.values(), unique.keys(), loc="upper right")
        return figure


def smooth(values: pd.Series, window: int) -> pd.Series:
    """Return the centred running mean over ``window`` entries, of those that are not NaN; NaN where all are."""
    return values.rolling(window, center=True, min_periods=1).mean()


def over_time(scores: Mapping[str, pd.DataFrame], window: int, note: str) -> Figure:
    """Draw sAUC over the frames of videos, one panel per video, one line per model.

    Parameters
    ----------
    scores
        Title of the panel -> rows with the columns model, frame and sauc, a row per model and frame.
    window
        Frames of the running mean that is drawn.
    note
        What stands below.
    """
    names = dict.fromkeys(model for table in scores.values() for model in table["model"])
    models = sorted(names, key=FLOORS.__contains__)  # models first
    styles = line_styles(models)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.35 * len(scores) + 0.6), layout="constrained")
        axes = figure.subplots(len(scores), 1, sharey=True, squeeze=False)[:, 0]
        for axis, (title, table) in zip(axes, scores.items(), strict=True):
            for model in models:
                rows = table[table["model"] == model].sort_values("frame")
                axis.plot(rows["frame"], smooth(rows["sauc"], window), label=label(model), **styles[model])
            axis.axhline(0.5, color="#DDDDDD", lw=0.6, zorder=0)
            axis.set_title(title, loc="left")
            axis.set_ylabel("sAUC")
            axis.margins(x=0.01)
        axes[-1].set_xlabel("frame of the video")
        lines, names = axes[0].get_legend_handles_labels()
        figure.legend(lines, names, loc="outside right upper")
        footnote(figure, note)
        return figure


def roc(
    curves_of: Mapping[str, NDArray[np.float64]],
    grid: NDArray[np.float64],
    areas: Mapping[str, float],
    note: str,
) -> Figure:
    """Draw mean ROC curves: share of the fixations above a threshold against that of the negatives.

    Parameters
    ----------
    curves_of
        Model -> the mean true-positive rate at every false-positive rate of ``grid``.
    grid
        Rising, from 0 to 1.
    areas
        Model -> the area that the legend tells.
    note
        What stands below.
    """
    styles = line_styles(list(curves_of))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.5), layout="constrained")
        axis = figure.subplots()
        axis.plot([0, 1], [0, 1], color="#DDDDDD", lw=0.6)
        for model in sorted(curves_of, key=lambda name: -areas[name]):
            axis.plot(grid, curves_of[model], label=f"{label(model)}  {areas[model]:.3f}", **styles[model])
        axis.set(xlim=(0, 1), ylim=(0, 1.005), aspect="equal")
        axis.set_xlabel("share of the negatives (fixations of other videos)")
        axis.set_ylabel("share of the fixations")
        figure.legend(loc="outside right center", title="mean sAUC", alignment="left")
        footnote(figure, note)
        return figure
