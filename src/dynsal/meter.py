"""Progress of a transfer in bytes: a bar on a terminal, a line about every ten seconds in a log file, and a least speed."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType

from tqdm import tqdm

log = logging.getLogger(__name__)

SLOWEST, WINDOW = 1000.0, 60.0
"""Bytes per second, and the seconds over which they are counted, below which a connection counts as dead."""
_LOG_EVERY = 10.0


class Meter:
    """Shows progress, a bar on a terminal or a line about every ten seconds, and ends what is too slow."""

    def __init__(self, name: str, start: int, total: int | None, show: bool) -> None:
        self._name, self._total, self._show = name, total, show
        bar = show and sys.stderr.isatty()
        self._bar = tqdm(
            total=total, initial=start, unit="B", unit_scale=True, desc=name, leave=False, disable=not bar
        )
        self._got = start
        self._logged = self._window = (time.monotonic(), start)

    def __enter__(self) -> Meter:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the bar."""
        self._bar.close()

    def advance(self, count: int) -> None:
        """Count so many more bytes; raise TimeoutError if a whole window brought too few."""
        self._got += count
        self._bar.update(count)
        now = time.monotonic()
        since, before = self._window
        if now - since >= WINDOW:
            if self._got - before < SLOWEST * (now - since):
                raise TimeoutError(f"less than {SLOWEST / 1000:g} kB/s for {now - since:.0f} s")
            self._window = (now, self._got)
        since, before = self._logged
        if now - since >= _LOG_EVERY:
            if self._show and self._bar.disable:
                speed = (self._got - before) / (now - since) / 1e6
                of = "" if self._total is None else f" of {self._total / 1e6:.1f}"
                log.info("%s: %.1f%s MB, %.1f MB/s", self._name, self._got / 1e6, of, speed)
            self._logged = (now, self._got)
