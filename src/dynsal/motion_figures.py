"""Pictures of motion seen in single images, in the style of `dynsal.figures`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dynsal.figures import STYLE, add_wheel, flow_colours, frame_picture, set_row_title


@dataclass(frozen=True)
class MotionExample:
    """One row: an image (H x W x 3 BGR), fields (H x W x 2, one unit) by name, end-point errors of some of them."""

    title: str
    bgr: NDArray[np.uint8]
    fields: Mapping[str, NDArray[np.floating[Any]]]
    errors: Mapping[str, float]


def motion_rows(examples: Sequence[MotionExample]) -> Figure:
    """Draw one row per example: the image and every field, each with the magnitude of its full colour beside it.

    Every field has its own scale, the 99th percentile of its magnitude, because a net in doubt predicts the right motion
    much too weak.
    """
    names = list(examples[0].fields)
    with mpl.rc_context(STYLE):
        height, width = examples[0].bgr.shape[:2]
        size = (1.7 * (1 + len(names)) + 0.9, (1.65 * height / width + 0.26) * len(examples) + 0.2)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(examples), 1 + len(names), squeeze=False)
        for row, example in zip(axes, examples, strict=True):
            row[0].imshow(example.bgr[..., ::-1])
            set_row_title(row[0], example.title)
            for axis, name in zip(row[1:], names, strict=True):
                field = example.fields[name]
                bound = float(np.percentile(np.hypot(field[..., 0], field[..., 1]), 99))
                axis.imshow(flow_colours(field, max(bound, 1e-6)))
                error = f", error {example.errors[name]:.2f}" if name in example.errors else ""
                axis.set_xlabel(f"full at {bound:.1f} px{error}", labelpad=1)
            for axis in row:
                frame_picture(axis)
        titles = {"measured": "Measured motion", "predicted": "Predicted", "nearest": "Nearest image's"}
        for axis, name in zip(axes[0], ["Frame", *names], strict=True):
            axis.set_title(titles.get(name, name))
        add_wheel(axes[0][1])
        return figure
