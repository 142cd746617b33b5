"""What a net remembers of the maps before: an exponential average over time, one video at a time, frame by frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Memory:
    """The running average of the maps of one video; a new video needs a new one.

    Causal: a map depends on the frames up to its own. The share of the past is counted in seconds, so that the result does
    not hang on how many frames per second are looked at.

    Parameters
    ----------
    half_life
        Seconds after which a map counts half; more than 0.
    fps
        Frames of the video per second, to which the indices refer.
    """

    def __init__(self, half_life: float, fps: float) -> None:
        if half_life <= 0 or fps <= 0:
            raise ValueError(f"half_life {half_life} and fps {fps} must be positive")
        self._frames = half_life * fps
        self._mean: NDArray[np.float64] | None = None
        self._index = 0

    def __call__(self, index: int, saliency: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the average after one more map, H x W float32, sum 1.

        Parameters
        ----------
        index
            The frame's index in the video; larger than the last one's.
        saliency
            H x W, non-negative with a positive sum. A map of another size starts anew.
        """
        new = np.asarray(saliency, np.float64)
        new = new / new.sum()
        if self._mean is None or self._mean.shape != new.shape:
            self._mean = new
        else:
            past = 0.5 ** ((index - self._index) / self._frames)
            self._mean = past * self._mean + (1 - past) * new
        self._index = index
        return self._mean.astype(np.float32)
