"""Pictures that are grids of panels: frames, flow, truth and maps beside each other (figures 3 to 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Circle
from numpy.typing import NDArray

from dynsal.figures.pictures import (
    CLIPPED,
    MAPS,
    Scale,
    colour_wheel,
    common_bound,
    common_scale,
    flow_colours,
    overlay,
)
from dynsal.figures.style import SMALL, STYLE, WIDTH, footnote, label, wrapped

FRAME, FLOW, TRUTH = "frame", "flow", "truth"
HEADINGS = {FRAME: "Frame", FLOW: "Optical flow", TRUTH: "Gaze"}
"""How the parts of an example that are no model's maps are called."""
NUMBERS = "sAUC of the frame"
"""What stands in the corners of maps, unless a picture says otherwise."""
LARGEST = 1.45
"""Inches: the widest panel."""
ROW_TITLES = 0.95
"""Inches beside the panels that titles of rows take."""
BAR = 0.55
"""Inches beside the panels that the colour bar takes."""


@dataclass(frozen=True)
class Panel:
    """One picture of a grid: H x W x 3 RGB, what stands above it and in its corner, points on it, a wheel as legend."""

    image: NDArray[Any]
    title: str = ""
    corner: str = ""
    points: NDArray[np.float64] | None = None
    wheel: bool = False


@dataclass(frozen=True)
class Example:
    """One frame with everything that a grid may show of it."""

    title: str
    bgr: NDArray[np.uint8]
    flow: NDArray[np.floating[Any]]
    points: NDArray[np.float64]
    truth: NDArray[np.floating[Any]]
    maps: Mapping[str, NDArray[np.floating[Any]]]
    scores: Mapping[str, float]


def panel_grid(
    panels: Sequence[Sequence[Panel | None]],
    rows: Sequence[str] | None = None,
    scale: Scale | None = None,
    note: str = "",
) -> Figure:
    """Draw panels in rows, all of one width, within the width of a page.

    Parameters
    ----------
    panels
        Rows of equal length; None leaves a place empty.
    rows
        Titles of the rows, at the left.
    scale
        That of the maps, for the colour bar; None if there are none.
    note
        What stands below all.
    """
    flat = [panel for row in panels for panel in row if panel]
    across, beside = len(panels[0]), ROW_TITLES * bool(rows) + BAR * (scale is not None)
    side = min(LARGEST, (WIDTH - beside) / across)
    tall = max(panel.image.shape[0] / panel.image.shape[1] for panel in flat) * side
    above = [
        max((panel.title.count("\n") + 1 if panel and panel.title else 0) for panel in row) for row in panels
    ]
    height = sum(tall + 0.13 * lines + 0.03 for lines in above) + 0.11 * (note.count("\n") + 2) * bool(note)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(side * across + beside, height), layout=_tight())
        axes = figure.subplots(len(panels), across, squeeze=False)
        for row_axes, row in zip(axes, panels, strict=True):
            for axis, panel in zip(row_axes, row, strict=True):
                _draw(axis, panel)
        for axis, title in zip(axes[:, 0], rows or (), strict=False):
            axis.set_ylabel(wrapped(title, 19), rotation=0, ha="right", va="center", fontsize=SMALL)
        if scale is not None:
            _colour_bar(figure, axes, scale)
        if note:
            footnote(figure, note)
        return figure


def _tight() -> ConstrainedLayoutEngine:
    return ConstrainedLayoutEngine(w_pad=0.015, h_pad=0.015, wspace=0, hspace=0, compress=True)


def _draw(axis: Axes, panel: Panel | None) -> None:
    if panel is None:
        axis.set_axis_off()
        return
    axis.imshow(panel.image)
    frame_picture(axis)
    if panel.title:
        axis.set_title(panel.title, pad=2)
    if panel.points is not None:
        x, y = panel.points.T
        axis.plot(x, y, "o", ms=1.3, color="white", mec="black", mew=0.3)  # seen on dark and on bright
    if panel.corner:
        write_corner(axis, panel.corner)
    if panel.wheel:
        add_wheel(axis)


def _colour_bar(figure: Figure, axes: NDArray[Any], scale: Scale) -> None:
    source = ScalarMappable(scale.norm, MAPS)
    tall = axes.shape[0]
    bar = figure.colorbar(source, ax=axes, shrink=min(1.0, 2.2 / tall), aspect=18, pad=0.01)
    ticks = [step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if step <= scale.top]
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    bar.minorticks_off()
    bar.set_label("density, times uniform", labelpad=1)
    bar.outline.set_linewidth(0.5)


