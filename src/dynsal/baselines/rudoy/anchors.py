"""Anchor frames: around which jumps of gaze Rudoy et al. train.

The release looks at shot cuts, where gaze must jump, and at the middles between them. Its list of cuts exists
for DIEM only; elsewhere cuts are found by a plain difference of histograms, and videos with few of them are
filled up at random (which the release can do, too). Frames are counted from 0 among the frames given.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from dynsal.prepare import Frame

BEFORE, AFTER = 1, 15
"""Frames from an anchor back to the source and on to the destination."""
_BINS = 8


def settled_cuts(cuts: Sequence[int], gap: int = 11) -> list[int]:
    """Return the cuts that are followed by another one no sooner than ``gap`` frames, and the last.

    This is the rule between the raw and the used cuts of the release.
    """
    return [int(cut) for cut, later in itertools.pairwise([*cuts, np.inf]) if later - cut >= gap]


def find_cuts(frames: Iterable[Frame], threshold: float = 0.5) -> tuple[list[int], int]:
    """Return the first frame of every shot but the first, and the number of frames.

    A cut is where the colour histogram (8 bins per channel) of a frame shares less than ``1 - threshold`` of
    its mass with the one before it.
    """
    cuts: list[int] = []
    before: NDArray[np.float64] | None = None
    count = 0
    for position, frame in enumerate(frames):
        bins = [_BINS] * 3
        histogram = cv2.calcHist([frame.bgr], [0, 1, 2], None, bins, [0, 256] * 3).astype(np.float64)
        histogram /= histogram.sum()
        if before is not None and np.abs(histogram - before).sum() / 2 > threshold:
            cuts.append(position)
        before = histogram
        count += 1
    return cuts, count


def draw_anchors(cuts: Sequence[int], n_frames: int, least: int, rng: np.random.Generator) -> list[int]:
    """Return the anchors of a video, sorted: cuts, the middles between neighbours, and random frames up to ``least``.

    Only frames with a source and a destination count: both need the two frames before them, and the release never
    takes the last frame. A short video may have fewer than ``least``, or none.
    """
    middles = [int((first + second) / 2 + 0.5) for first, second in itertools.pairwise(cuts)]
    usable = range(2 + BEFORE, n_frames - 1 - AFTER)
    chosen = {anchor for anchor in (*cuts, *middles) if anchor in usable}
    others = sorted(set(usable) - chosen)
    missing = min(max(0, least - len(chosen)), len(others))
    return sorted(chosen | {others[place] for place in rng.choice(len(others), missing, replace=False)})
