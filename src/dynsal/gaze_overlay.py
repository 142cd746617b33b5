"""The picture that shows whether gaze and video fit: all viewers' gaze on sample frames, and all gaze against the frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from dynsal.figures import STYLE, save
from dynsal.video import resize

if TYPE_CHECKING:
    from dynsal.validation import VideoReport

WIDTH = 400
"""Pixels to which sample frames are scaled."""
MOST = 20_000
"""Points drawn in the panel of all gaze; of more, every n-th."""
MARGIN = 1.0
"""Widths (or heights) of the frame that are shown around it at most."""


def draw_overlay(path: Path, report: VideoReport) -> None:
    """Write the picture of one video as PNG."""
    frames = sorted(report.footage.samples)
    columns = (len(frames) + 1) // 2
    aspect = report.footage.size[1] / report.footage.size[0]
    colours = dict(
        zip(report.viewers, mpl.colormaps["turbo"](np.linspace(0, 1, len(report.viewers))), strict=True)
    )
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.4 * columns + 4.2, 2 * (2.4 * aspect + 0.25) + 0.3), layout="constrained")
        grid = figure.add_gridspec(2, columns + 1, width_ratios=[2.4] * columns + [4.2])
        for number, frame in enumerate(frames):
            axes = figure.add_subplot(grid[number // columns, number % columns])
            _frame(axes, report, frame, colours)
        _all(figure.add_subplot(grid[:, columns]), report, colours)
        figure.suptitle(
            f"{report.name}: {report.footage.size[0]}x{report.footage.size[1]}, {len(report.viewers)} viewers "
            "(one colour each)"
        )
        save(figure, [path])


def _frame(axes: Axes, report: VideoReport, frame: int, colours: dict[str, Any]) -> None:
    width, height = report.footage.size
    picture = report.footage.samples[frame]
    shown = resize(picture, (WIDTH, max(1, round(WIDTH * height / width))))
    axes.imshow(shown[..., ::-1], extent=(-0.5, width - 0.5, height - 0.5, -0.5))
    here = report.points[report.points["frame"] == frame]
    axes.scatter(
        here["x"], here["y"], s=22, c=_coloured(here["subject"], colours), edgecolors="white", linewidths=0.6
    )
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[])
    axes.set_title(f"frame {frame}: {int(here['inside'].sum())} points")


def _all(axes: Axes, report: VideoReport, colours: dict[str, Any]) -> None:
    width, height = report.footage.size
    points = report.points.iloc[:: max(1, -(-len(report.points) // MOST))]
    axes.scatter(
        points["x"], points["y"], s=3, c=_coloured(points["subject"], colours), alpha=0.5, linewidths=0
    )
    axes.add_patch(Rectangle((-0.5, -0.5), width, height, fill=False, edgecolor="black", linewidth=1.5))
    axes.plot(width / 2 - 0.5, height / 2 - 0.5, "+", color="black", markersize=12)
    for side, values, set_limits in (
        (width, points["x"], axes.set_xlim),
        (height, points["y"], axes.set_ylim),
    ):
        low, high = (values.min(), values.max()) if len(values) else (0, 0)
        set_limits(
            max(min(low, -0.5) - 0.04 * side, -MARGIN * side),
            min(max(high, side - 0.5) + 0.04 * side, (1 + MARGIN) * side),
        )
    axes.invert_yaxis()
    axes.set_aspect("equal")
    axes.set_title(f"all gaze against the frame: {report.outside:.1%} outside")


def _coloured(subjects: Any, colours: dict[str, Any]) -> NDArray[np.float64]:
    return np.array([colours[subject] for subject in subjects]).reshape(-1, 4)
