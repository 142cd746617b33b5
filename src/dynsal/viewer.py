"""The page on which a test video plays beside the truth and every model's maps: one file, no network, no framework.

A page holds its videos inside itself. Chromium shows no page of more than 2 MiB inside Snakemake's report (there it is a
``data:`` address in a frame), so a page of one video stays below `PAGE_LIMIT`, and a video below `VIDEO_LIMIT`.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dynsal.figures import colour_wheel
from dynsal.viewer_panels import heat, to_bytes
from dynsal.web import fill

PAGE_LIMIT = 2**21 * 3 // 4 - 1024
"""Bytes of a page that the report shows: base64 makes 4 of 3, and the address begins with some words."""
VIDEO_LIMIT = 1_100_000
"""Bytes of one video: as base64 it leaves 100 kB of the page for the rest."""

Role = Literal["input", "motion", "gaze", "net", "floor", "ceiling"]


@dataclass(frozen=True)
class Panel:
    """One tile of the mosaic, or (``ceiling``) one that has a curve only."""

    key: str
    label: str
    role: Role


@dataclass(frozen=True)
class Showing:
    """Everything about one video but its pictures."""

    video: str
    dataset: str
    fps: float
    """Frames per second of the mosaic: those of the video that are scored."""
    frames: list[int]
    """Their indices in the source video."""
    of: int
    """How many scored frames the whole video has."""
    working: tuple[int, int]
    """Width and height that the nets see."""
    panel: tuple[int, int]
    """Width and height of a tile."""
    columns: int
    bound: float
    """Motion of full colour, in pixels of the working size per frame."""
    seed: int
    panels: list[Panel]
    """In the order of the tiles; those without a tile come last."""
    curves: dict[str, list[float | None]]
    """sAUC of every shown frame, for panels of models."""
    means: dict[str, float | None]
    """Mean sAUC of all frames of the video."""

    @classmethod
    def from_json(cls, text: str) -> Showing:
        """Return what `to_json` wrote."""
        values = json.loads(text)
        values["panels"] = [Panel(**panel) for panel in values["panels"]]
        values["working"], values["panel"] = tuple(values["working"]), tuple(values["panel"])
        return cls(**values)

    def to_json(self) -> str:
        """Return the values as JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)


def curve(scores: pd.Series[float], frames: Sequence[int]) -> list[float | None]:
    """Return the scores of some frames, rounded for the page; None where a frame has none."""
    return [_rounded(value) for value in scores.reindex(list(frames)).tolist()]


def mean(scores: pd.Series[float]) -> float | None:
    """Return the mean over the frames that have a score, rounded for the page; None if none has."""
    return _rounded(float(scores.mean()))


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 3)


def page(showings: Sequence[Showing], videos: Sequence[bytes]) -> str:
    """Compose the page of one or several videos.

    Parameters
    ----------
    showings
        What is to be said of each.
    videos
        The mp4 file of each, in the same order.

    Raises
    ------
    ValueError
        If there is no video, or not one for each.
    """
    if not showings or len(showings) != len(videos):
        raise ValueError(f"{len(videos)} videos for {len(showings)} descriptions")
    data: Mapping[str, Any] = {
        "videos": [
            {**asdict(showing), "mp4": base64.b64encode(video).decode()}
            for showing, video in zip(showings, videos, strict=True)
        ],
        "heat": _png(heat(np.full((8, 160, 3), 128, np.uint8), np.linspace(0, 1, 160)[None])),
        "wheel": _png(to_bytes(colour_wheel(96)), to_bytes(_disc(96))),
    }
    title = showings[0].video if len(showings) == 1 else f"{len(showings)} test videos"
    return fill("viewer.html", title=f"Saliency viewer: {title}", data=_script(data))


def _disc(pixels: int) -> NDArray[np.float64]:
    axis = np.linspace(-1, 1, pixels)
    inside = np.hypot(axis[:, None], axis[None]) <= 1
    return np.repeat(inside[..., None], 3, axis=2).astype(np.float64)


def _png(bgr: NDArray[np.uint8], alpha: NDArray[np.uint8] | None = None) -> str:
    picture = bgr if alpha is None else np.dstack([bgr, alpha[..., 0]])
    return "data:image/png;base64," + base64.b64encode(cv2.imencode(".png", picture)[1].tobytes()).decode()


def _script(data: Mapping[str, Any]) -> str:
    """Return JSON that may stand inside a script element: nothing in it ends the element."""
    return json.dumps(data, sort_keys=True).replace("<", "\\u003c")
