"""The one way in which videos are written: H.264 that browsers play, equal bytes for equal frames."""

from __future__ import annotations

from fractions import Fraction

from av.codec.context import Flags, ThreadType
from av.container import OutputContainer
from av.video.stream import VideoStream

CONTAINER_OPTIONS = {"movflags": "+faststart", "fflags": "+bitexact"}
"""Of the mp4 file: playable while it loads, no time stamps or versions of the muxer in it."""


def add_stream(
    container: OutputContainer,
    size: tuple[int, int],
    rate: Fraction,
    crf: int,
    preset: str,
    keyint: int = 250,
) -> VideoStream:
    """Add an H.264 stream (4:2:0, one thread) to a container.

    Without x264's macroblock tree, whose decisions vary from run to run.

    Parameters
    ----------
    container
        An mp4 open for writing.
    size
        Width and height, both even.
    rate
        Frames per second, which also sets the time base.
    crf, preset
        x264's quality (lower is better) and speed.
    keyint
        Largest distance of frames that decode alone.
    """
    stream = container.add_stream(
        "libx264",
        rate=rate,
        options={"crf": str(crf), "preset": preset, "x264-params": f"mbtree=0:keyint={keyint}"},
    )
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    stream.thread_type = ThreadType.NONE
    stream.codec_context.thread_count = 1
    stream.codec_context.flags |= Flags.bitexact
    return stream
