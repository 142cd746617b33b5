"""Giving parts of a file back to the file system while its size and the rest of its bytes stay (Linux)."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from pathlib import Path

_KEEP_SIZE = 1
_PUNCH_HOLE = 2
_PAGE = 4096
"""File systems free whole blocks only; the rest of a hole would be overwritten with zeros for nothing."""


def punch_hole(path: Path, start: int, end: int) -> int:
    """Free the whole blocks of a file between two offsets; return how many bytes that is.

    Size, time of change and permissions stay as they are; the freed part reads as zeros.

    Raises
    ------
    OSError
        If the system or the file system cannot do it (EOPNOTSUPP, ENOSYS), or the file may not be written.
    """
    start, end = -(-start // _PAGE) * _PAGE, end // _PAGE * _PAGE
    if end <= start:
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    fallocate = getattr(libc, "fallocate64", None) or getattr(libc, "fallocate", None)
    if fallocate is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(path))
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    before = path.stat()
    path.chmod(before.st_mode | stat.S_IWUSR)
    try:
        with path.open("rb+") as stream:
            if fallocate(stream.fileno(), _PUNCH_HOLE | _KEEP_SIZE, start, end - start):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(path))
    finally:
        path.chmod(stat.S_IMODE(before.st_mode))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return end - start
