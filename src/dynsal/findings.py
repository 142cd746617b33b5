"""What a check finds in a user's files: every problem with its file, line and cure, many of one kind told once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from dynsal.errors import DataError

SHOWN = 5
"""Findings of one kind in one file that are told one by one."""


@dataclass(frozen=True)
class Finding:
    """One problem, or warning."""

    kind: str
    """A short name, the same for all findings that `Findings.lines` may fold together."""
    file: str
    line: int | None
    """From 1, the header of a table included; None where the whole file is meant."""
    problem: str
    remedy: str
    warning: bool = False

    def error(self) -> DataError:
        """Return the finding as the error with which a run stops."""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return DataError(where, self.problem, self.remedy)

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}: {self.line}"
        return f"{place}: {'warning: ' if self.warning else ''}{self.problem}. {self.remedy}"


class Findings:
    """Findings in the order they were made; of each kind and file the first `SHOWN` are kept, the rest counted."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self.problems = 0
        self.warnings = 0

    def add(
        self, kind: str, file: str, line: int | None, problem: str, remedy: str, *, warning: bool = False
    ) -> None:
        """Note one finding."""
        self._counts[kind, file] += 1
        self.problems += not warning
        self.warnings += warning
        if self._counts[kind, file] <= SHOWN:
            self.kept.append(Finding(kind, file, line, problem, remedy, warning))

    def add_error(self, kind: str, error: DataError) -> None:
        """Note what another part of the program found wrong."""
        file, _, line = error.where.rpartition(":")
        numbered = line.isdecimal()
        self.add(
            kind,
            file if numbered else error.where,
            int(line) if numbered else None,
            error.problem,
            error.remedy,
        )

    def count(self, kind: str) -> int:
        """Return how often a kind was found, in all files."""
        return sum(number for (name, _), number in self._counts.items() if name == kind)

    def raise_first(self) -> None:
        """Stop with the first problem, if there is any.

        Raises
        ------
        DataError
            With its file and line.
        """
        for finding in self.kept:
            if not finding.warning:
                raise finding.error()

    def lines(self) -> list[str]:
        """Return one line per finding kept, and one per kind and file that has more."""
        last = {(finding.kind, finding.file): finding for finding in self.kept}
        lines = []
        for finding in self.kept:
            lines.append(str(finding))
            key = (finding.kind, finding.file)
            more = self._counts[key] - SHOWN
            if more > 0 and last[key] is finding:
                lines.append(f"{finding.file}: and {more} more of this kind ({finding.kind})")
        return lines
