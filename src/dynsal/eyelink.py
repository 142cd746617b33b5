"""EyeLink's .asc text: fixations of every trial, timed from the moment the video started.

The lines that count, with times in ms of the tracker's clock::

    MSG <t> TRIALID <video>                    a trial begins, and which video it shows
    MSG <t> VIDEO_START                        the first frame is on the screen
    EFIX <L or R> <from> <to> <duration> <x> <y> <pupil>      a dot for x and y where the tracker lost the eye

What an experiment writes into its messages is its own affair, so both patterns can be replaced.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dynsal.errors import DataError

log = logging.getLogger(__name__)

VIDEO = r"TRIALID (?P<video>\S+)"
"""Searched in every message; its group ``video`` is the video's name, with or without the file's suffix."""
START = r"VIDEO_START"
"""Searched in every message after that; its time is the video's 0. A group ``video``, if it has one, names the video."""

Eye = Literal["left", "right", "both", "auto"]

_MESSAGE = re.compile(r"MSG\s+(\d+(?:\.\d+)?)\s+(.*)")
_SUFFIX = re.compile(r"\.(mp4|avi|mov|mkv|m4v|mpe?g|webm|wmv)$", re.IGNORECASE)


@dataclass(frozen=True)
class Fixation:
    """One fixation during a video."""

    video: str
    eye: str
    """L or R."""
    start: float
    """ms after the video's start; negative if the eye rested there before."""
    duration: float
    """ms."""
    x: float
    """Pixels of the screen, as recorded."""
    y: float


def patterns(video: str, start: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compile the two patterns.

    Raises
    ------
    DataError
        If one is no regular expression, or none has the group ``video``.
    """
    compiled = []
    for option, text in (("--video", video), ("--start", start)):
        try:
            compiled.append(re.compile(text))
        except re.error as error:
            raise DataError(
                option, f"{text!r} is no regular expression ({error})", f"The default is {VIDEO!r}"
            ) from None
    if not any("video" in pattern.groupindex for pattern in compiled):
        raise DataError(
            "--video", f"{video!r} has no group named video", f"Write it like the default, {VIDEO!r}"
        )
    return compiled[0], compiled[1]


def read_asc(path: Path, video: re.Pattern[str], start: re.Pattern[str]) -> list[Fixation]:
    """Return the fixations of both eyes in one recording, in the file's order; those without a position are logged.

    Raises
    ------
    DataError
        If a line cannot be understood, a video starts without a name, or the file has no fixation during a video.
    """
    path = Path(path)
    try:
        read = list(
            _fixations(path, path.read_text(encoding="utf-8", errors="replace").splitlines(), video, start)
        )
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})", "Check the name") from None
    lost = sum(fixation is None for fixation in read)
    if lost:
        log.warning("%s: %d fixation(s) without a position left out", path, lost)
    found = [fixation for fixation in read if fixation is not None]
    if not found:
        raise DataError(
            path,
            "has no fixation (EFIX) with a position after a message that starts a video",
            f"Set --video and --start to what your messages look like ({video.pattern!r} and {start.pattern!r} were "
            "looked for); .edf files must be converted with edf2asc",
        )
    return found


def _fixations(
    path: Path, lines: Iterable[str], video: re.Pattern[str], start: re.Pattern[str]
) -> Iterator[Fixation | None]:
    """Yield the fixations during a video; None for one without a position."""
    name, zero = "", None
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        if line.startswith("MSG"):
            parts = _MESSAGE.match(line)
            if not parts:
                raise DataError(
                    where, f"{line.strip()!r} is no message with a time", "Convert the recording again"
                )
            time, text = float(parts[1]), parts[2]
            if trial := video.search(text):
                name, zero = _name(trial) or name, None
            if begun := start.search(text):
                name, zero = _name(begun) or name, time
                if not name:
                    raise DataError(
                        where,
                        "a video starts, but no message before says which",
                        "Set --video to find its name",
                    )
        elif line.startswith("END") and line.split()[:1] == ["END"]:
            zero = None
        elif line.startswith("EFIX") and zero is not None:
            yield _fixation(where, line, name, zero)


def _name(match: re.Match[str]) -> str:
    name = match.groupdict().get("video") or ""
    return _SUFFIX.sub("", re.split(r"[/\\]", name)[-1].strip())


def _fixation(where: str, line: str, video: str, zero: float) -> Fixation | None:
    cells = line.split()
    if cells[1:2] in (["L"], ["R"]) and "." in cells[5:7]:
        return None
    try:
        begin, _, duration, x, y = (float(cell) for cell in cells[2:7])
        eye = cells[1]
    except (ValueError, IndexError):
        eye = ""
    if eye not in ("L", "R"):
        raise DataError(
            where, f"{line.strip()!r} is no fixation", "It must read EFIX eye from to duration x y pupil"
        )
    return Fixation(video, eye, begin - zero, duration, x, y)


def choose_eye(fixations: list[Fixation], eye: Eye) -> list[Fixation]:
    """Return the fixations of one eye, or of both; ``auto`` takes the left if it was recorded, else the right."""
    if eye == "both":
        return fixations
    recorded = {fixation.eye for fixation in fixations}
    letter = {"left": "L", "right": "R", "auto": "L" if "L" in recorded else "R"}[eye]
    return [fixation for fixation in fixations if fixation.eye == letter]
