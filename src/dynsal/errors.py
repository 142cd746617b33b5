"""The one way in which dynsal says that something outside its control is wrong."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger("dynsal")

FETCH_AGAIN = (
    "Delete it (if it is a link, the file it leads to; if it has a line in resources/datasets/downloads.lock.csv, that "
    "too) and fetch it again"
)
"""What to do about a damaged download whose checksum was perhaps only written down when it came."""


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

    def __reduce__(self) -> tuple[type[DataError], tuple[str, str, str]]:
        """Let it travel between processes, which would otherwise try to make it from its one line."""
        return type(self), (self.where, self.problem, self.remedy)


def report(work: Callable[[argparse.Namespace], int | None], arguments: argparse.Namespace) -> int:
    """Do the work of a command; return its exit status, and say what went wrong in one line.

    130 after Ctrl-C, 1 after an error that the user can mend; anything else is a fault of the program and keeps its
    traceback.
    """
    try:
        return work(arguments) or 0
    except KeyboardInterrupt:
        log.error("interrupted")
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        return 0
    except Exception as error:
        if is_expected(error):
            log.error("%s", error)
            return 1
        raise


def is_expected(error: BaseException) -> bool:
    """Whether an error is bad input or a failed environment, told in full by its message."""
    from dynsal.config import ConfigError

    return isinstance(error, (DataError, ConfigError))
