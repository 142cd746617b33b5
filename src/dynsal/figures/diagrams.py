"""Block diagrams of nets (figures 1 and 2), drawn from what `dynsal.net_graph` saw them do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Rectangle
from numpy.typing import NDArray

from dynsal.figures.style import BLUE, GREEN, GREY, ORANGE, SKY, SMALL, STYLE, VERMILION, WIDTH, footnote
from dynsal.net_graph import Step

PICTURE = 0.8
"""Inches: width of the pictures at the ends."""
TALLEST, LOWEST = 0.62, 0.1
"""Inches: height of a block with the input's resolution, and the least one."""
RADIUS = 0.11
"""Inches, of the circles in which streams meet."""
LANE = 1.16
"""Inches that a row of blocks takes with its writing."""
TITLE, FOOT = 0.14, 0.32
"""Inches for the title of a net, and for what stands below all nets."""
TIMES = "\N{MULTIPLICATION SIGN}"
COLOURS = {
    "convolution": BLUE, "pool": VERMILION, "normalisation": GREY, "fusion": ORANGE, "deconvolution": GREEN, "dense": SKY,
    "other": "#CCCCCC",
}  # fmt: skip
_SORTS = {
    "Conv2d": "convolution", "MaxPool2d": "pool", "max_pool2d": "pool", "LocalResponse": "normalisation",
    "ConvTranspose2d": "deconvolution", "Linear": "dense",
}  # fmt: skip
_ACTIVATIONS = {"relu"}
_SYMBOLS = {"maximum": "max", "add": "+"}
"""Functions that join streams -> what stands in their circle; the name of others."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Block:
    """A step where it is drawn; functions that only bend values, such as ReLU, are part of the block before."""

    step: Step
    column: int
    lane: float
    """-1 above (the first input's own), 1 below (the second's), 0 in the middle."""
    sources: tuple[int, ...]
    sort: str
    """A key of :data:`COLOURS`, or ``input``."""
    activation: str = ""

    @property
    def joins(self) -> bool:
        """Whether streams meet here."""
        return len(self.sources) > 1

    @property
    def extent(self) -> Point:
        """Width, and height at the input's resolution, in inches; the width grows with the logarithm of the channels."""
        if self.step.kind == "input":
            return PICTURE, TALLEST
        if self.joins:
            return 2 * RADIUS, 2 * RADIUS
        return 0.05 + 0.02 * float(np.log2(self.step.shape[0] + 1)), TALLEST


def blocks(steps: Sequence[Step]) -> list[Block]:
    """Return where the steps of a net are drawn: columns by depth, lanes by the inputs that a step depends on."""
    place: dict[int, int] = {}
    made: list[Block] = []
    seen: list[frozenset[str]] = []
    inputs = [step.name for step in steps if step.kind == "input"]
    for position, step in enumerate(steps):
        if step.kind in _ACTIVATIONS:
            before = place[position] = place[step.sources[0]]
            made[before] = replace(made[before], activation=step.name)
            continue
        sources = tuple(place[source] for source in step.sources)
        own = frozenset([step.name] if step.kind == "input" else [])
        reached = own.union(*(seen[source] for source in sources))
        alone = len(inputs) == 1 or len(reached) > 1
        fuses = len(sources) > 1 or (step.kind == "Conv2d" and any(made[source].joins for source in sources))
        place[position] = len(made)
        made.append(
            Block(
                step=step,
                column=1 + max((made[source].column for source in sources), default=-1),
                lane=0.0 if alone else 2.0 * inputs.index(next(iter(reached))) - 1,
                sources=sources,
                sort="input"
                if step.kind == "input"
                else "fusion"
                if fuses
                else _SORTS.get(step.kind, "other"),
            )
        )
        seen.append(reached)
    return made


def words(step: Step) -> list[str]:
    """Return what is written below a block: kernel (and stride), channels, and the output's width and height."""
    lines = []
    if step.kernel:
        stride = f" /{step.stride[0]}" if step.stride and step.stride[0] > 1 else ""
        lines.append(f"{step.kernel[1]}{TIMES}{step.kernel[0]}{stride}")
    lines.append(f"{step.shape[0]}")
    if len(step.shape) == 3:
        lines += [f"{step.shape[2]}{TIMES}", f"{step.shape[1]}"]
    return lines


def diagrams(
    nets: Mapping[str, Sequence[Step]], pictures: Mapping[str, Mapping[str, NDArray[Any]]], note: str
) -> Figure:
    """Draw nets below each other, pictures at their ends.

    Parameters
    ----------
    nets
        Title -> steps.
    pictures
        Title -> pictures (RGB) of the inputs ``frame`` and ``flow`` and of the ``output``; a box stands for what lacks.
    note
        What stands below, after how to read the blocks.
    """
    drawn = {title: blocks(steps) for title, steps in nets.items()}
    heights = [LANE * (2 if any(block.lane for block in made) else 1) for made in drawn.values()]
    total = sum(heights) + TITLE * (len(nets) + 1) + FOOT
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, total))
        top = total - TITLE
        for height, (title, made) in zip(heights, drawn.items(), strict=True):
            count = sum(step.parameters for step in nets[title])
            figure.text(0.02 / WIDTH, top / total, f"{title}, {count:,} weights", va="top", weight="bold")
            top -= TITLE + height
            axis = figure.add_axes((0, top / total, 1, height / total))
            axis.set(xlim=(0, WIDTH), ylim=(-height / 2, height / 2))
            axis.set_axis_off()
            _draw(axis, made, pictures.get(title, {}))
        sorts = [
            sort for sort in COLOURS if any(block.sort == sort for made in drawn.values() for block in made)
        ]
        handles: list[Any] = [Rectangle((0, 0), 1, 1, color=COLOURS[sort], alpha=0.75) for sort in sorts]
        handles.append(Line2D([], [], color="black", lw=1.6))
        figure.legend(
            handles,
            [*sorts, "ReLU"],
            loc="upper right",
            ncols=len(handles),
            handlelength=1,
            borderaxespad=0.1,
        )
        reading = (
            f"Below a block: kernel (/ stride), channels, width {TIMES} height of its output; its height is the resolution, "
            "its width the logarithm of the channels."
        )
        footnote(figure, f"{reading} {note}")
        return figure


