"""Decoding in order, noticing every kind of damage; encoding reproducibly; resizing by the right kernel."""

from __future__ import annotations

import errno
import os
import shutil

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal.errors import DataError
from dynsal.fileio import sha256
from dynsal.video import decode, encode, probe, resize

COUNT = 40


def painted(count=COUNT, width=64, height=48):
    """Return frames whose number can be read back: bit k of it is the brightness of cell k."""
    frames = []
    for number in range(count):
        frame = np.full((height, width, 3), 40, np.uint8)
        for bit in range(6):
            frame[8:40, 10 * bit + 2 : 10 * bit + 10] = 220 if number >> bit & 1 else 40
        frames.append(frame)
    return frames


def number_of(frame) -> int:
    return sum((int(frame[14:34, 10 * bit + 4 : 10 * bit + 8].mean()) > 128) << bit for bit in range(6))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    assert encode(path, iter(painted()), 25, preset="veryfast") == COUNT
    return path


def avi_with_b_frames(path, count=COUNT, codec="libx264"):
    """Write H.264 in AVI with B-frames, as all hevc33 clips are."""
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream(codec, rate=25, options={"bf": "3", "b-adapt": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in painted(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "bgr24")))
        container.mux(stream.encode(None))
    return path


def test_round_trip(clip):
    """Frames come back in order, numbered, with times from the rate, as writable BGR."""
    info = probe(clip)
    assert (info.width, info.height, info.fps, info.container_frames) == (64, 48, 25.0, COUNT)
    frames = list(decode(clip))
    assert [number_of(frame) for _, frame in frames] == list(range(COUNT))
    np.testing.assert_allclose([time for time, _ in frames], np.arange(COUNT) / 25)
    assert frames[0][1].shape == (48, 64, 3)
    assert frames[0][1].dtype == np.uint8


def test_colours_are_bgr(tmp_path):
    frame = np.zeros((32, 32, 3), np.uint8)
    frame[:] = (200, 60, 20)
    encode(tmp_path / "blue.mp4", [frame], 10, crf=5)
    ((_, found),) = decode(tmp_path / "blue.mp4")
    np.testing.assert_allclose(found.mean((0, 1)), (200, 60, 20), atol=4)


def test_equal_frames_give_equal_bytes(clip, tmp_path):
    encode(tmp_path / "other name.mp4", painted(), 25, preset="veryfast")
    assert sha256(clip) == sha256(tmp_path / "other name.mp4")
    head = clip.read_bytes()
    assert head.index(b"moov") < head.index(b"mdat")  # faststart


def test_odd_size_gets_a_repeated_edge(tmp_path):
    encode(tmp_path / "odd.mp4", [np.full((47, 63, 3), 90, np.uint8)] * 2, 30000 / 1001)
    info = probe(tmp_path / "odd.mp4")
    assert (info.width, info.height) == (64, 48)
    assert info.fps == pytest.approx(30000 / 1001)


def test_decode_order_is_trusted_not_time_stamps(tmp_path):
    """In this AVI time stamps are out of order, as in hevc33; sorting by them would scramble the frames."""
    path = avi_with_b_frames(tmp_path / "b.avi")
    with av.open(str(path)) as container:
        pts = [frame.pts for frame in container.decode(video=0)]
    assert pts != sorted(pts)  # else this test shows nothing
    frames = list(decode(path))
    assert [number_of(frame) for _, frame in frames] == list(range(COUNT))
    assert np.all(np.diff([time for time, _ in frames]) > 0)


def test_zero_byte_missing_and_foreign_files(tmp_path):
    for name, content, problem in [
        ("zero.mp4", b"", "empty"),
        ("text.mp4", b"no video at all\n" * 50, "is no video"),
        ("missing.mp4", None, "no such video file"),
    ]:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        for use in (probe, lambda file: list(decode(file))):
            with pytest.raises(DataError, match=rf"{name}: .*{problem}"):
                use(path)


def test_sound_without_pictures(tmp_path):
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(DataError, match=r"sound\.wav: holds no video stream"):
        probe(tmp_path / "sound.wav")


@settings(max_examples=25, deadline=None)
@given(part=st.floats(0.02, 0.995))
def test_truncated_mp4_is_always_noticed(clip, tmp_path_factory, part):
    path = tmp_path_factory.mktemp("cut") / "cut.mp4"
    data = clip.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(DataError, match=r"cut\.mp4: .*(cut short|frame \d+)"):
        list(decode(path))


