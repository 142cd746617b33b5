"""The sound of a video, taken over into an mp4: its packets as they are where mp4 can hold them, else as AAC."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.audio.frame import AudioFrame
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from dynsal.open_video import all_packets

log = logging.getLogger(__name__)

COPIED = ("aac", "mp3", "ac3", "eac3", "alac", "opus")
"""Codecs that players expect in mp4."""


class Sound:
    """The first audio stream of a file, as packets for a container that is being written.

    Parameters
    ----------
    path
        The file; None, or one without sound, gives no packets.
    start
        Time stamp in seconds that becomes 0.
    out
        Where the stream is added; nothing may have been written to it yet.
    """

    def __init__(self, path: Path | None, start: Fraction, out: OutputContainer) -> None:
        self._start = start
        self._source: InputContainer | None = None
        self._waiting: Packet[Any] | None = None
        self._packets: Iterator[Packet[Any]] = iter(())
        self.damaged = 0
        if path is None:
            return
        source = av.open(str(path))
        # The decoder is unknown to this build of ffmpeg where there is no context.
        streams = [one for one in source.streams.audio if getattr(one, "codec_context", None)]
        if not streams:
            source.close()
            return
        self._source, stream = source, streams[0]
        if stream.codec_context.codec.canonical_name in COPIED:
            self._stream = out.add_stream_from_template(stream)
            self._packets = self._copied(stream)
        else:
            layout = "mono" if stream.codec_context.channels == 1 else "stereo"
            rate = stream.codec_context.sample_rate
            wanted = rate if rate in (22050, 24000, 32000, 44100, 48000) else 48000
            self._stream = out.add_stream("aac", rate=wanted, layout=layout)
            self._packets = self._encoded(stream)

    def upto(self, seconds: float) -> Iterator[Packet[Any]]:
        """Yield the packets whose time has come and that were not yielded yet."""
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                return
            if packet.dts is not None and float(packet.dts * packet.time_base) > seconds:
                self._waiting = packet
                return
            yield packet

    def close(self) -> None:
        """Close the file."""
        if self._source is not None:
            self._source.close()
        if self.damaged:
            log.warning("%d damaged packets of sound were left out", self.damaged)

    def _note(self) -> None:
        self.damaged += 1

    def _copied(self, stream: av.audio.stream.AudioStream) -> Iterator[Packet[Any]]:
        offset, last = round(self._start / (stream.time_base or 1)), None
        for packet in all_packets(cast(InputContainer, self._source), stream, self._note):
            if packet.dts is None or not packet.size:
                continue
            if last is not None and packet.dts - offset <= last:  # the muxer would refuse it
                self._note()
                continue
            packet.dts -= offset
            packet.pts = packet.dts if packet.pts is None else packet.pts - offset
            last = packet.dts
            packet.stream = self._stream
            yield packet

    def _encoded(self, stream: av.audio.stream.AudioStream) -> Iterator[Packet[Any]]:
        for packet in all_packets(cast(InputContainer, self._source), stream, self._note):
            try:
                frames = cast("list[AudioFrame]", packet.decode())
            except FFmpegError:
                self._note()
                continue
            for frame in frames:
                if frame.pts is not None:
                    frame.pts -= round(self._start / (frame.time_base or 1))
                yield from self._stream.encode(frame)
        with contextlib.suppress(EOFError):
            yield from self._stream.encode(None)
