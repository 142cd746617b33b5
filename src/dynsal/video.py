"""Video files: sequential decoding that notices damage, encoding with reproducible bytes, resizing.

Frames are numbered in decode order. Presentation times are never used to sort or to seek: in H.264 inside AVI (all
of hevc33) they are out of order although the frames are not, and container frame counts and seeking are wrong for
several formats.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar, cast

import av
import cv2
import numpy as np
from av.codec.context import ThreadType
from av.container import InputContainer
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from dynsal import h264
from dynsal.errors import DataError
from dynsal.fileio import atomic

log = logging.getLogger(__name__)

Wanted = Callable[[int], bool]
"""Whether the frame of an index is needed."""

_AGAIN = "Delete it and fetch or export it again"
_BOXES = frozenset(b"ftyp moov mdat free skip wide pnot moof sidx styp uuid meta".split())


@dataclass(frozen=True)
class VideoInfo:
    """What a container says about its video; only decoding tells the true number of frames."""

    width: int
    height: int
    fps: float
    container_frames: int
    """Frames by the container's own account, 0 if it gives none; wrong for some formats."""


def probe(path: Path) -> VideoInfo:
    """Return size, average frame rate and the container's frame count.

    Raises
    ------
    DataError
        If the file is missing, empty or no video.
    """
    with open_stream(Path(path)) as (_, stream):
        return VideoInfo(
            stream.codec_context.width, stream.codec_context.height, float(_rate(path, stream)), stream.frames
        )


def packet_times(path: Path) -> NDArray[np.float64]:
    """Return the time stamps of all pictures in seconds, ascending, without decoding; NaN if one has none.

    Their number is the number of frames, but for rare ways of coding fields that `decode` refuses.

    Raises
    ------
    DataError
        As `probe`, or if the file cannot be read to its end.
    """
    times = []
    with open_stream(Path(path)) as (container, stream):
        try:
            for packet in container.demux(stream):
                if packet.size and not packet.is_discard:
                    stamp = packet.dts if packet.pts is None else packet.pts
                    times.append(np.nan if stamp is None else float(stamp * packet.time_base))
        except FFmpegError as error:
            raise DataError(
                path, f"cannot be read after frame {len(times)} ({error.strerror})", _AGAIN
            ) from error
    return np.sort(np.array(times, np.float64))


def display(path: Path) -> tuple[int, Fraction]:
    """Return what players do to the frames and `decode` does not: turn them clockwise, by degrees, and widen pixels.

    The second value is a pixel's width / height.

    Raises
    ------
    DataError
        As `probe`, or if the first frame cannot be decoded.
    """
    path = Path(path)
    with open_stream(path) as (container, stream):
        try:
            frame = next(container.decode(stream))
        except (FFmpegError, StopIteration) as error:
            raise DataError(path, "is damaged or cut short at frame 0", _AGAIN) from error
        return -frame.rotation % 360, stream.sample_aspect_ratio or Fraction(1)


def decode(path: Path, wanted: Wanted | None = None) -> Iterator[tuple[float, NDArray[np.uint8] | None]]:
    """Yield (seconds, H x W x 3 uint8 BGR) of every frame, in decode order, on one core.

    With ``wanted``, a function of the frame's index, the others come as None: turning a large frame into BGR takes
    as long as decoding it.

    Seconds are index / average rate, so they rise evenly whatever the time stamps say.

    Raises
    ------
    DataError
        If the file is missing, empty, no video, cut short, or damaged; the message names the frame.
        Damage in the middle of a file shows only when decoding reaches it.
    """
    path = Path(path)
    frames = packets = corrupt = 0
    with open_stream(path) as (container, stream):
        seconds = 1 / _rate(path, stream)
        stream.thread_type = ThreadType.NONE
        stream.codec_context.thread_count = 1
        reformatter = VideoReformatter()
        size = None
        missing = missing_bytes(path)
        try:
            for packet in container.demux(stream):
                packets += bool(packet.size) and not packet.is_discard
                if packet.is_corrupt:
                    raise DataError(path, f"is damaged or cut short at frame {frames}", _AGAIN)
                for frame in packet.decode():
                    if size is not None and (frame.width, frame.height) != size:
                        raise DataError(path, f"changes its size at frame {frames}", "Export it at one size")
                    size = (frame.width, frame.height)
                    corrupt += frame.is_corrupt
                    bgr = None
                    if wanted is None or wanted(frames):
                        picture = reformatter.reformat(frame, format="bgr24", threads=1)
                        bgr = cast("NDArray[np.uint8]", picture.to_ndarray())
                    yield float(frames * seconds), bgr
                    frames += 1
        except FFmpegError as error:
            raise DataError(
                path, f"cannot be decoded at frame {frames} ({error.strerror})", _AGAIN
            ) from error
        expected = max(packets, stream.frames if "mov" in container.format.name else 0)
    if missing:
        raise DataError(path, f"is cut short: {missing} bytes are missing after frame {frames}", _AGAIN)
    if frames < expected or not frames:
        raise DataError(path, f"is damaged or cut short: {frames} of {expected} frames decoded", _AGAIN)
    if corrupt:
        log.warning("%s: the decoder flagged %d of %d frames as damaged", path, corrupt, frames)


