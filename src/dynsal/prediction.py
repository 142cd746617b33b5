"""From any input to its saliency maps, by a trained net or a baseline: streaming, with the work beside the net in a thread."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from dynsal import baselines
from dynsal.config import FlowConfig, PrepareConfig
from dynsal.config_baselines import Options
from dynsal.flow import Field, estimator, thinned_fields
from dynsal.inference import Predictor
from dynsal.nets.weights import load_model
from dynsal.pictures import Picture, Source
from dynsal.prepare import Frame, stride_for
from dynsal.threads import Ahead
from dynsal.video import resize

Kept = TypeVar("Kept")
Maps = Iterator[tuple[int, NDArray[np.floating[Any]]]]


@dataclass(frozen=True, slots=True)
class Shown(Generic[Kept]):
    """A frame as it comes out: its index, its time in seconds and in units of the source, and what was kept of it."""

    index: int
    time: float
    pts: int
    kept: Kept


@dataclass(frozen=True, slots=True)
class Ready(Generic[Kept]):
    """A frame ready for the model, and what its user wants to see of it again."""

    frame: Frame
    field: Field | None
    picture: Kept


class Model(Protocol):
    """A net or baseline: what it needs done to frames beforehand (in a thread), and the maps."""

    depth: int
    """How many prepared frames may wait for it."""

    def prepare(
        self, pictures: Iterable[Picture], rate: float, keep: Callable[[Picture], Kept]
    ) -> Iterator[Ready[Kept]]:
        """Yield every picture, prepared."""
        ...

    def maps(self, items: Iterable[tuple[Frame, Field | None]], rate: float) -> Maps:
        """Yield (index, h x w map >= 0) of every frame in order, on the model's own grid; ``rate`` is frames per second."""
        ...


class NetModel:
    """A trained net at the size it was trained at.

    Frames are rescaled, flow is estimated, and videos with a higher rate are thinned for it, all as the model's metadata
    say it was trained. A single picture has no motion: its flow is zero.

    Parameters
    ----------
    file
        The model.
    device
        Where it computes.
    batch
        Frames per forward pass.
    workers
        On a CPU, how many forward passes run beside each other, each on one thread: where something else uses the cores
        too, as decoding and encoding do here, threads that share one pass wait for each other most of the time.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """

    def __init__(self, file: Path, device: torch.device, batch: int, workers: int = 1) -> None:
        net, self._meta = load_model(file)
        self.predictor = Predictor(net, self._meta, device)
        self.size = (int(self._meta["size"][0]), int(self._meta["size"][1]))
        self._batch, self._workers = batch, workers if device.type == "cpu" else 1
        self.depth = max(2, batch)

    def prepare(
        self, pictures: Iterable[Picture], rate: float, keep: Callable[[Picture], Kept]
    ) -> Iterator[Ready[Kept]]:
        """Yield every picture at the net's size, with its flow if the net looks at that."""
        kept: deque[Kept] = deque()

        def small() -> Iterator[Frame]:
            for picture in pictures:
                kept.append(keep(picture))
                yield Frame(picture.index, picture.time, resize(picture.bgr, self.size), kept=True)

        if "flow" not in self.predictor.inputs:
            for frame in small():
                yield Ready(frame, None, kept.popleft())
            return
        flow = FlowConfig.model_validate(self._meta["flow"])
        # Older files lack the section; the default thins nothing.
        prepare = PrepareConfig.model_validate({**self._meta.get("prepare", {}), "size": self.size})
        stride = stride_for(rate, prepare.fps_target)
        for frame, field in all_fields(small(), flow, stride):
            yield Ready(frame, field, kept.popleft())

    def maps(self, items: Iterable[tuple[Frame, Field | None]], rate: float) -> Maps:
        """Yield the net's maps, averaged over time if it has a memory."""
        return self.predictor.remembered(self._passes(items), rate)

    def _passes(
        self, items: Iterable[tuple[Frame, Field | None]]
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        waiting: deque[Future[list[tuple[int, NDArray[np.float32]]]]] = deque()
        inputs = ((frame.index, frame.bgr, field) for frame, field in items)
        with ThreadPoolExecutor(self._workers, initializer=self._begin) as pool:
            while batch := list(itertools.islice(inputs, self._batch)):
                waiting.append(
                    pool.submit(lambda found: list(self.predictor.predict_stream(found, self._batch)), batch)
                )
                if len(waiting) > self._workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()

    def _begin(self) -> None:
        if self.predictor.device.type == "cpu":
            torch.set_num_threads(1)  # of this thread


class BaselineModel:
    """A baseline, which sees frames at their own size.

    Parameters
    ----------
    options
        Which one.
    files
        See `dynsal.baselines.create`.

    Raises
    ------
    DataError
        If a file is missing or damaged.
    """

    depth = 4

    def __init__(self, options: Options, files: Mapping[str, Path]) -> None:
        self._baseline = baselines.create(options, files)

    def prepare(
        self, pictures: Iterable[Picture], rate: float, keep: Callable[[Picture], Kept]
    ) -> Iterator[Ready[Kept]]:
        """Yield every picture as it is."""
        for picture in pictures:
            yield Ready(Frame(picture.index, picture.time, picture.bgr, kept=True), None, keep(picture))

    def maps(self, items: Iterable[tuple[Frame, Field | None]], rate: float) -> Maps:
        """Yield the baseline's maps."""
        return self._baseline.maps(frame for frame, _ in items)


def all_fields(frames: Iterable[Frame], flow: FlowConfig, stride: int) -> Iterator[tuple[Frame, Field]]:
    """Yield every frame with its field as `dynsal.flow.thinned_fields` does, also of videos too short for it.

    Two frames suffice for any stride (the span is then shorter), and a single one has zero flow.
    """
    iterator = iter(frames)
    first = list(itertools.islice(iterator, stride + 1))
    if len(first) == 1:
        yield first[0], np.zeros((*first[0].bgr.shape[:2], 2), np.float32)
    elif first:
        yield from thinned_fields(
            itertools.chain(first, iterator),
            estimator(flow.estimator),
            flow.direction,
            min(stride, len(first) - 1),
        )


def stream(
    source: Source, model: Model, keep: Callable[[Picture], Kept], stop: Callable[[], bool] = lambda: False
) -> Generator[tuple[Shown[Kept], NDArray[np.floating[Any]]]]:
    """Yield (frame, h x w map >= 0 on the model's own grid) of every frame of a source.

    Decoding, rescaling and flow run in a thread ahead of the model, with a bounded queue between, so memory does not
    grow with the length.

    Parameters
    ----------
    source, model
        What to predict, by what.
    keep
        What of a picture should come out beside its map; the less, the less memory waiting frames take.
    stop
        Asked before every frame; once true, the frames that wait are still predicted, and the stream ends.

    Raises
    ------
    DataError
        What the source or the model raises.
    """

    def pictures() -> Iterator[Picture]:
        for picture in source:
            yield picture
            if stop():
                return

    def shown(picture: Picture) -> Shown[Kept]:
        return Shown(picture.index, picture.time, picture.pts, keep(picture))

    waiting: deque[Shown[Kept]] = deque()
    with Ahead(model.prepare(pictures(), float(source.rate), shown), model.depth) as ready:

        def passing() -> Iterator[tuple[Frame, Field | None]]:
            for item in ready:
                waiting.append(item.picture)
                yield item.frame, item.field

        for index, saliency in model.maps(passing(), float(source.rate)):
            frame = waiting.popleft()
            if frame.index != index:
                raise RuntimeError(f"the model gave the map of frame {index} instead of frame {frame.index}")
            yield frame, saliency
