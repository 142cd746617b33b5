"""Pictures of motion seen in single images, beside the measured one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dynsal.figures.grids import Panel, panel_grid
from dynsal.figures.pictures import flow_colours


@dataclass(frozen=True)
class MotionExample:
    """One row: an image (H x W x 3 BGR), fields (H x W x 2, one unit) by name, end-point errors of some of them."""

    title: str
    bgr: NDArray[np.uint8]
    fields: Mapping[str, NDArray[np.floating[Any]]]
    errors: Mapping[str, float]


def motion_rows(examples: Sequence[MotionExample]) -> Figure:
    """Draw one row per example: the image and every field, each with the magnitude of its full colour in it.

    Every field has its own scale, the 99th percentile of its magnitude, because a net in doubt predicts the right motion
    much too weak.
    """
    names = list(examples[0].fields)
    titles = {"measured": "Measured motion", "predicted": "Predicted", "nearest": "Nearest image's"}
    rows = [
        [Panel(example.bgr[..., ::-1]), *(_field(example, name) for name in names)] for example in examples
    ]
    rows[0] = [
        replace(panel, title=title)
        for panel, title in zip(rows[0], ["Frame", *(titles.get(name, name) for name in names)], strict=True)
    ]
    rows[0][1] = replace(rows[0][1], wheel=True)
    return panel_grid(rows, [example.title for example in examples], None, _NOTE)


_NOTE = (
    "The middle frame of every test video that has a label. Motion over five frames: hue is direction (wheel), colour is full "
    "at the 99th percentile of each field, in pixels, which is written into it; error: mean end-point error, pixels."
)


def _field(example: MotionExample, name: str) -> Panel:
    field = example.fields[name]
    bound = float(np.percentile(np.hypot(field[..., 0], field[..., 1]), 99))
    error = f", error {example.errors[name]:.2f}" if name in example.errors else ""
    return Panel(flow_colours(field, max(bound, 1e-6)), corner=f"{bound:.1f} px{error}")
