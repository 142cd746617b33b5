"""Clip files that samples are read from: each opened on first use in each process, or a copy of it that is nearer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dynsal.clips import Clip


class ClipFiles:
    """Open clips by path; loader workers never share a handle.

    Attributes
    ----------
    copies
        Path -> copy to read in its place.
    """

    def __init__(self) -> None:
        self.copies: Mapping[Path, Path] = {}
        self._open: dict[tuple[int, Path], Clip] = {}

    def __getitem__(self, path: Path) -> Clip:
        """Return the open clip."""
        key = (os.getpid(), self.copies.get(path, path))
        if key not in self._open:
            # HDF5 hands out the descriptor of a file it already has open, so what was inherited must go first.
            for inherited in [other for other in self._open if other[0] != key[0]]:
                self._open.pop(inherited).close()
            self._open[key] = Clip(key[1])
        return self._open[key]
