"""Reading any video as players do: displayed times, rotation, transparency, and on past damage.

`dynsal.video.decode` is the other way: the experiments' frames, which stop at the first damage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from dynsal.errors import DataError
from dynsal.pictures import Damage, Picture
from dynsal.video import missing_bytes, open_stream, resize

_FAILED_READS = 32
"""Reads that may fail in a row before the rest of a file is given up."""
_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


class OpenVideo:
    """A video file as a `dynsal.pictures.Source`.

    Parameters
    ----------
    path
        Any file that ffmpeg reads; of several video streams the first one.
    threads
        Threads of the decoder.

    Raises
    ------
    DataError
        If the file is missing, empty, no video, or none of its frames can be decoded.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.path, self.name = path, path.name
        self.sound: Path | None = path
        self.damage = Damage(cut=bool(path.is_file() and missing_bytes(path)))
        self._opened = open_stream(path)
        container, stream = self._opened.__enter__()
        self.rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        length = (container.duration or 0) / av.time_base
        self.expected = stream.frames or round(length * float(self.rate))
        self.start = Fraction(container.start_time or 0, av.time_base)
        self.rotation = 0
        self._reformatter = VideoReformatter()
        stream.thread_type = "AUTO" if threads > 1 else "NONE"
        stream.codec_context.thread_count = threads
        self._frames = self._decode(container, stream)
        try:
            first = next(self._frames, None)
            if first is None:
                raise DataError(path, "none of its frames can be decoded", "Fetch or export it again")
        except BaseException:
            self.close()
            raise
        self.rotation = -first.rotation % 360 if -first.rotation % 360 in _TURNS else 0
        upright = self.rotation in (0, 180)
        self.size = (first.width, first.height) if upright else (first.height, first.width)
        aspect = Fraction(stream.sample_aspect_ratio or 1)
        self.aspect = aspect if upright else 1 / aspect
        # AVI has no presentation times: what is read from it is out of order with B-frames (all of hevc33).
        counted = first.pts is None or "avi" in container.format.name
        self.time_base = 1 / self.rate if counted else Fraction(stream.time_base or 1 / self.rate)
        self._clock = Clock(
            counted, round(self.start / self.time_base), max(1, round(1 / self.rate / self.time_base))
        )
        self._first: VideoFrame | None = first

    def __iter__(self) -> Iterator[Picture]:
        """Yield every frame that can be decoded."""
        index = 0
        frame, self._first = self._first, None
        while frame is not None:
            pts = self._clock(frame.pts)
            self.damage.mended_times = self._clock.mended
            yield Picture(index, float(pts * self.time_base), self._displayed(frame), pts)
            index += 1
            frame = next(self._frames, None)

    def close(self) -> None:
        """Close the file."""
        self._opened.__exit__(None, None, None)

    def _displayed(self, frame: VideoFrame) -> NDArray[np.uint8]:
        bgr = to_bgr(frame, self._reformatter)
        if self.rotation:
            bgr = np.asarray(cv2.rotate(bgr, _TURNS[self.rotation]), np.uint8)
        if bgr.shape[1::-1] != self.size:
            self.damage.resized += 1
            bgr = resize(bgr, self.size)
        return bgr

    def _decode(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        packets = frames = failed = 0

        def failed_read() -> None:
            nonlocal failed
            failed += 1

        for packet in all_packets(container, stream, failed_read):
            packets += bool(packet.size) and not packet.is_discard
            try:
                found = packet.decode()
            except FFmpegError:
                failed += 1
                continue
            for frame in found:
                frames += 1
                self.damage.flagged += frame.is_corrupt
                yield frame
        # Some codecs have packets without a picture of their own, so a difference alone is no sign of damage.
        if failed or self.damage.lost:
            named = stream.frames if "mov" in container.format.name else 0
            self.damage.missing = max(failed, packets - frames, named - frames)


class Clock:
    """Turns the time stamps of frames in display order into ones that start at 0 and rise.

    Parameters
    ----------
    counted
        Number the frames instead of reading their time stamps.
    start
        Time stamp that becomes 0.
    step
        Length of a frame, for those without a time stamp of their own.
    """

    def __init__(self, counted: bool, start: int, step: int) -> None:
        self._counted, self._start, self._step = counted, start, step
        self._last: int | None = None
        self.mended = 0

    def __call__(self, pts: int | None) -> int:
        """Return the time of the next frame."""
        after = 0 if self._last is None else self._last + (1 if self._counted else self._step)
        found = after if self._counted else (None if pts is None else pts - self._start)
        if found is None or found < 0 or (self._last is not None and found <= self._last):
            self.mended += 1
            found = after
        self._last = found
        return found


def all_packets(
    container: InputContainer, stream: av.stream.Stream, failed: Callable[[], None]
) -> Iterator[Packet[Any]]:
    """Yield the packets of a stream and then an empty one, going on behind what cannot be read."""
    in_a_row = 0
    while in_a_row < _FAILED_READS:
        try:
            for packet in container.demux(stream):
                in_a_row = 0
                yield packet
            return
        except FFmpegError:
            failed()
            in_a_row += 1
    last: Packet[Any] = Packet()
    last.stream = stream
    yield last


def to_bgr(frame: VideoFrame, reformatter: VideoReformatter) -> NDArray[np.uint8]:
    """Return a decoded frame of any pixel format as H x W x 3 uint8, what is transparent on black."""
    transparent = frame.format.name == "pal8" or any(part.is_alpha for part in frame.format.components)
    wanted = "bgra" if transparent else "bgr24"
    array = cast("NDArray[np.uint8]", reformatter.reformat(frame, format=wanted, threads=1).to_ndarray())
    return on_black(array) if transparent else array


def on_black(bgra: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return H x W x 4 as H x W x 3 in front of black."""
    alpha = cv2.cvtColor(np.ascontiguousarray(bgra[..., 3]), cv2.COLOR_GRAY2BGR)
    return np.asarray(cv2.multiply(np.ascontiguousarray(bgra[..., :3]), alpha, scale=1 / 255), np.uint8)