def _draw(axis: Axes, made: Sequence[Block], pictures: Mapping[str, NDArray[Any]]) -> None:
    """Draw one net in an axis whose unit is the inch."""
    pitch = (WIDTH - 2 * PICTURE - 0.1) / max(block.column for block in made)
    full = max(block.step.shape[1] for block in made if block.step.kind == "input")
    middle: list[Point] = []
    reach: list[float] = []
    for block in made:
        x = PICTURE / 2 if block.step.kind == "input" else PICTURE + 0.05 + (block.column - 0.5) * pitch
        middle.append((x, -block.lane * LANE / 2 + 0.1))
        wide, tall = block.extent
        if block.step.kind == "input":
            _picture(axis, middle[-1], pictures.get(block.step.name), block.step.name, words(block.step))
        elif block.joins:
            _circle(axis, block, middle[-1])
        else:
            size = block.step.shape[1] if len(block.step.shape) == 3 else 0
            _box(axis, block, middle[-1], (wide, max(LOWEST, tall * size / full)))
        reach.append(wide / 2)
    end = (WIDTH - PICTURE / 2, middle[-1][1])
    _picture(axis, end, pictures.get("output"), "saliency", [])
    for number, block in enumerate(made):
        for source in block.sources:
            start = (middle[source][0] + reach[source], middle[source][1])
            _arrow(axis, start, (middle[number][0] - reach[number], middle[number][1]))
    _arrow(axis, (middle[-1][0] + reach[-1], end[1]), (end[0] - PICTURE / 2, end[1]))


def _box(axis: Axes, block: Block, at: Point, extent: Point) -> None:
    (x, y), (wide, tall) = at, extent
    corner = (x - wide / 2, y - tall / 2)
    axis.add_patch(Rectangle(corner, wide, tall, facecolor=COLOURS[block.sort], edgecolor="none", alpha=0.75))
    if block.activation:
        axis.plot(
            [x + wide / 2] * 2, [y - tall / 2, y + tall / 2], color="black", lw=1.6, solid_capstyle="butt"
        )
    name = block.step.name.rsplit(".", 1)[-1].replace("_", "_\n")
    _write(axis, (x, y + tall / 2 + 0.02), name, va="bottom")
    _write(axis, (x, y - tall / 2 - 0.02), "\n".join(words(block.step)), va="top")


def _circle(axis: Axes, block: Block, at: Point) -> None:
    x, y = at
    axis.add_patch(Circle(at, RADIUS, facecolor=COLOURS[block.sort], edgecolor="none", alpha=0.75))
    _write(axis, at, _SYMBOLS.get(block.step.kind, block.step.kind), va="center")
    # Right of the arrow from below.
    _write(axis, (x + 0.012, y - RADIUS - 0.02), "\n".join(words(block.step)), va="top", ha="left")


def _picture(axis: Axes, at: Point, image: NDArray[Any] | None, name: str, below: Sequence[str]) -> None:
    """Draw a picture, or an empty box, at the end of a net."""
    x, y = at
    wide = PICTURE - 0.04
    tall = TALLEST if image is None else min(TALLEST, wide * image.shape[0] / image.shape[1])
    if image is None:
        corner = (x - wide / 2, y - tall / 2)
        axis.add_patch(Rectangle(corner, wide, tall, facecolor="white", edgecolor=GREY, lw=0.6))
    else:
        axis.imshow(
            image, extent=(x - wide / 2, x + wide / 2, y - tall / 2, y + tall / 2), aspect="auto", zorder=2
        )
    _write(axis, (x, y + tall / 2 + 0.02), name, va="bottom")
    _write(axis, (x, y - tall / 2 - 0.02), "\n".join(below).replace(f"{TIMES}\n", TIMES), va="top")


def _write(axis: Axes, at: Point, text: str, va: str, ha: str = "center") -> None:
    axis.text(*at, text, ha=ha, va=va, fontsize=SMALL, linespacing=1.0)


def _arrow(axis: Axes, start: Point, stop: Point) -> None:
    """Draw an arrow, to another lane around a corner: straight on, then up or down into the circle."""
    style = {
        "arrowstyle": "-|>,head_width=0.08,head_length=0.14",
        "lw": 0.6,
        "color": "#444444",
        "shrinkA": 0,
        "shrinkB": 0,
    }
    if start[1] == stop[1]:
        axis.annotate("", stop, start, arrowprops=style)
        return
    turn = stop[0] + RADIUS
    axis.plot([start[0], turn], [start[1]] * 2, color="#444444", lw=0.6, solid_capstyle="butt")
    edge = stop[1] + float(np.copysign(RADIUS, start[1] - stop[1]))
    axis.annotate("", (turn, edge), (turn, start[1]), arrowprops=style)
