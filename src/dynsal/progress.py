"""Progress of a long loop: a bar on a terminal, a line about every ten seconds in a log file."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

log = logging.getLogger(__name__)

_SECONDS = 10.0


class Progress:
    """Counts steps; see :func:`progress`."""

    def __init__(self, done: int, total: int, samples: int, bar: Any) -> None:
        self._done, self._total, self._samples, self._bar = done, total, samples, bar
        self._last = (time.monotonic(), done)

    def advance(self, facts: str) -> None:
        """Count one step; ``facts`` is what there is to say about it."""
        self._done += 1
        if self._bar is not None:
            self._bar.set_postfix_str(facts, refresh=False)
            self._bar.update()
            return
        now = time.monotonic()
        since, before = self._last
        if now - since >= _SECONDS:
            rate = (self._done - before) / (now - since)
            left = tqdm.format_interval((self._total - self._done) / rate)
            speed = f"{rate:.2f} steps/s, {rate * self._samples:.1f} samples/s, {left} left"
            log.info("step %d of %d, %s, %s", self._done, self._total, facts, speed)
            self._last = (now, self._done)


@contextmanager
def progress(done: int, total: int, samples: int) -> Iterator[Progress]:
    """Report from step ``done`` to ``total``, each of so many samples, with the rate and the time left."""
    if sys.stderr.isatty():
        with tqdm(initial=done, total=total, unit="step", dynamic_ncols=True) as bar:
            yield Progress(done, total, samples, bar)
    else:
        yield Progress(done, total, samples, None)
