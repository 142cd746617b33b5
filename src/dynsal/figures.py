"""Pictures, from score files, histories and arrays; one style, readable in print, safe for colour-blind readers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dynsal.fileio import atomic
from dynsal.metrics import METRICS

STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(  # Okabe and Ito's palette
        color=["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
    ),
    "figure.dpi": 150,
    "savefig.bbox": "tight",
    "pdf.fonttype": 42,
    "svg.hashsalt": "dynsal",
}

LABELS = {
    "spatial": "Spatial",
    "temporal": "Temporal",
    "late": "Late fusion",
    "early": "Early fusion",
    "early_aug": "Early + aug.",
    "early_no_motion": "Early, no motion",
    "early_scratch": "Early from scratch",
    "early_video": "Early, videos only",
    "deep": "Deep Conv",
    "shallow": "Shallow Conv",
    "rudoy": "Rudoy et al.",
    "gbvs": "GBVS",
    "pqft": "PQFT",
    "icl": "Hou & Zhang",
    "itti": "Itti",
    "rare_style": "RARE-style",
    "self_resemblance": "Self-resemblance",
    "spectral_residual": "Spectral res.",
    "temporal_spectral": "Temporal spec.",
    "centre": "Centre",
    "uniform": "Uniform",
    "mean_map": "Mean map",
    "human": "Human halves",
    "oracle": "True density",
}
"""How rows of the tables are written for people; other names stand for themselves."""

_KIND_COLOURS = {"net": "#0072B2", "floor": "#999999", "ceiling": "#009E73", "oracle": "#E69F00"}


def label(model: str) -> str:
    """Return the name of a row for people."""
    return LABELS.get(model, model)


def save(figure: Figure, paths: Iterable[Path]) -> None:
    """Write a figure in the format of every path's suffix, atomically and without a time stamp."""
    undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    for path in paths:
        kind = Path(path).suffix[1:]
        with mpl.rc_context(STYLE), atomic(path) as part:
            figure.savefig(part, format=kind, metadata=undated.get(kind))


def flow_colours(flow: NDArray[np.floating[Any]], bound: float) -> NDArray[np.float64]:
    """Colour a field as the paper does: hue for direction, saturation for magnitude on white.

    Parameters
    ----------
    flow
        H x W x 2, pixels.
    bound
        Magnitude of full saturation, in pixels.

    Returns
    -------
    numpy.ndarray
        H x W x 3 RGB in 0 .. 1.
    """
    u, v = np.asarray(flow, np.float64)[..., 0], np.asarray(flow, np.float64)[..., 1]
    hue = (np.arctan2(v, u) / (2 * np.pi)) % 1
    saturation = np.clip(np.hypot(u, v) / bound, 0, 1)
    return np.asarray(hsv_to_rgb(np.dstack([hue, saturation, np.ones_like(hue)])))


def colour_wheel(pixels: int = 64) -> NDArray[np.float64]:
    """Return the legend of :func:`flow_colours`, white outside the circle."""
    axis = np.linspace(-1, 1, pixels)
    u, v = np.meshgrid(axis, axis)
    wheel = flow_colours(np.dstack([u, v]), 1.0)
    wheel[np.hypot(u, v) > 1] = 1
    return wheel


