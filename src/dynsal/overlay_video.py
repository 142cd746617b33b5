"""The mp4 of `dynsal predict`: maps over frames at their presentation times, with the source's sound."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import FFmpegError

from dynsal import h264, heat
from dynsal.errors import DataError
from dynsal.outputs import Predicted
from dynsal.pictures import Source
from dynsal.sound import Sound

CRF, PRESET = 20, "ultrafast"
"""Of overlays: x264's quality, and a speed that leaves the processor to the net (files are twice those of superfast)."""


class OverlayVideo:
    """An mp4 with the maps over the frames, their presentation times, and the source's sound.

    Parameters
    ----------
    path
        The file to write.
    source
        What the frames come from.
    side_by_side
        Put the frame itself to the left.
    """

    def __init__(self, path: Path, source: Source, side_by_side: bool) -> None:
        self._path, self._source, self._side_by_side = path, source, side_by_side
        even = (source.size[0] + source.size[0] % 2, source.size[1] + source.size[1] % 2)
        wide = (even[0] * 2, even[1]) if side_by_side else even
        self._container: OutputContainer = av.open(
            str(path), "w", format="mp4", options=h264.CONTAINER_OPTIONS
        )
        self._video = h264.add_stream(self._container, wide, source.rate, CRF, PRESET)
        self._video.codec_context.time_base = source.time_base
        self._video.codec_context.sample_aspect_ratio = source.aspect
        self._video.codec_context.colorspace = 6  # BT.601, as OpenCV converts
        self._video.codec_context.color_range = 1
        self._length = max(1, round(1 / source.rate / source.time_base))
        self._sound = Sound(source.sound, source.start, self._container)
        self._end = 0.0

    def add(self, frame: Predicted) -> None:
        """Encode the frame, and take over the sound up to its time."""
        if frame.planes is None:
            raise ValueError("an overlay needs the picture")
        planes = heat.lay_over(frame.planes, frame.saliency, self._source.size)
        if self._side_by_side:
            planes = heat.beside(frame.planes, planes)
        picture = av.VideoFrame.from_ndarray(planes, "yuv420p")
        picture.pts, picture.time_base = frame.pts, self._source.time_base
        picture.duration = self._length
        self._end = frame.time + self._length * float(self._source.time_base)
        self._guarded(lambda: self._container.mux(self._video.encode(picture)))
        self._guarded(lambda: self._take_sound(frame.time))

    def close(self, whole: bool = True) -> None:
        """Write what the encoder still holds, and the rest of the sound; if not whole, up to the last frame."""
        self._guarded(lambda: self._finish(float("inf") if whole else self._end))

    def _finish(self, end: float) -> None:
        with self._container:
            try:
                self._container.mux(self._video.encode(None))
                self._take_sound(end)
            finally:
                self._sound.close()

    def _take_sound(self, seconds: float) -> None:
        for packet in self._sound.upto(seconds):
            self._container.mux(packet)

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except FFmpegError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):  # atomic() tells that story
                raise OSError(error.errno, error.strerror) from error
            raise DataError(
                self._path, f"cannot be written ({error.strerror})", "Check the folder and the video's sound"
            ) from error
