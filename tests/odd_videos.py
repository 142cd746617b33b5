"""Videos of every kind that `dynsal predict` must take, written with PyAV; frames say their number by brightness."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = (64, 48)


def moving(count, size=SIZE):
    """Return frames of blurred noise that drifts, with a bright square that tells left from right and up from down."""
    import cv2

    width, height = size
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 160, (height // 4 + 1, width // 2 + 1, 3), np.uint8)
    wide = cv2.resize(coarse, (width * 2, height))
    frames = [np.ascontiguousarray(wide[:, i % width : i % width + width]) for i in range(count)]
    for frame in frames:
        frame[2 : height // 4, 2 : width // 4] = 255
    return frames


def write(
    path: Path, frames, codec="libx264", pix_fmt="yuv420p", pts=None, time_base=None, rate=25, sound=None, rotation=0,
    aspect=None, options=None,
):  # fmt: skip
    """Write frames; ``pts`` in units of ``time_base``; ``sound`` is (codec, seconds) of a 440 Hz tone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if time_base:
            stream.codec_context.time_base = Fraction(time_base)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        audio = None
        if sound:
            audio = container.add_stream(sound[0], rate=48000, layout="stereo")
        kind = {1: "gray", 3: "bgr24", 4: "bgra"}
        for number, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(array, kind[1 if array.ndim == 2 else array.shape[2]])
            frame.pts = number if pts is None else pts[number]
            frame.time_base = Fraction(time_base) if time_base else Fraction(1) / Fraction(rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio:
            samples = np.arange(round(sound[1] * 48000))
            tone = (8000 * np.sin(samples * 2 * np.pi * 440 / 48000)).astype(np.int16)
            for at in range(0, len(tone), 1024):
                part = np.repeat(tone[at : at + 1024], 2)[None]
                frame = av.AudioFrame.from_ndarray(part, "s16", "stereo")
                frame.sample_rate, frame.pts, frame.time_base = 48000, at, Fraction(1, 48000)
                container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def read(path):
    """Return the frames' times in seconds and the frames as BGR, by PyAV alone."""
    times, frames = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            times.append(float(frame.pts * frame.time_base))
            frames.append(frame.to_ndarray(format="bgr24"))
    return times, frames


def sound_packets(path):
    """Return the audio packets of a file as (seconds, bytes)."""
    with av.open(str(path)) as container:
        return [
            (float(packet.pts * packet.time_base), bytes(packet))
            for packet in container.demux(audio=0)
            if packet.size
        ]


def damaged(path: Path, out: Path, share=0.5, length=400):
    """Copy a file with bytes overwritten from a share of its length on."""
    data = bytearray(path.read_bytes())
    at = int(len(data) * share)
    data[at : at + length] = bytes(np.random.default_rng(0).integers(0, 255, length, np.uint8))
    out.write_bytes(data)
    return out
