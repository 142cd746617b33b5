"""Pictures of whole tables: rows with intervals, every video, speed, agreement between metrics."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from dynsal.figures.style import (
    BLUE,
    KIND_COLOURS,
    SMALL,
    STYLE,
    VERMILION,
    WIDTH,
    footnote,
    label,
    short_name,
)
from dynsal.metrics import METRICS

_GREY = np.array([0.3, 0.59, 0.11])
"""How bright red, green and blue look."""


def scores(table: pd.DataFrame, per_video: pd.DataFrame, names: Sequence[str] = ("sauc", "chi2")) -> Figure:
    """Draw every row of a table with its interval, and the test videos behind it as dots."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.24 * len(table) + 0.5), layout="constrained")
        axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        positions = {model: len(table) - 1 - i for i, model in enumerate(table["model"])}
        for axis, name in zip(axes, names, strict=True):
            dots = per_video[per_video["model"].isin(positions)]
            axis.plot(dots[name], dots["model"].map(positions) - 0.22, ".", color="#BBBBBB", ms=3)
            for _, row in table.iterrows():
                colour = KIND_COLOURS.get(row["kind"], "#000000")
                height = positions[row["model"]]
                if pd.isna(row[name]):
                    edge = axis.get_yaxis_transform()
                    axis.text(0.02, height, "no value", transform=edge, va="center", color=colour)
                axis.plot([row[f"{name}_lo"], row[f"{name}_hi"]], [height, height], color=colour, lw=1.5)
                axis.plot(row[name], height, "o", color=colour, ms=4)
            axis.set_xlabel(direction(name))
        axes[0].set_yticks(list(positions.values()), [label(model) for model in positions])
        axes[0].set_ylim(-0.6, len(table) - 0.5)
        return figure


def direction(metric: str) -> str:
    """Return a metric's name with what is better."""
    better = "higher" if METRICS[metric].higher_is_better else "lower"
    return f"{METRICS[metric].label} ({better} is better)"


def write_numbers(axis: Axes, values: pd.DataFrame, shown: AxesImage) -> None:
    """Write every value into its cell, white on dark colours; nothing for NaN."""
    numbers = values.to_numpy(np.float64)
    dark = np.asarray(shown.to_rgba(numbers))[..., :3] @ _GREY < 0.5
    for row, column in np.ndindex(numbers.shape):
        value = numbers[row, column]
        if not np.isnan(value):
            colour = "white" if dark[row, column] else "black"
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=SMALL, color=colour)


def per_video(table: pd.DataFrame, metric: str = "sauc") -> Figure:
    """Draw how a metric spreads over the videos: a box per model above, every video and model as a number below.

    Parameters
    ----------
    table
        Rows per model and video (and seed: their mean counts), with the columns model, video and the metric; models in
        the order of the table.
        Videos are drawn from the best to the worst by the mean over models.
    metric
        A key of :data:`dynsal.metrics.METRICS`.
    """
    models = list(dict.fromkeys(table["model"]))
    means = table.groupby(["model", "video"], as_index=False)[metric].mean()
    values = means.pivot(index="video", columns="model", values=metric)[models]
    better = METRICS[metric].higher_is_better
    values = values.loc[values.mean(axis=1).sort_values(ascending=not better, kind="stable").index]
    with mpl.rc_context(STYLE):
        size = (min(WIDTH, 1.8 + 0.52 * len(models)), 1.9 + 0.15 * len(values))
        figure = Figure(figsize=size, layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1.2, 0.15 * len(values)])
        columns = [values[model].dropna().to_numpy() for model in models]
        above.boxplot(
            columns, positions=range(len(models)), widths=0.5, showfliers=False,
            medianprops={"color": VERMILION, "lw": 1.2}, boxprops={"lw": 0.7}, whiskerprops={"lw": 0.7},
            capprops={"lw": 0.7},
        )  # fmt: skip
        for position, column in enumerate(columns):
            above.plot(np.full(len(column), position), column, ".", color=BLUE, ms=3, alpha=0.7)
        above.set_ylabel(direction(metric).replace(" (", "\n("))
        above.tick_params(bottom=False, labelbottom=False)
        shown = below.imshow(values, aspect="auto", cmap="cividis" if better else "cividis_r")
        write_numbers(below, values, shown)
        below.set_yticks(range(len(values)), [short_name(video) for video in values.index])
        below.set_xticks(range(len(models)), [label(model) for model in models], rotation=40, ha="right")
        below.tick_params(length=0)
        below.spines[:].set_visible(False)
        text = "Box: median and quartiles over the test videos, whiskers within 1.5 times their distance; dots: videos."
        footnote(figure, text)
        return figure


def agreement(pooled: pd.DataFrame, within: pd.DataFrame, note: str) -> Figure:
    """Draw two square tables of rank correlations between metrics, as colours and numbers.

    Parameters
    ----------
    pooled
        Over all models and videos.
    within
        Over models, the mean over videos.
    note
        What stands below.
    """
    names = [METRICS[name].label.replace(" (", "\n(") for name in pooled.index]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.7), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        for axis, values, title in (
            (left, pooled, "over all models and videos"),
            (right, within, "over models, mean of the videos"),
        ):
            shown = axis.imshow(values, vmin=-1, vmax=1, cmap="RdBu_r")
            write_numbers(axis, values, shown)
            axis.set_title(title)
            axis.set_xticks(range(len(names)), names, rotation=50, ha="right", rotation_mode="anchor")
            axis.set_yticks(range(len(names)), names)
            axis.tick_params(length=0)
            axis.spines[:].set_visible(False)
        figure.colorbar(shown, ax=[left, right], shrink=0.6, aspect=20, label="Spearman's rank correlation")
        footnote(figure, note)
        return figure
