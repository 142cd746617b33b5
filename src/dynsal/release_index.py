"""Fetching one of DIEM's .tar.gz archives and indexing it, which shows whether what came first was whole."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dynsal import checksums, layout
from dynsal.download import fetch
from dynsal.errors import DataError
from dynsal.tar_index import Damaged, TarIndex, open_index


def fetch_index(file: str, archive: Path, mirrors: Iterable[str | Path]) -> TarIndex:
    """Bring an archive of the registry ``diem`` to ``archive``, or link to it, and index it. Callers hold its lock.

    The checksum of an archive that proves damaged is forgotten if it was only written down when the archive came, so
    that a whole copy is not taken for a wrong one.

    Raises
    ------
    DataError
        If the archive cannot be fetched (`dynsal.download.Unavailable`), is damaged, or holds an unsafe name.
    """
    row = layout.registry_row("diem", file)
    fetch(row, archive, mirrors, "diem", in_place=True)
    try:
        return open_index(archive)
    except Damaged as error:
        forgotten = checksums.forget("diem", file)
        noted = f"; its checksum, written down in {forgotten} when it came, is forgotten" if forgotten else ""
        remedy = error.remedy
        if archive.is_symlink():
            remedy = (
                f"Replace {archive.resolve()} by a whole copy, or remove it, and run the same command again"
            )
        raise DataError(error.where, error.problem + noted, remedy) from error
