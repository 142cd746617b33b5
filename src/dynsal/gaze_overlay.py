"""The picture that shows whether gaze and video fit: all viewers' gaze on sample frames, and all gaze against the frame."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from dynsal.figures import STYLE, save
from dynsal.gaze import Size
from dynsal.inspection import Inspected
from dynsal.video import resize

WIDTH = 400
"""Pixels to which sample frames are scaled."""
MOST = 20_000
"""Points drawn in the panel of all gaze; of more, every n-th."""
MARGIN = 1.0
"""Widths (or heights) of the frame that are shown around it at most."""


def draw_overlay(path: Path, video: Inspected) -> None:
    """Write the picture of one video as PNG; its samples must still be there."""
    points, (width, height) = video.points(), video.size
    viewers = video.viewers
    turbo = mpl.colormaps["turbo"](np.linspace(0.08, 0.92, len(viewers)))
    points["colour"] = points["subject"].map(dict(zip(viewers, turbo.tolist(), strict=True)))
    columns = (len(video.samples) + 1) // 2
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(2.4 * columns + 4.2, 2 * (2.4 * height / width + 0.25) + 0.3), layout="constrained"
        )
        grid = figure.add_gridspec(2, columns + 1, width_ratios=[2.4] * columns + [4.2])
        for number, frame in enumerate(sorted(video.samples)):
            axes = figure.add_subplot(grid[number // columns, number % columns])
            _frame(axes, video.samples[frame], points[points["frame"] == frame])
            axes.set_title(f"frame {frame}")
        axes = figure.add_subplot(grid[:, columns])
        _all(axes, points.iloc[:: max(1, -(-len(points) // MOST))], video.size)
        axes.set_title(f"all gaze against the frame: {video.outside:.1%} outside")
        figure.suptitle(f"{video.name}: {width}x{height}, {len(viewers)} viewers, one colour each")
        save(figure, [path])


def _frame(axes: Axes, picture: NDArray[np.uint8], points: pd.DataFrame) -> None:
    height, width = picture.shape[:2]
    shown = resize(picture, (WIDTH, max(1, round(WIDTH * height / width))))
    axes.imshow(shown[..., ::-1], extent=(-0.5, width - 0.5, height - 0.5, -0.5))
    axes.scatter(points["x"], points["y"], s=22, c=points["colour"], edgecolors="white", linewidths=0.6)
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_axis_off()


def _all(axes: Axes, points: pd.DataFrame, size: Size) -> None:
    width, height = size
    axes.scatter(points["x"], points["y"], s=3, c=points["colour"], alpha=0.5, linewidths=0)
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
