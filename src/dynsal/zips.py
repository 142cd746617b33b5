"""Reading members straight out of a zip archive: thousands of small files need not lie on the disk one by one.

Nothing is ever written from here, so names that point outside a folder can do no harm; sizes that make no sense and
wrong checksums are refused.
"""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from dynsal.errors import FETCH_AGAIN, DataError


class Zip:
    """Random access to the members of one archive, which are known by the last parts of their paths.

    Archives differ in the folders that they put around everything, so ``train/a.jpg`` and ``images/train/a.jpg`` are
    the same member here. Hidden files and what macOS adds (``__MACOSX``) are no members.

    Parameters
    ----------
    path
        The archive.

    Raises
    ------
    DataError
        If it is missing, or no zip archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            self._archive = zipfile.ZipFile(self.path)
        except FileNotFoundError:
            raise DataError(
                self.path, "there is no such archive", "Run the download again, or set DYNSAL_MIRROR"
            ) from None
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(
                self.path, f"is no zip archive, or one cut short ({error})", FETCH_AGAIN
            ) from error

    def members(self, folder: str | None, suffix: str) -> dict[str, zipfile.ZipInfo]:
        """Return file name -> member of all files that end in ``suffix``, sorted by name.

        Parameters
        ----------
        folder
            Name of the folder that they lie in directly; None takes any.
        suffix
            End of the name, such as ``.jpg``; upper and lower case are the same.

        Raises
        ------
        DataError
            If two of them have the same name.
        """
        found: dict[str, zipfile.ZipInfo] = {}
        for member in self._archive.infolist():
            path = PurePosixPath(member.filename)
            hidden = path.name.startswith(".") or "__MACOSX" in path.parts
            if member.is_dir() or hidden or not path.name.lower().endswith(suffix):
                continue
            if folder is not None and path.parent.name != folder:
                continue
            if path.name in found:
                twice = f"{found[path.name].filename} and {member.filename}"
                raise DataError(self.path, f"has two files for one name: {twice}", FETCH_AGAIN)
            found[path.name] = member
        return dict(sorted(found.items()))

    def read(self, member: zipfile.ZipInfo, limit: int) -> bytes:
        """Return a member's bytes.

        Raises
        ------
        DataError
            If it is damaged, or unpacks to more than ``limit`` bytes.
        """
        with self.open(member, limit) as stream:
            return stream.read()

    @contextlib.contextmanager
    def open(self, member: zipfile.ZipInfo, limit: int) -> Iterator[IO[bytes]]:
        """Yield a member as a stream; its checksum is compared when the end is reached.

        Raises
        ------
        DataError
            If it is damaged (perhaps only while reading), or unpacks to more than ``limit`` bytes.
        """
        where = f"{self.path}:{member.filename}"
        if member.file_size > limit:  # zipfile never unpacks more than is announced here
            raise DataError(
                where,
                f"claims to unpack to {member.file_size} bytes, more than {limit}",
                "It is not the file expected here",
            )
        try:
            stream = self._archive.open(member)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:  # encrypted, unknown method
            raise DataError(where, f"cannot be unpacked ({error})", FETCH_AGAIN) from error
        try:
            with stream:
                yield stream
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:  # no others: they may be the caller's own
            raise DataError(where, f"cannot be unpacked ({error})", FETCH_AGAIN) from error

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()
