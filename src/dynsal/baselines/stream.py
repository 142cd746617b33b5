"""What the models do with a stream of frames before they look at pixels: check it, and cut it into blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from dynsal.errors import DataError
from dynsal.prepare import Frame

Item = TypeVar("Item")


def same_size(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Pass the frames on, as long as they are as large as the first one.

    Raises
    ------
    DataError
        If a frame differs in size, or has no pixels.
    """
    first: tuple[int, ...] | None = None
    for frame in frames:
        shape = frame.bgr.shape[:2]
        first = first or shape
        if shape != first or 0 in shape:
            raise DataError(
                f"frame {frame.index}",
                f"has {shape[1]}x{shape[0]} pixels, the first one {first[1]}x{first[0]}",
                "Rescale all frames of a video to one size",
            )
        yield frame


def blocks(items: Iterable[Item], length: int, overlap: int = 0) -> Iterator[list[Item]]:
    """Cut a stream into blocks of consecutive items, without ever holding more than one and a half of them.

    Every block has ``length`` items and shares its first ``overlap`` ones with the block before, but for the last, which
    takes the remainder: it has between half and one and a half lengths, and at least one item that no other block has.
    A stream of fewer items is one block.

    Parameters
    ----------
    items
        Any stream; an empty one yields nothing.
    length, overlap
        Numbers of items, ``0 <= overlap < length``.
    """
    ahead = max(1, -(-length // 2) - overlap)
    held: list[Item] = []
    for item in items:
        held.append(item)
        if len(held) == length + ahead:
            yield held[:length]
            del held[: length - overlap]
    if held:
        yield held
