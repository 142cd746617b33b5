"""Guesses at mistakes that no single row shows: other units, swapped axes, another origin, counting from one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynsal.findings import Findings
from dynsal.gaze import Size
from dynsal.gaze_table import Placement, Rows

ENOUGH = 5
"""Rows below which nothing is guessed."""
MOSTLY = 0.5
FAR = 0.25
"""Share of the picture's width or height by which the middle of all gaze may lie off centre: people look at the centre."""


@dataclass(frozen=True)
class Look:
    """What is known of one video and its gaze."""

    name: str
    file: str
    rows: Rows
    placed: Placement
    frames: int
    fps: float
    size: Size
    viewers: list[str]
    irregular: bool
    """Whether the frames do not come at a constant rate."""

    @property
    def positions(self) -> NDArray[np.float64]:
        """K x 2, as written in the table, of the rows that have a position."""
        table = self.rows.table[["x", "y"]].to_numpy(np.float64)
        return table[~np.isnan(table).any(axis=1)]


def guess(looks: Sequence[Look], file: str, coordinates: str, findings: Findings) -> None:
    """Note as warnings what is probably wrong with the gaze of one file, seen over all its videos."""
    looks = [look for look in looks if len(look.positions) >= ENOUGH]
    if not looks:
        return
    for kind, problem, remedy in (_position(looks, coordinates), *_time(looks)):
        if kind:
            findings.add(kind, file, None, problem, remedy, warning=True)


_NOTHING = ("", "", "")


def _position(looks: Sequence[Look], coordinates: str) -> tuple[str, str, str]:
    positions = [look.positions for look in looks]
    stacked = np.concatenate(positions)
    if stacked.min() >= 0 and stacked.max() <= 1:
        return "normalised", "all x and y lie in 0 .. 1", "Multiply them by the width and height of the video"
    outside = np.mean([_share_outside(look, swap=False) for look in looks])
    swapped = np.mean([_share_outside(look, swap=True) for look in looks])
    if outside > 0.05 and swapped < outside / 4:
        return (
            "swapped axes",
            f"{outside:.0%} of the gaze lies outside the picture, with x and y exchanged only {swapped:.0%}",
            "Are the axes swapped? x runs right, y down",
        )
    if outside > MOSTLY:
        return (
            "outside",
            f"{outside:.0%} of the gaze lies outside the picture",
            "Is it of the screen? Then write `coordinates: screen` and the screen's size into dataset.yaml"
            if coordinates == "video"
            else "Is the screen's size in dataset.yaml right, and the video shown centred at native size?",
        )
    middles = np.array([_middle(look) - 0.5 for look in looks])
    for axis, sides in enumerate((("left", "right"), ("above", "below"))):
        off = middles[:, axis]
        if (np.abs(off) > FAR).all() and len(set(np.sign(off).tolist())) == 1:
            return (
                "off centre",
                f"the gaze of every video lies far {sides[int(off[0] > 0)]} of the middle"
                if axis == 0
                else f"the gaze of every video lies far {sides[int(off[0] > 0)]} the middle",
                "Check the origin (top-left corner, y down), the offset and the scale in the overlay pictures",
            )
    return _NOTHING


def _share_outside(look: Look, *, swap: bool) -> float:
    x, y = look.placed.x + 0.5, look.placed.y + 0.5
    if swap:
        x, y = y, x
    known = ~(np.isnan(x) | np.isnan(y))
    out = (x < 0) | (x >= look.size[0]) | (y < 0) | (y >= look.size[1])
    return float(out[known].mean())


def _middle(look: Look) -> NDArray[np.float64]:
    """Return the median position as a share of the picture's sides."""
    points = np.column_stack([look.placed.x, look.placed.y])
    middle: NDArray[np.float64] = np.nanmedian(points, axis=0) / np.array(look.size)
    return middle


def _time(looks: Sequence[Look]) -> list[tuple[str, str, str]]:
    found = []
    starts = [float(look.rows.table["when"].min()) for look in looks]
    ends = [float(look.rows.table["when"].max()) for look in looks]
    if looks[0].rows.by_frame:
        past = [look.name for look, end in zip(looks, ends, strict=True) if end == look.frames]
        if min(starts) == 1 and past:
            found.append(
                (
                    "counted from 1",
                    f"the first frame is 1, and that of {past[0]} ends one frame late",
                    "Are frames counted from 1? The first must be 0",
                )
            )
    elif all(
        look.frames / look.fps > 1 and end <= look.frames / look.fps + 1
        for look, end in zip(looks, ends, strict=True)
    ):
        found.append(
            (
                "seconds",
                f"no t_ms is larger than {max(ends):g}, the videos last up to "
                f"{max(look.frames / look.fps for look in looks):.1f} s",
                "Are these seconds? t_ms is in milliseconds",
            )
        )
    return found