def frame_picture(axis: Axes) -> None:
    """Take the ticks of a picture away and draw a thin line round it."""
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set(visible=True, color="#BBBBBB", linewidth=0.5)


def write_corner(axis: Axes, text: str) -> None:
    """Write into the lower left corner of a picture, black on white."""
    axis.text(
        0.0, 0.0, text, transform=axis.transAxes, fontsize=SMALL, va="bottom", ha="left",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
    )  # fmt: skip


def add_wheel(axis: Axes) -> None:
    """Put the legend of :func:`flow_colours` into a picture's corner."""
    wheel = axis.inset_axes((0.74, 0.70, 0.25, 0.29))
    shown = wheel.imshow(colour_wheel())
    shown.set_clip_path(Circle((0.5, 0.5), 0.5, transform=wheel.transAxes))
    wheel.set_axis_off()


@dataclass(frozen=True)
class Look:
    """What the panels of one picture share: the scale of its maps, the magnitude of full colour of its flow."""

    scale: Scale
    bound: float

    @classmethod
    def of(cls, examples: Sequence[Example], parts: Sequence[str]) -> Look:
        """Return the look for the parts that are shown of some examples."""
        shown = [example.maps[part] for example in examples for part in parts if part in example.maps]
        truths = [example.truth for example in examples if TRUTH in parts]
        return cls(common_scale([*shown, *truths]), common_bound(example.flow for example in examples))

    def panel(self, example: Example, part: str) -> Panel:
        """Return one part of an example: the frame, its flow, the truth, or the map of a model with its sAUC."""
        if part == FRAME:
            return Panel(example.bgr[..., ::-1])
        if part == FLOW:
            return Panel(flow_colours(example.flow, self.bound))
        if part == TRUTH:
            return Panel(overlay(example.bgr, example.truth, self.scale), points=example.points)
        score = example.scores[part]
        said = "no score" if np.isnan(score) else f"{score:.2f}"
        return Panel(overlay(example.bgr, example.maps[part], self.scale), corner=said)

    def note(self, parts: Sequence[str], unit: str, numbers: str = NUMBERS) -> str:
        """Return how the colours and numbers are to be read."""
        text = (
            "Maps: each divided by its mean, one logarithmic scale for all, fading into the frame at the uniform density; "
            f"at most {CLIPPED} % of the pixels lie above it. Numbers: {numbers}."
        )
        if FLOW in parts:
            text += f" Flow: hue is direction (wheel), colour is full at {self.bound:.2g} {unit}."
        return text


def compared(
    examples: Sequence[Example],
    parts: Sequence[str],
    rule: str,
    *,
    down: bool = False,
    headings: Mapping[str, str] = HEADINGS,
    unit: str = "pixels a frame",
    numbers: str = NUMBERS,
) -> Figure:
    """Draw several examples, one per row, or one per column where ``down``, with the same parts of each.

    Parameters
    ----------
    examples
        Frames of one size.
    parts
        :data:`FRAME`, :data:`FLOW`, :data:`TRUTH` and models, in order.
    rule
        How the examples were chosen, for the note below.
    down
        Parts below each other instead: for many models.
    headings
        Names of parts that are no models.
    unit
        Of the flow.
    numbers
        What the examples' scores are.
    """
    look = Look.of(examples, parts)
    grid = [[look.panel(example, part) for part in parts] for example in examples]
    if FLOW in parts:
        grid[0][parts.index(FLOW)] = replace(grid[0][parts.index(FLOW)], wheel=True)
    names = [headings.get(part) or label(part) for part in parts]
    titles = [example.title for example in examples]
    if down:
        grid = [list(row) for row in zip(*grid, strict=True)]
        names, titles = [wrapped(title, 18) for title in titles], names
    grid[0] = [replace(panel, title=name) for panel, name in zip(grid[0], names, strict=True)]
    return panel_grid(grid, titles, look.scale, f"{rule}\n{look.note(parts, unit, numbers)}")


def one_example(
    example: Example,
    parts: Sequence[str],
    rule: str,
    *,
    across: int = 5,
    headings: Mapping[str, str] = HEADINGS,
    unit: str = "pixels a frame",
) -> Figure:
    """Draw many parts of one example, each with its title; arguments as those of :func:`compared`."""
    look = Look.of([example], parts)
    cells: list[Panel | None] = [
        replace(look.panel(example, part), title=headings.get(part) or label(part), wheel=part == FLOW)
        for part in parts
    ]
    cells += [None] * (-len(cells) % across)
    grid = [cells[start : start + across] for start in range(0, len(cells), across)]
    return panel_grid(grid, None, look.scale, f"{rule}\n{look.note(parts, unit)}")
