"""Tables of gaze as users write them, read with the line of every error.

Columns: video (in a table for all videos), subject, t_ms or frame (from 0), x, y, and optionally duration_ms (or
duration). Other columns are ignored. `dynsal.gaze_placement` puts the rows on the frames of a video.
"""

from __future__ import annotations

import csv
import difflib
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dynsal.findings import Findings

TIMES = ("t_ms", "frame")
DURATIONS = ("duration_ms", "duration")
MISSING = {"", "nan", "na", "n/a", "null", "none", "."}
"""What stands for "no value"; EyeLink's reports write a dot."""
LIMIT = 1e12
"""No position, time or frame is larger than that; whole numbers below it are exact."""

Numbered = Iterator[tuple[int, list[str]]]


@dataclass(frozen=True)
class Rows:
    """The rows of a table that make sense by themselves.

    Parameters
    ----------
    table
        Columns line (int64, from 1), video and subject (text), when (ms, or the frame), duration (ms, NaN where none is
        given), x, y (as written; NaN where the tracker had no position).
    by_frame
        Whether ``when`` is the frame.
    """

    table: pd.DataFrame
    by_frame: bool


def read_rows(path: Path, findings: Findings, *, shared: bool, video: str | None = None) -> Rows | None:
    """Read a table, noting every row that is malformed; None if its form is so wrong that no row can be read.

    Parameters
    ----------
    path
        .csv (UTF-8, commas, with a header) or .parquet.
    findings
        Takes what is wrong.
    shared
        Whether the table holds several videos, in a column ``video``; otherwise its name is the video's.
    video
        Read only this one's rows.
    """
    path = Path(path)
    numbered = (
        _parquet_rows(path, findings) if path.suffix.lower() == ".parquet" else _csv_rows(path, findings)
    )
    before = findings.problems
    try:
        _, header = next(numbered, (0, []))
        names = [name.strip() for name in header]
        if findings.problems > before or not _header_is_right(path, names, findings, shared):
            return None
        reader = _RowReader(str(path), names, findings, None if shared else path.stem)
        for line, cells in numbered:
            reader.take(line, cells, video)
    except csv.Error as error:
        findings.add(
            "malformed csv", str(path), None, f"cannot be read as CSV ({error})", "Check the quotation marks"
        )
        return None
    return reader.rows()


class _RowReader:
    """Collects the sound rows of one table."""

    def __init__(self, file: str, names: list[str], findings: Findings, single: str | None) -> None:
        self.file, self.findings, self.width = file, findings, len(names)
        place = {name: names.index(name) for name in names}
        self.video = None if single else place["video"]
        self.subject, self.x, self.y = place["subject"], place["x"], place["y"]
        self.time = next(name for name in TIMES if name in place)
        self.when = place[self.time]
        self.duration = next((place[name] for name in DURATIONS if name in place), None)
        self.single = single or ""
        self.lines = array("q")
        self.numbers = {name: array("d") for name in ("when", "duration", "x", "y")}
        self.texts: dict[str, list[str]] = {"video": [], "subject": []}
        self._known: dict[str, str] = {}

    def take(self, line: int, cells: Sequence[str], wanted: str | None) -> None:
        """Check a row and keep it, or note what is wrong with it."""
        if not cells:  # a blank line
            return
        if len(cells) != self.width:
            self._bad("columns", line, f"has {len(cells)} cells, the header {self.width}", "Correct the line")
            return
        video = self.single if self.video is None else cells[self.video].strip()
        if wanted is not None and video != wanted:
            return
        subject = cells[self.subject].strip()
        when = self._time(line, cells[self.when])
        duration = math.nan if self.duration is None else self._duration(line, cells[self.duration])
        x, y = self._number(line, "x", cells[self.x]), self._number(line, "y", cells[self.y])
        if not video or not subject:
            name = "subject" if video else "video"
            self._bad(f"no {name}", line, f"{name} is empty", f"Write which {name} the row belongs to")
        elif when is not None and duration is not None and x is not None and y is not None:
            self.lines.append(line)
            for key, text in (("video", video), ("subject", subject)):
                self.texts[key].append(self._known.setdefault(text, text))
            for numbers, value in zip(self.numbers.values(), (when, duration, x, y), strict=True):
                numbers.append(value)

    def rows(self) -> Rows:
        """Return what was kept."""
        columns = {
            "line": np.array(self.lines, np.int64),
            **{name: np.array(texts, object) for name, texts in self.texts.items()},
            **{name: np.array(values, np.float64) for name, values in self.numbers.items()},
        }
        return Rows(pd.DataFrame(columns), self.time == "frame")

    def _time(self, line: int, text: str) -> float | None:
        value = self._number(line, self.time, text)
        if value is None:
            return None
        if math.isnan(value):
            self._bad("NaN", line, f"{self.time} is {text.strip() or 'empty'}", "Every row needs a time")
            return None
        if self.time == "frame" and (value < 0 or value != int(value)):
            self._bad(
                "frame", line, f"frame is {text.strip()}", "Frames are whole numbers; the first frame is 0"
            )
            return None
        return value

    def _duration(self, line: int, text: str) -> float | None:
        value = self._number(line, "duration", text)
        if value is not None and value < 0:
            self._bad(
                "negative duration", line, f"the duration is {text.strip()}", "It must be 0 or more, in ms"
            )
            return None
        return value

    def _number(self, line: int, name: str, text: str) -> float | None:
        text = text.strip()
        if text.lower() in MISSING:
            return math.nan
        try:
            value = float(text) if "_" not in text else math.inf
        except ValueError:
            value = math.inf
        if abs(value) < LIMIT:
            return value
        comma = " (write the decimal point as a point)" if "," in text else ""
        self._bad(
            "not a number", line, f"{name} is {text!r}, which is no usable number", f"Correct it{comma}"
        )
        return None

    def _bad(self, kind: str, line: int, problem: str, remedy: str) -> None:
        self.findings.add(kind, self.file, line, problem, remedy)