def encode(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    fps: float,
    crf: int = 18,
    preset: str = "medium",
    keyint: int = 250,
) -> int:
    """Write BGR frames as an H.264 mp4 that browsers play; return the number of frames.

    ``keyint`` is the largest distance of frames that decode alone: the smaller, the faster a player jumps.

    Equal frames give equal bytes (one thread, no time stamps or versions of the muxer in the file, and without x264's
    macroblock tree, whose decisions vary from run to run). An odd width or
    height gets one repeated column or row, because 4:2:0 video has even sides.

    Raises
    ------
    DataError
        If there is no frame, or no space left.
    """
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise DataError(path, "there is no frame to write", "Check the input of this step")
    height, width = first.shape[:2]
    pad = ((0, height % 2), (0, width % 2), (0, 0))
    count = 0
    with atomic(Path(path)) as part:
        try:
            with av.open(str(part), "w", format="mp4", options=h264.CONTAINER_OPTIONS) as container:
                rate = Fraction(fps).limit_denominator(1001)
                size = (width + width % 2, height + height % 2)
                stream = h264.add_stream(container, size, rate, crf, preset, keyint)
                reformatter = VideoReformatter()
                for bgr in itertools.chain([first], iterator):
                    if bgr.shape != first.shape:
                        raise ValueError(f"frame {count} is {bgr.shape}, the first was {first.shape}")
                    picture = av.VideoFrame.from_ndarray(
                        np.ascontiguousarray(np.pad(bgr, pad, "edge")), "bgr24"
                    )
                    picture.pts = count
                    container.mux(stream.encode(reformatter.reformat(picture, format="yuv420p", threads=1)))
                    count += 1
                container.mux(stream.encode(None))
        except FFmpegError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):  # atomic() tells that story
                raise OSError(error.errno, error.strerror) from error
            raise DataError(
                path, f"cannot be written ({error.strerror})", "Check the folder and the frames"
            ) from error
    return count


Pixel = TypeVar("Pixel", np.uint8, np.float32, np.float64, np.floating[Any])


def resize(frame: NDArray[Pixel], size: tuple[int, int]) -> NDArray[Pixel]:
    """Rescale a frame, or a map of floats, to (width, height).

    Area average where a side shrinks, linear where it grows; unchanged if equal.
    """
    height, width = frame.shape[:2]
    shrunk = (min(width, size[0]), min(height, size[1]))
    if shrunk != (width, height):
        frame = cast("NDArray[Pixel]", cv2.resize(frame, shrunk, interpolation=cv2.INTER_AREA))
    if shrunk != tuple(size):
        frame = cast("NDArray[Pixel]", cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR))
    return frame


@contextlib.contextmanager
def open_stream(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Yield the container of a video file and its first video stream.

    Raises
    ------
    DataError
        If the file is missing, empty or no video.
    """
    if not path.is_file():
        raise DataError(path, "there is no such video file", "Check the name and the download")
    if path.stat().st_size == 0:
        raise DataError(path, "the video file is empty (0 bytes)", _AGAIN)
    try:
        container = av.open(str(path))
    except FFmpegError as error:
        raise DataError(path, f"is no video, or one cut short ({error.strerror})", _AGAIN) from error
    with container:
        streams = container.streams.video
        if not streams or not getattr(streams[0], "codec_context", None):  # None where the codec is not known
            missing = missing_bytes(path)
            if missing:
                raise DataError(path, f"is cut short: {missing} bytes are missing", _AGAIN)
            raise DataError(path, "holds no video stream that can be decoded", "Convert it to mp4 (H.264)")
        yield container, streams[0]


def _rate(path: Path, stream: VideoStream) -> Fraction:
    rate = stream.average_rate or stream.guessed_rate
    if not rate:
        raise DataError(path, "states no frame rate", "Convert it to mp4 with a constant frame rate")
    return rate


def missing_bytes(path: Path) -> int:
    """Return by how much the outermost AVI chunks or mp4 boxes run past the end of the file; 0 for other formats.

    Decoders hide a cut between two packets; the sizes written at the start of each chunk do not.
    """
    end, at = path.stat().st_size, 0
    with path.open("rb") as stream:
        while at + 8 <= end:
            stream.seek(at)
            head = stream.read(16)
            if head[:4] == b"RIFF":
                size = int.from_bytes(head[4:8], "little")
                size += 8 + size % 2 if size else 0
            elif head[4:8] in _BOXES:
                size = int.from_bytes(head[:4], "big")
                size = int.from_bytes(head[8:16], "big") if size == 1 else size
            else:
                break
            if size < 8:  # 0 means "to the end"
                break
            if at + size > end + 1:  # one byte of padding may be left out
                return at + size - end
            at += size
    return 0
