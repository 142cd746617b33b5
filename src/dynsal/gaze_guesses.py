"""Guesses at mistakes that no single row shows: other units, swapped axes, another origin, counting from one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynsal.findings import Findings
from dynsal.inspection import Inspected

ENOUGH = 5
"""Rows below which nothing is guessed."""
MOSTLY = 0.5
FAR = 0.25
"""Share of the picture's width or height by which the middle of all gaze may lie off centre: people look there first."""


CERTAIN = 0.2
"""Share of the gaze outside the picture from which exchanged axes, if they explain all but a twentieth of it, are sure."""


class Guess(NamedTuple):
    """A mistake that the gaze looks like."""

    kind: str
    problem: str
    remedy: str
    certain: bool = False


def guess(videos: Sequence[Inspected], file: str, coordinates: str, findings: Findings) -> None:
    """Note what is wrong with the gaze, seen over all videos together: a problem if it is as good as certain, or a warning."""
    videos = [video for video in videos if video.known.sum() >= ENOUGH]
    if not videos:
        return
    for found in (*_position(videos, coordinates), *_time(videos)):
        findings.add(found.kind, file, None, found.problem, found.remedy, warning=not found.certain)


def _position(videos: Sequence[Inspected], coordinates: str) -> list[Guess]:
    stacked = np.concatenate([video.rows.table.loc[video.known, ["x", "y"]].to_numpy() for video in videos])
    if stacked.min() >= 0 and stacked.max() <= 1:
        remedy = "Multiply them by the width and height of the video"
        return [Guess("normalised", "all x and y lie in 0 .. 1", remedy, certain=True)]
    outside = np.mean([_share_outside(video, swap=False) for video in videos])
    swapped = np.mean([_share_outside(video, swap=True) for video in videos])
    if outside > 0.05 and swapped < outside / 4:
        guessed = Guess(
            "swapped axes",
            f"{outside:.0%} of the gaze lies outside the picture, with x and y exchanged only {swapped:.0%}",
            "Are the axes swapped? x runs right, y down",
            certain=bool(outside > CERTAIN and swapped < outside / 20),
        )
        return [guessed]
    if outside > MOSTLY:
        guessed = Guess(
            "outside",
            f"{outside:.0%} of the gaze lies outside the picture",
            "Is it of the screen? Then write `coordinates: screen` and the screen's size into dataset.yaml"
            if coordinates == "video"
            else "Is the screen's size in dataset.yaml right, and the video shown centred at native size?",
        )
        return [guessed]
    middles = np.array([_middle(video) - 0.5 for video in videos])
    for off, sides in zip(middles.T, (("left of", "right of"), ("above", "below")), strict=True):
        if (off < -FAR).all() or (off > FAR).all():
            guessed = Guess(
                "off centre",
                f"the gaze of every video lies far {sides[int(off[0] > 0)]} the middle",
                "Check the origin (top-left corner, y down), the offset and the scale in the overlay pictures",
            )
            return [guessed]
    return []


def _share_outside(video: Inspected, *, swap: bool) -> float:
    x, y = video.placed.x + 0.5, video.placed.y + 0.5
    if swap:
        x, y = y, x
    out = (x < 0) | (x >= video.size[0]) | (y < 0) | (y >= video.size[1])
    return float(out[video.known].mean())


def _middle(video: Inspected) -> NDArray[np.float64]:
    """Return the median position as a share of the picture's sides."""
    points = np.column_stack([video.placed.x, video.placed.y])
    middle: NDArray[np.float64] = np.nanmedian(points, axis=0) / np.array(video.size)
    return middle


def _time(videos: Sequence[Inspected]) -> list[Guess]:
    found = []
    by_frame = [video for video in videos if video.rows.by_frame]
    past = [video.name for video in by_frame if video.rows.table["when"].max() == video.frames]
    if past and min(video.rows.table["when"].min() for video in by_frame) == 1:
        found.append(
            Guess(
                "counted from 1",
                f"no frame is 0, and the gaze of {past[0]} ends one frame after the video",
                "Are frames counted from 1? The first must be 0",
            )
        )
    timed = [(video, float(video.rows.table["when"].max())) for video in videos if not video.rows.by_frame]
    if timed and all(1 < _seconds(video) >= end - 1 for video, end in timed):
        found.append(
            Guess(
                "seconds",
                f"no t_ms is larger than {max(end for _, end in timed):g}, the videos last up to "
                f"{max(_seconds(video) for video, _ in timed):.1f} s",
                "Are these seconds? t_ms is in milliseconds",
            )
        )
    return found


def _seconds(video: Inspected) -> float:
    return video.frames / video.fps
