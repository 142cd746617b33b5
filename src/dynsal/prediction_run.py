"""One input from opening it to its finished outputs: decoding ahead, the model in the middle, writing behind."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from tqdm import tqdm

from dynsal import heat
from dynsal.errors import DataError
from dynsal.inputs import Input
from dynsal.output_files import Target, open_outputs
from dynsal.outputs import Predicted
from dynsal.partial import Interrupted
from dynsal.pictures import Damage, Source
from dynsal.prediction import Model, stream
from dynsal.threads import Behind

WAITING = 4
"""Predicted frames that may wait to be written."""


@dataclass(frozen=True)
class Result:
    """What became of an input."""

    frames: int
    size: tuple[int, int]
    seconds: float
    """From opening the input to the finished outputs."""
    first: float
    """From opening the input to its first frame handed to the outputs."""
    damage: Damage


def predict_input(
    one: Input, targets: Sequence[Target], model: Model, facts: dict[str, Any], options: Any
) -> Result:
    """Predict one input and write its outputs.

    Parameters
    ----------
    one, targets
        What to predict, and what to write.
    model
        By what.
    facts
        Of the model, for files of maps.
    options
        ``side_by_side``, ``threads`` of the decoder, ``stop`` (an event: finish what is there) and ``title`` for the
        progress bar, None for none.

    Raises
    ------
    DataError
        If the input cannot be read at all, or an output not written; nothing is then left of it.
    Interrupted
        If ``stop`` was set; outputs are left as far as they came, under their partial names.
    """
    begun = time.perf_counter()
    with contextlib.closing(one.open(options.threads)) as source, contextlib.ExitStack() as stack:
        try:
            outputs = open_outputs(stack, targets, source, facts | _facts(one, source), options.side_by_side)
        except OSError as error:
            raise DataError(
                error.filename or targets[0].path,
                f"cannot be written ({error.strerror})",
                "Give another --out",
            ) from error
        first = 0.0
        count = 0

        def write(frame: Predicted) -> None:
            nonlocal first
            for output in outputs:
                output.add(frame)
            first = first or time.perf_counter() - begun

        pictured = any(target.kind == "overlay" for target in targets)
        frames = stream(
            source,
            model,
            lambda picture: heat.planes_of(picture.bgr) if pictured else None,
            options.stop.is_set,
        )
        # Its thread must be done with the source before that is closed.
        with (
            contextlib.closing(frames),
            Behind(write, WAITING) as behind,
            _progress(source, options.title) as bar,
        ):
            for frame, saliency in frames:
                behind.put(Predicted(frame.index, frame.time, frame.pts, frame.kept, saliency))
                count += 1
                bar.update()
        if options.stop.is_set():
            raise Interrupted if count else KeyboardInterrupt
    return Result(count, source.size, time.perf_counter() - begun, first, source.damage)


@contextlib.contextmanager
def stopping_on_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set; a second one ends the work at once, and leaves nothing."""
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _facts(one: Input, source: Source) -> dict[str, Any]:
    """Return what a file of maps says about where it comes from."""
    from dynsal import __version__

    return {
        "video": source.name,
        "dynsal": __version__,
        "coordinates": "as displayed: x right, y down, pixel centres at integers",
        "rotation": source.rotation,
        "pixel_aspect": float(source.aspect),
        "fps": float(source.rate),
    }


def _progress(source: Source, title: str | None) -> Any:
    """Return a bar with rate and time left; a line every ten seconds where there is no terminal."""
    return tqdm(
        total=source.expected or None,
        desc=title,
        unit="frame",
        disable=title is None,
        dynamic_ncols=True,
        mininterval=0.1 if sys.stderr.isatty() else 10.0,
    )
