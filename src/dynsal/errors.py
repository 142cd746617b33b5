"""The one way in which dynsal says that something outside its control is wrong."""

from __future__ import annotations

from pathlib import Path


class DataError(Exception):
    """Bad input or a failed environment, told in one line: where, what, and what to do.

    Parameters
    ----------
    where
        The file or folder (or setting) at fault.
    problem
        What is wrong with it.
    remedy
        What the user can do about it.
    """

    def __init__(self, where: str | Path, problem: str, remedy: str) -> None:
        super().__init__(f"{where}: {problem}. {remedy}")
        self.where = str(where)
        self.problem = problem
        self.remedy = remedy
