"""SALICON's JSON of release 2015r1, sorted by shard in one pass, in bounded memory.

The annotations (about 60 workers for each of 10,000 images, 120 positions each) come in no particular order. They are
spooled into one parquet file whose row groups hold one shard each, so that a reader touches only what it needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ijson
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dynsal.errors import FETCH_AGAIN, DataError
from dynsal.fileio import atomic
from dynsal.gaze import Size
from dynsal.zips import Zip

SIZE: Size = (640, 480)
_JSON_LIMIT = 16 * 2**30
"""Bytes that an unpacked JSON may have; the official ones have about 2 GiB."""
_BUFFERED = 1_000_000
"""Positions held in memory before they are written."""
_KEY = b"dynsal"
_SCHEMA = pa.schema(
    [
        ("shard", pa.int16()),
        ("index", pa.int16()),
        ("worker", pa.int32()),
        ("x", pa.int16()),
        ("y", pa.int16()),
    ]
)


def write_points(
    annotations: Path, places: Mapping[int, tuple[int, int]], out: Path, buffered: int = _BUFFERED
) -> int:
    """Sort the annotations of one split into ``out``; return the number of positions.

    Parameters
    ----------
    annotations
        ``fixations_{train,val}2014.json.zip``.
    places
        Image number -> (shard, index of the image in it).
    out
        Parquet file to write: shard, index, worker, and x and y from 0.
    buffered
        Positions held in memory before they are written.

    Raises
    ------
    DataError
        If archive or JSON are damaged, an annotation is malformed or of an image that is not in ``places``, or there
        is none at all.
    """
    archive = Zip(annotations)
    members = archive.members(None, ".json")
    if len(members) != 1:
        found = ", ".join(members) or "none"
        raise DataError(annotations, f"should hold one .json file, found {found}", FETCH_AGAIN)
    (member,) = members.values()
    where = f"{annotations}:{member.filename}"
    with atomic(out) as part, pq.ParquetWriter(part, _SCHEMA, compression="zstd") as writer:
        spool = _Spool(writer, buffered)
        with archive.open(member, _JSON_LIMIT) as stream:
            try:
                for annotation in ijson.items(stream, "annotations.item", use_float=True):
                    image, worker, rows, columns = _positions(annotation, where)
                    if image not in places:
                        raise DataError(
                            where,
                            f"annotation {annotation.get('id')} is of image {image}, which images.zip lacks",
                            "Images and annotations must be those of one release and split",
                        )
                    spool.add(places[image], worker, columns - 1, rows - 1)
            except (ijson.JSONError, UnicodeDecodeError) as error:
                raise DataError(where, f"is no valid JSON ({_one_line(error)})", FETCH_AGAIN) from error
        spool.flush()
        if not spool.annotations:
            raise DataError(where, "has no annotations", "It must be SALICON's JSON of release 2015r1")
        facts = {"outside_frame": {str(shard): count for shard, count in sorted(spool.outside.items())}}
        writer.add_key_value_metadata({_KEY: json.dumps(facts).encode()})
    archive.close()
    return spool.positions


def read_points(path: Path, shard: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], int]:
    """Return index, worker, x, y of a shard's positions, and how many of them lay outside their image.

    The columns stay as small as they are stored: a shard has millions of positions.

    Raises
    ------
    DataError
        If the file is missing, damaged, or not written by `write_points`.
    """
    try:
        with pq.ParquetFile(path) as file:
            facts = json.loads((file.metadata.metadata or {})[_KEY])
            groups = [
                number
                for number in range(file.num_row_groups)
                if file.metadata.row_group(number).column(0).statistics.min == shard
            ]
            total = sum(file.metadata.row_group(number).num_rows for number in groups)
            columns = [np.empty(total, kind.to_pandas_dtype()) for kind in _SCHEMA.types[1:]]
            start = 0
            for number in groups:  # one by one, which takes half the memory of reading them at once
                table = file.read_row_group(number, columns=_SCHEMA.names[1:], use_threads=False)
                for column, name in zip(columns, _SCHEMA.names[1:], strict=True):
                    column[start : start + len(table)] = table[name].to_numpy()
                start += len(table)
            index, worker, x, y = columns
            outside = int(facts["outside_frame"].get(str(shard), 0))
    except (OSError, KeyError, ValueError, AttributeError, pa.ArrowException) as error:
        raise DataError(
            path, f"is no file of SALICON's points ({error})", "Delete it and run the same command again"
        ) from error
    return index, worker, x, y, outside


class _Spool:
    """Collects positions by shard and writes them when there are many."""

    def __init__(self, writer: pq.ParquetWriter, buffered: int) -> None:
        self._writer, self._limit = writer, buffered
        self._held: dict[int, list[NDArray[np.int64]]] = {}
        self._count = 0
        self.annotations = self.positions = 0
        self.outside: dict[int, int] = {}

    def add(self, place: tuple[int, int], worker: int, x: NDArray[np.int64], y: NDArray[np.int64]) -> None:
        """Take one worker's positions on one image."""
        shard, index = place
        inside = (x >= 0) & (x < SIZE[0]) & (y >= 0) & (y < SIZE[1])
        kept = int(inside.sum())
        rows = np.empty((4, kept), np.int64)
        rows[0], rows[1], rows[2], rows[3] = index, worker, x[inside], y[inside]
        self._held.setdefault(shard, []).append(rows)
        self.outside[shard] = self.outside.get(shard, 0) + len(x) - kept
        self.annotations += 1
        self.positions += kept
        self._count += kept
        if self._count >= self._limit:
            self.flush()

    def flush(self) -> None:
        """Write what is held, one row group per shard."""
        for shard in sorted(self._held):
            columns = np.concatenate(self._held[shard], axis=1)
            if columns.size:
                arrays = [np.full(columns.shape[1], shard), *columns]
                typed = [pa.array(values, kind) for values, kind in zip(arrays, _SCHEMA.types, strict=True)]
                table = pa.Table.from_arrays(typed, schema=_SCHEMA)
                self._writer.write_table(table, row_group_size=len(table))
        self._held.clear()
        self._count = 0


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _positions(annotation: Any, where: str) -> tuple[int, int, NDArray[np.int64], NDArray[np.int64]]:
    """Return image, worker, rows and columns (from 1) of an annotation."""
    try:
        image, worker = int(annotation["image_id"]), int(annotation["worker_id"])
        points = np.asarray(annotation["fixations"])
        if points.size and (points.ndim != 2 or points.shape[1] != 2 or points.dtype.kind != "i"):
            raise ValueError("fixations are no pairs of whole numbers")
        if not 0 <= worker < 2**31:
            raise ValueError("worker_id is out of range")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        name = annotation.get("id") if isinstance(annotation, dict) else annotation
        raise DataError(where, f"annotation {name} is malformed ({error!r})", FETCH_AGAIN) from error
    points = points.reshape(-1, 2).astype(np.int64)
    return image, worker, points[:, 0], points[:, 1]
