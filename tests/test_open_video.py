"""The lenient reader: what players show, of any file, and on past damage."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_videos import SIZE, damaged, moving, write

from dynsal.errors import DataError
from dynsal.open_images import OpenImages, read_image
from dynsal.open_video import Clock, OpenVideo
from dynsal.video import decode


def pictures(path):
    video = OpenVideo(path)
    found = list(video)
    video.close()
    return video, found


def test_a_plain_video_is_what_the_strict_reader_gives(tmp_path):
    path = write(tmp_path / "a.mp4", moving(12))
    video, found = pictures(path)
    strict = list(decode(path))
    assert [one.index for one in found] == list(range(12))
    np.testing.assert_allclose([one.time for one in found], [time for time, _ in strict])
    for one, (_, bgr) in zip(found, strict, strict=True):
        np.testing.assert_array_equal(one.bgr, bgr)
    assert (video.size, video.rate, video.expected, video.rotation) == (SIZE, 25, 12, 0)
    assert not video.damage.lost
    assert str(video.damage) == ""


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_variable_frame_rate_keeps_its_times(tmp_path, suffix):
    pts = [0, 40, 50, 200, 210, 500]
    path = write(tmp_path / f"a.{suffix}", moving(6), pts=pts, time_base="1/1000")
    _, found = pictures(path)
    np.testing.assert_allclose([one.time for one in found], np.array(pts) / 1000, atol=1e-9)


def test_avi_with_b_frames_is_counted(tmp_path):
    """Its time stamps are out of order although its frames are not."""
    path = write(tmp_path / "a.avi", moving(12), options={"bf": "3", "b-adapt": "0"})
    video, found = pictures(path)
    np.testing.assert_allclose([one.time for one in found], np.arange(12) / 25)
    assert video.damage.mended_times == 0


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_rotation_is_applied(tmp_path, clockwise):
    """The stored picture has its bright square at the top left."""
    frames = moving(3)
    path = write(tmp_path / "a.mp4", frames, rotation=-clockwise, aspect=Fraction(4, 3))
    video, found = pictures(path)
    assert video.rotation == clockwise
    expected = np.rot90(frames[0], -clockwise // 90)
    assert video.size == expected.shape[1::-1]
    error = np.abs(found[0].bgr.astype(int) - expected).mean()
    assert error < 12
    assert np.abs(found[0].bgr.astype(int) - expected[::-1, ::-1]).mean() > 2 * error  # turned the other way
    assert video.aspect == (Fraction(4, 3) if clockwise == 180 else Fraction(3, 4))


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix", "size"),
    [
        ("libx264", "gray", "mp4", SIZE), ("libx264", "yuv420p10le", "mp4", SIZE), ("libx264", "yuv444p", "mkv", (63, 47)),
        ("ffv1", "gray16le", "mkv", SIZE), ("mjpeg", "yuvj420p", "avi", SIZE), ("rawvideo", "bgr24", "avi", (63, 47)),
        ("libvpx-vp9", "yuv420p", "webm", SIZE), ("mpeg4", "yuv420p", "mkv", SIZE), ("mpeg2video", "yuv420p", "ts", SIZE),
    ],
)  # fmt: skip
def test_pixel_formats_and_containers(tmp_path, codec, pix_fmt, suffix, size):
    frames = moving(5, size)
    if "gray" in pix_fmt:
        frames = [np.repeat(frame.mean(2, keepdims=True), 3, 2).astype(np.uint8) for frame in frames]
    video, found = pictures(write(tmp_path / f"a.{suffix}", frames, codec, pix_fmt))
    assert len(found) == 5
    assert video.size == size
    assert np.abs(found[2].bgr.astype(int) - frames[2]).mean() < 12
    assert not video.damage.lost


@pytest.mark.parametrize(("codec", "suffix"), [("png", "mov"), ("ffv1", "mkv")])
def test_transparency_is_black(tmp_path, codec, suffix):
    frames = [np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)]) for frame in moving(3)]
    for frame in frames:
        frame[:, 32:, 3] = 0
        frame[:24, :32, 3] = 128
    path = write(tmp_path / f"a.{suffix}", frames, codec, "rgba" if codec == "png" else "bgra")
    _, found = pictures(path)
    assert not found[1].bgr[:, 32:].any()
    np.testing.assert_allclose(found[1].bgr[:24, :32], frames[1][:24, :32, :3] * (128 / 255), atol=1)
    np.testing.assert_array_equal(found[1].bgr[24:, :32], frames[1][24:, :32, :3])


def test_damage_in_the_middle(tmp_path):
    """Each PNG stands for itself: those hit cannot be decoded, all others come as they were."""
    frames = moving(30)
    whole = write(tmp_path / "a.mov", frames, "png", "rgb24")
    video, found = pictures(damaged(whole, tmp_path / "b.mov"))
    assert 0 < video.damage.missing <= 3
    assert len(found) == 30 - video.damage.missing
    assert [one.index for one in found] == list(range(len(found)))
    np.testing.assert_array_equal(found[-1].bgr, frames[-1])
    assert np.isclose(found[-1].time, 29 / 25)  # the gap stays a gap
    assert "could not be decoded" in str(video.damage)


def test_damage_in_h264_is_noticed(tmp_path):
    whole = write(tmp_path / "a.mp4", moving(60, (320, 240)), options={"crf": "10"})
    video, found = pictures(damaged(whole, tmp_path / "b.mp4", length=2000))
    assert video.damage.lost
    assert 30 < len(found) <= 60
    assert len(found) + video.damage.missing >= 60


def test_cut_short(tmp_path):
    whole = write(tmp_path / "a.mp4", moving(60), options={"movflags": "+faststart"})
    from dynsal.video import encode

    encode(whole, moving(60), 25)  # with the index in front
    cut = tmp_path / "b.mp4"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    video, found = pictures(cut)
    assert video.damage.cut
    assert 5 < len(found) < 60
    assert len(found) + video.damage.missing == 60


def test_a_change_of_size_is_rescaled(tmp_path):
    """Two raw streams one after the other."""
    for name, size in (("a", SIZE), ("b", (96, 64))):
        write(tmp_path / f"{name}.h264", moving(4, size))
    both = tmp_path / "both.h264"
    both.write_bytes((tmp_path / "a.h264").read_bytes() + (tmp_path / "b.h264").read_bytes())
    video, found = pictures(both)
    assert len(found) == 8
    assert {one.bgr.shape for one in found} == {(48, 64, 3)}
    assert video.damage.resized == 4
    assert not video.damage.lost


@pytest.mark.parametrize("content", [b"", b"no video at all, but text\n" * 40, b"\x00\x00\x00\x18ftypmp42"])
def test_no_video(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mp4"):
        OpenVideo(path)
    with pytest.raises(DataError, match="no such video"):
        OpenVideo(tmp_path / "absent.mp4")


def test_sound_alone_is_no_video(tmp_path):
    import av

    with av.open(str(tmp_path / "a.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(DataError, match="no video stream"):
        OpenVideo(tmp_path / "a.m4a")


@given(
    st.lists(st.one_of(st.none(), st.integers(-50, 400)), min_size=1, max_size=30),
    st.integers(1, 9),
    st.booleans(),
)
def test_times_rise_whatever_the_stamps_say(stamps, step, counted):
    clock = Clock(counted, 10, step)
    times = [clock(stamp) for stamp in stamps]
    assert times[0] >= 0
    assert all(later > before for before, later in itertools.pairwise(times))
    if counted:
        assert times == list(range(len(stamps)))
    good = [stamp for stamp in stamps if stamp is not None and stamp >= 10]
    if not counted and good == stamps and sorted(set(good)) == good:
        assert times == [stamp - 10 for stamp in stamps]
        assert clock.mended == 0


def test_images(tmp_path):
    import cv2

    frames = moving(3)
    paths = []
    for number, frame in enumerate(frames):
        paths.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(paths[-1]), frame)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nothing")
    (tmp_path / "empty.png").write_bytes(b"")
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros((90, 90, 3), np.uint8))
    extra = [tmp_path / "broken.png", tmp_path / "empty.png", tmp_path / "large.png"]
    source = OpenImages([*paths, *extra], "x", Fraction(10))
    found = list(source)
    assert [one.time for one in found] == [0, 0.1, 0.2, pytest.approx(0.3)]
    np.testing.assert_array_equal(found[2].bgr, frames[2])
    assert (source.damage.missing, source.damage.resized) == (2, 1)
    with pytest.raises(DataError, match="cannot be read as an image"):
        OpenImages([tmp_path / "broken.png"], "x")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_transparent_images_are_on_black(tmp_path, kind):
    import cv2

    most = np.iinfo(kind).max
    picture = np.full((4, 6, 4), most, kind)
    picture[:, 3:, 3] = 0
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    found = read_image(tmp_path / "a.png")
    assert found.dtype == np.uint8
    assert (found[:, :3] == 255).all()
    assert not found[:, 3:].any()


def test_grey_and_16_bit_images(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 6), 77, np.uint8))
    cv2.imwrite(str(tmp_path / "b.png"), np.full((4, 6, 3), 0x8000, np.uint16))
    assert read_image(tmp_path / "a.png").tolist() == np.full((4, 6, 3), 77).tolist()
    assert read_image(tmp_path / "b.png").tolist() == np.full((4, 6, 3), 128).tolist()