def _header_is_right(path: Path, names: list[str], findings: Findings, shared: bool) -> bool:
    before, file = findings.problems, str(path)
    if not any(names):
        findings.add("empty table", file, None, "is empty", "Write a header and one row per fixation")
        return False
    if len(names) == 1 and (found := [mark for mark in ";\t|" if mark in names[0]]):
        shown = {"\t": "tabs"}.get(found[0], repr(found[0]))
        findings.add(
            "delimiter",
            file,
            1,
            f"cells are separated by {shown}",
            "Save it with commas (and decimal points)",
        )
        return False
    needed = [("video",)] * shared + [("subject",), TIMES, ("x",), ("y",)]
    for choices in needed:
        if not any(name in names for name in choices):
            likely = difflib.get_close_matches(choices[0], [name.lower() for name in names], 1, 0.6)
            hint = (
                f"Rename the column {names[[n.lower() for n in names].index(likely[0])]!r}, or add"
                if likely
                else "Add"
            )
            findings.add(
                "missing column",
                file,
                1,
                f"has no column {' or '.join(choices)} (found {', '.join(names)})",
                f"{hint} it (docs/datasets.md)",
            )
    for choices in (TIMES, DURATIONS):
        if all(name in names for name in choices):
            findings.add("two columns", file, 1, f"has both {' and '.join(choices)}", "Keep one of them")
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        findings.add("two columns", file, 1, f"has two columns {name}", "Keep one of them")
    return findings.problems == before


def _csv_rows(path: Path, findings: Findings) -> Numbered:
    """Yield (line, cells); after a broken encoding, note it and stop."""
    file = str(path)
    with path.open("rb") as raw:
        head = raw.read(4096)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in head:
        findings.add("encoding", file, None, "is UTF-16 text, or no text at all", "Save it as CSV in UTF-8")
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            for cells in reader:
                yield reader.line_num, cells
    except UnicodeDecodeError:
        findings.add("encoding", file, _undecodable(path), "is not UTF-8", "Save it as CSV in UTF-8")


def _undecodable(path: Path) -> int:
    with path.open("rb") as raw:
        for number, line in enumerate(raw, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return number


def _parquet_rows(path: Path, findings: Findings) -> Numbered:
    """Yield the columns' names as row 0, then (row from 1, cells as text), so that one set of checks serves both forms."""
    wanted = {"video", "subject", *TIMES, "x", "y", *DURATIONS}
    try:
        with pq.ParquetFile(path) as stored:
            names = [name for name in stored.schema_arrow.names if name in wanted]
            yield 0, names or list(stored.schema_arrow.names)
            row = 0
            for batch in stored.iter_batches(columns=names):
                columns = [column.to_pylist() for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    row += 1
                    yield row, ["" if cell is None else str(cell) for cell in cells]
    except (OSError, pa.ArrowException) as error:
        findings.add(
            "parquet", str(path), None, f"is no readable parquet file ({error})", "Write it again, or use CSV"
        )