def overlay(bgr: NDArray[np.uint8], saliency: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Lay a map over its frame in grey: the higher the value, the more of the colour shows.

    The map is divided by its own maximum, so colours compare places within a map and not maps with each other.
    """
    grey = np.repeat(np.asarray(bgr, np.float64).mean(axis=2, keepdims=True) / 255, 3, axis=2)
    level = np.asarray(saliency, np.float64) / max(float(np.max(saliency)), 1e-300)
    colours = np.asarray(mpl.colormaps["inferno"](level))[..., :3]
    weight = np.clip(1.6 * level, 0, 1)[..., None]
    return np.asarray((1 - weight) * (0.25 + 0.6 * grey) + weight * colours)


@dataclass(frozen=True)
class Example:
    """One row of :func:`overview`."""

    title: str
    bgr: NDArray[np.uint8]
    flow: NDArray[np.floating[Any]]
    points: NDArray[np.float64]
    truth: NDArray[np.floating[Any]]
    maps: Mapping[str, NDArray[np.floating[Any]]]
    scores: Mapping[str, float]


def overview(
    examples: Sequence[Example],
    bound: float,
    headings: tuple[str, str, str] = ("Frame", "Optical flow", "Gaze"),
) -> Figure:
    """Draw one row per example: frame, flow, gaze, and every model's map with its sAUC.

    ``bound`` is as for :func:`flow_colours`; ``headings`` are those of the columns before the models'.
    """
    names = list(examples[0].maps)
    with mpl.rc_context(STYLE):
        height, width = examples[0].bgr.shape[:2]
        size = (1.45 * (3 + len(names)) + 0.9, (1.4 * height / width + 0.24) * len(examples) + 0.2)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(examples), 3 + len(names), squeeze=False)
        for row, example in zip(axes, examples, strict=True):
            row[0].imshow(example.bgr[..., ::-1])
            set_row_title(row[0], example.title)
            row[1].imshow(flow_colours(example.flow, bound))
            row[2].imshow(overlay(example.bgr, example.truth))
            x, y = example.points.T
            row[2].plot(x, y, "o", ms=2.2, color="white", mec="black", mew=0.4)  # seen on dark and on bright
            for axis, name in zip(row[3:], names, strict=True):
                axis.imshow(overlay(example.bgr, example.maps[name]))
                score = example.scores[name]
                axis.set_xlabel("sAUC: none" if np.isnan(score) else f"sAUC {score:.2f}", labelpad=1)
            for axis in row:
                frame_picture(axis)
        for axis, title in zip(axes[0], [*headings, *map(label, names)], strict=True):
            axis.set_title(title)
        add_wheel(axes[0][1])
        return figure


def frame_picture(axis: Axes) -> None:
    """Take the ticks of a picture away and draw a thin line round it."""
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set(visible=True, color="#BBBBBB", linewidth=0.5)


def add_wheel(axis: Axes) -> None:
    """Put the legend of :func:`flow_colours` into a picture's corner."""
    wheel = axis.inset_axes((0.76, 0.72, 0.22, 0.26))
    wheel.imshow(colour_wheel())
    wheel.set_axis_off()


def set_row_title(axis: Axes, title: str) -> None:
    """Write the title of a row to the left of its first picture."""
    axis.set_ylabel(_wrapped(title), rotation=0, ha="right", va="center")


def _wrapped(title: str, width: int = 16) -> str:
    """Break after a colon and where lines get long, after underscores too: names of videos have no spaces."""
    lines = title.replace(": ", ":\n").replace("_", "_ ").splitlines()
    return "\n".join(textwrap.fill(line, width) for line in lines).replace("_ ", "_")


def curves(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw training and validation loss against the iteration; keys are ``model/seed``, one panel per model."""
    models = list(dict.fromkeys(name.split("/")[0] for name in histories))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.9 * len(models), 2.1), layout="constrained")
        axes = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
        for axis, model in zip(axes, models, strict=True):
            for name, history in histories.items():
                if name.split("/")[0] != model:
                    continue
                axis.plot(
                    history["step"], history["loss"], color="#0072B2", lw=0.7, alpha=0.6, label="training"
                )
                validated = history.dropna(subset=["val_loss"])
                if len(validated):
                    axis.plot(
                        validated["step"],
                        validated["val_loss"],
                        "o-",
                        color="#D55E00",
                        lw=0.9,
                        ms=2,
                        zorder=3,
                        label="validation",
                    )
            axis.set_title(label(model))
            axis.set_xlabel("iteration")
        axes[0].set_ylabel("loss")
        shown = [axis.get_legend_handles_labels() for axis in axes]
        unique = {name: line for lines, names in shown for line, name in zip(lines, names, strict=True)}
        axes[-1].legend(unique.values(), unique.keys(), frameon=False)
        return figure


def scores(table: pd.DataFrame, per_video: pd.DataFrame, names: Sequence[str] = ("sauc", "chi2")) -> Figure:
    """Draw every row of a table with its interval, and the test videos behind it as dots."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.3 * len(names), 0.28 * len(table) + 0.7), layout="constrained")
        axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        positions = {model: len(table) - 1 - i for i, model in enumerate(table["model"])}
        for axis, name in zip(axes, names, strict=True):
            dots = per_video[per_video["model"].isin(positions)]
            axis.plot(dots[name], dots["model"].map(positions) - 0.22, ".", color="#BBBBBB", ms=3)
            for _, row in table.iterrows():
                colour = _KIND_COLOURS.get(row["kind"], "#000000")
                height = positions[row["model"]]
                if pd.isna(row[name]):
                    edge = axis.get_yaxis_transform()
                    axis.text(0.02, height, "no value", transform=edge, va="center", color=colour)
                axis.plot([row[f"{name}_lo"], row[f"{name}_hi"]], [height, height], color=colour, lw=1.5)
                axis.plot(row[name], height, "o", color=colour, ms=4)
            better = "higher" if METRICS[name].higher_is_better else "lower"
            axis.set_xlabel(f"{METRICS[name].label} ({better} is better)")
        axes[0].set_yticks(list(positions.values()), [label(model) for model in positions])
        axes[0].set_ylim(-0.6, len(table) - 0.5)
        return figure
