"""What `dynsal predict` takes in, whatever it comes from: a stream of pictures as they are displayed, and what is known of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame as it is displayed."""

    index: int
    """From 0, counting the frames that could be decoded."""
    time: float
    """Presentation time in seconds from the start of the file."""
    bgr: NDArray[np.uint8]
    """H x W x 3, turned as the file's rotation flag says."""
    pts: int
    """The presentation time in units of the source's ``time_base``."""


@dataclass
class Damage:
    """What was wrong with a file; complete once its last picture was read."""

    missing: int = 0
    """Frames that could not be decoded and were left out."""
    flagged: int = 0
    """Frames that the decoder patched up; they are predicted as they came."""
    mended_times: int = 0
    """Frames whose time stamp was missing or did not rise, and was replaced by the one before plus a frame's length."""
    resized: int = 0
    """Frames of another size than the first one's, to which they were rescaled."""
    cut: bool = False
    """Whether the end of the file is missing."""

    @property
    def lost(self) -> bool:
        """Whether pictures are missing or damaged; times and sizes are no loss."""
        return bool(self.missing or self.flagged or self.cut)

    def __str__(self) -> str:
        words = [
            (self.missing, f"{self.missing} frame(s) could not be decoded and were left out"),
            (self.flagged, f"{self.flagged} damaged frame(s) were predicted as the decoder patched them up"),
            (self.cut, "the end of the file is missing"),
            (self.mended_times, f"{self.mended_times} time stamp(s) were mended"),
            (self.resized, f"{self.resized} frame(s) of another size were rescaled"),
        ]
        return "; ".join(text for wrong, text in words if wrong)


class Source(Protocol):
    """An opened input; iterating over it, once, yields its pictures."""

    name: str
    size: tuple[int, int]
    """Width and height as displayed."""
    rate: Fraction
    """Average frames per second."""
    time_base: Fraction
    """Seconds per unit of `Picture.pts`."""
    aspect: Fraction
    """Width / height of a pixel as displayed."""
    rotation: int
    """Degrees clockwise by which stored frames were turned."""
    expected: int
    """Number of frames by the file's own account, 0 if it gives none; not to be relied on."""
    damage: Damage
    sound: Path | None
    """File to take the sound from."""
    start: Fraction
    """Time stamp, in seconds, of that file which is time 0 here."""

    def __iter__(self) -> Iterator[Picture]: ...

    def close(self) -> None:
        """Let go of the file."""
        ...
