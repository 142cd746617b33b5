"""Work beside the main thread with bounded queues: memory stays flat, errors travel, nothing is left running.

Worth it where the work lets go of Python's lock, as decoding, flow, forward passes and encoding do.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")


class _End:
    """The last thing that comes out of a queue, with what went wrong if anything did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Ahead(Generic[Item]):
    """An iterator whose items another thread makes, at most ``depth`` of them ahead.

    Use it in a ``with`` block, whose end stops the thread. An error of the items' maker is raised when its place in
    the order comes.
    """

    def __init__(self, items: Iterable[Item], depth: int) -> None:
        self._queue: queue.Queue[Item | _End] = queue.Queue(depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(items,), daemon=True)
        self._thread.start()

    def _work(self, items: Iterable[Item]) -> None:
        end = _End()
        try:
            for item in items:
                self._queue.put(item)
                if self._closed.is_set():
                    return
        except BaseException as error:
            end = _End(error)
        self._queue.put(end)

    def __iter__(self) -> Self:
        """Return itself."""
        return self

    def __next__(self) -> Item:
        """Return the next item, waiting for it."""
        item = self._queue.get()
        if isinstance(item, _End):
            self._queue.put(item)  # for whoever asks again
            if item.error is not None:
                raise item.error
            raise StopIteration
        return item

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the thread after the item it is at, and wait for it."""
        self._closed.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue


class Behind(Generic[Item]):
    """A thread that does ``work`` with every item it is handed, in order, at most ``depth`` of them waiting.

    Use it in a ``with`` block, whose end waits until all is done. An error of the work is raised by the next ``put``,
    or at the end of the block; items after it are dropped.
    """

    def __init__(self, work: Callable[[Item], None], depth: int) -> None:
        self._queue: queue.Queue[Item | _End] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[Item], None]) -> None:
        while not isinstance(item := self._queue.get(), _End):
            if self._error is None:
                try:
                    work(item)
                except BaseException as error:
                    self._error = error

    def put(self, item: Item) -> None:
        """Hand over an item, waiting for a free place."""
        if self._error is not None:
            raise self._error
        self._queue.put(item)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the work that is left, and raise its error unless there is one already."""
        self._queue.put(_End())
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error
