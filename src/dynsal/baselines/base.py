"""The contract of a baseline: a stream of frames in, a map of every kept frame out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dynsal.prepare import Frame

__all__ = ["Baseline", "Frame", "Map", "Maps"]

Map = NDArray[np.float32]
"""H x W, finite, >= 0; all zero where the model has nothing to say."""
Maps = Iterator[tuple[int, Map]]
"""Index of the frame in the source video, and its map at the frame's own size."""


class Baseline(Protocol):
    """One model for one video; what it remembers of earlier frames lives in the call of `maps`.

    Implementations take (options, files) as `dynsal.baselines.create` passes them, and set nothing global: neither
    threads nor random state. Equal frames give equal maps, whatever the number of threads.
    """

    def maps(self, frames: Iterable[Frame]) -> Maps:
        """Yield the map of every frame that is marked as kept, in order.

        Parameters
        ----------
        frames
            Consecutive frames of one video, BGR uint8, all of one size. Those that are not kept only inform the
            memory of models that have one.

        Raises
        ------
        DataError
            If a frame is too small for the model, or frames differ in size.
        """
        ...