@settings(max_examples=25, deadline=None)
@given(part=st.floats(0.05, 0.995))
def test_truncated_avi_is_always_noticed(tmp_path_factory, part):
    folder = tmp_path_factory.mktemp("cut")
    path = avi_with_b_frames(folder / "cut.avi", 12)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(DataError, match=r"cut\.avi: .*(cut short|frame \d+)"):
        list(decode(path))


def test_damage_in_the_middle(tmp_path):
    """All bytes are there and the container counts 40 frames, but one packet cannot be decoded."""
    path = avi_with_b_frames(tmp_path / "hole.avi")
    data = bytearray(path.read_bytes())
    middle = data.index(b"movi") + (data.index(b"idx1") - data.index(b"movi")) // 2
    hole = data.index(b"00dc", middle) + 8
    data[hole : hole + 60] = bytes(60)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"hole\.avi: cannot be decoded at frame \d+"):
        list(decode(path))


def test_truncation_says_where_and_yields_the_good_part_first(clip, tmp_path):
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip.read_bytes()[:-300])
    seen = []
    with pytest.raises(DataError, match=r"frame \d+"):
        seen.extend(number_of(frame) for _, frame in decode(path))
    assert 0 < len(seen) <= COUNT
    assert seen == list(range(len(seen)))


def test_nothing_is_left_by_a_failed_encode(tmp_path):
    def frames():
        yield from painted(5)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        encode(tmp_path / "a.mp4", frames(), 25)
    with pytest.raises(DataError, match="no frame"):
        encode(tmp_path / "a.mp4", [], 25)
    with pytest.raises(ValueError, match="frame 1 is"):
        encode(tmp_path / "a.mp4", [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 10, 3), np.uint8)], 25)
    assert list(tmp_path.iterdir()) == []


def test_no_space_left_while_encoding(tmp_path, monkeypatch):
    """The muxer's own 'no space left' becomes the clear error; nothing that looks finished stays."""

    def full(*_args, **_options):
        raise av.error.FFmpegError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(av, "open", full)
    with pytest.raises(DataError, match=r"a\.mp4: no space left"):
        encode(tmp_path / "a.mp4", painted(3), 25)
    assert list(tmp_path.iterdir()) == []


def test_resize_kernels():
    """Shrinking averages, enlarging interpolates, each side by its own; the same size is the same object."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    assert resize(frame, (64, 48)) is frame
    blocks = frame.reshape(24, 2, 32, 2, 3).mean((1, 3))
    np.testing.assert_allclose(resize(frame, (32, 24)), blocks, atol=0.51)
    np.testing.assert_array_equal(
        resize(frame, (128, 96)), cv2.resize(frame, (128, 96), interpolation=cv2.INTER_LINEAR)
    )
    mixed = resize(frame, (32, 96))
    assert mixed.shape == (96, 32, 3)
    narrow = frame.reshape(48, 32, 2, 3).mean(2)
    assert np.abs(mixed[::2].mean((0, 1)) - narrow.mean((0, 1))).max() < 3


@pytest.mark.data
def test_real_avi_decodes_in_order_like_opencv(mirror):
    """The smallest real clip: its 300 frames equal those of an independent sequential decoder."""
    path = mirror / "hevc33/videos/RaceHorsesD.avi"
    capture = cv2.VideoCapture(str(path))
    count = 0
    for count, (_time, frame) in enumerate(decode(path), 1):
        ok, other = capture.read()
        assert ok
        if count % 10 == 1:
            assert np.abs(frame.astype(int) - other).max() <= 3, count
    assert count == 300
    assert not capture.read()[0]


@pytest.mark.data
def test_real_avi_cut_in_half(mirror, tmp_path):
    path = tmp_path / "half.avi"
    shutil.copyfile(mirror / "hevc33/videos/RaceHorsesD.avi", path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(DataError, match=r"half\.avi: .*frame \d+"):
        list(decode(path))


def test_keyint(tmp_path):
    """At most so many frames apart, one decodes alone; the default leaves that to x264."""
    frames = [np.full((48, 64, 3), level, np.uint8) for level in range(50)]

    def alone(**options) -> list[int]:
        encode(tmp_path / "clip.mp4", frames, 25, **options)
        with av.open(str(tmp_path / "clip.mp4")) as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
        return [number for number, packet in enumerate(packets) if packet.is_keyframe]

    assert max(np.diff([*alone(keyint=20), len(frames)])) <= 20
    assert alone() == [0]
