"""The clip file: what goes in comes out, and nothing half-written ever looks finished."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal.clips import FLOW_STEP, Clip, create, describe, flow_step, name_frames, round_flow
from dynsal.errors import DataError
from dynsal.fileio import sha256

SIZE = (32, 16)


def write(path, count=70, size=SIZE):
    """Write a clip of smooth frames and random fields; more frames than the writer buffers."""
    rng = np.random.default_rng(0)
    width, height = size
    ramp = np.linspace(0, 200, width * height).reshape(height, width)
    fields = rng.normal(0, 3, (count, height, width, 2)).astype(np.float32)
    with create(path, size, jpeg_quality=95, flow_step=FLOW_STEP) as writer:
        for i in range(count):
            writer.append(
                3 * i, i / 10, np.repeat((ramp + i / 2)[..., None], 3, 2).astype(np.uint8), fields[i]
            )
        describe(writer, video="x", source_frames=3 * count)
    return fields


def test_round_trip(tmp_path):
    """Indices, times, attributes and flow come back; frames within the JPEG's error."""
    fields = write(tmp_path / "a.h5")
    with Clip(tmp_path / "a.h5") as clip:
        assert len(clip) == 70
        assert clip.size == SIZE
        assert clip.attrs["video"] == "x"
        np.testing.assert_array_equal(clip.frames, 3 * np.arange(70))
        np.testing.assert_allclose(clip.times, np.arange(70) / 10)
        for i in (0, 31, 32, 69):  # either side of the writer's buffer
            np.testing.assert_allclose(clip.flow(i), fields[i], atol=FLOW_STEP / 2 + 1e-6)
            expected = np.linspace(0, 200, 512).reshape(16, 32) + i / 2
            assert np.abs(clip.bgr(i)[..., 0] - expected).mean() < 2


def test_names_of_frames(tmp_path):
    """One for each frame, of any language, whatever their number; none for videos."""
    names = [f"photo_{i}_ä.jpg" for i in range(40)]
    with create(tmp_path / "a.h5", SIZE, jpeg_quality=95) as writer:
        for i in range(40):
            writer.append(i, float(i), np.zeros((16, 32, 3), np.uint8))
        with pytest.raises(ValueError, match="39 names for 40 frames"):
            name_frames(writer, names[1:])
        name_frames(writer, names)
    with Clip(tmp_path / "a.h5") as clip:
        assert clip.names == names
    write(tmp_path / "b.h5", 1)
    with Clip(tmp_path / "b.h5") as clip:
        assert clip.names == []


def test_same_input_same_bytes(tmp_path):
    """Two runs write identical files, so checksums can stand for content."""
    write(tmp_path / "a.h5")
    write(tmp_path / "b.h5")
    assert sha256(tmp_path / "a.h5") == sha256(tmp_path / "b.h5")


@given(st.floats(-128, 128, width=32))
@settings(max_examples=200)
def test_rounding_is_exact_in_float16(value):
    """Up to 128 px a stored component is the nearest multiple of 1/16 px, without a second rounding."""
    stored = float(round_flow(np.float32([value]), FLOW_STEP)[0])
    assert stored % FLOW_STEP == 0
    assert abs(stored - value) <= FLOW_STEP / 2


@pytest.mark.parametrize(
    ("width", "step"),
    [(1280, 1 / 16), (640, 1 / 16), (320, 1 / 32), (160, 1 / 64), (128, 1 / 128), (40, 1 / 256)],
)
def test_rounding_shrinks_with_the_picture(width, step):
    """A motion that is stored at full size is stored at a quarter, too; steps are powers of two."""
    assert flow_step(width) == step


def test_failure_leaves_nothing(tmp_path):
    """An error in the middle leaves neither the file nor its temporary copy."""
    with pytest.raises(RuntimeError, match="worker"), create(tmp_path / "a.h5", SIZE, 95) as writer:
        writer.append(0, 0.0, np.zeros((16, 32, 3), np.uint8))
        raise RuntimeError("worker killed")
    assert list(tmp_path.iterdir()) == []


def test_empty_clip_is_refused(tmp_path):
    """A clip without frames is an error that names the file."""
    with pytest.raises(DataError, match=r"a\.h5: no frame"), create(tmp_path / "a.h5", SIZE, 95):
        pass
    assert list(tmp_path.iterdir()) == []


def test_wrong_size_is_refused(tmp_path):
    """A frame of another size is a programming error, told with both sizes."""
    with pytest.raises(ValueError, match="the clip"), create(tmp_path / "a.h5", SIZE, 95) as writer:
        writer.append(0, 0.0, np.zeros((16, 30, 3), np.uint8))


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign", "not hdf5"])
def test_damaged_files_are_named(tmp_path, damage):
    """Whatever is wrong with a clip, the message names the file and what to do."""
    path = tmp_path / "a.h5"
    if damage == "truncated":
        write(path)
        path.write_bytes(path.read_bytes()[:3000])
    elif damage == "foreign":
        with h5py.File(path, "w") as handle:
            handle["other"] = 1
    elif damage == "not hdf5":
        path.write_text("hello")
    with pytest.raises(DataError, match=r"a\.h5"):
        Clip(path)


def test_flipped_byte_in_a_field_is_found(tmp_path):
    """The checksum of every field catches silent damage on disk."""
    write(tmp_path / "a.h5", count=2)
    with h5py.File(tmp_path / "a.h5") as handle:
        chunk = handle["flow"].id.get_chunk_info(1)
    raw = bytearray((tmp_path / "a.h5").read_bytes())
    raw[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    (tmp_path / "a.h5").write_bytes(raw)
    with Clip(tmp_path / "a.h5") as clip:
        clip.flow(0)
        with pytest.raises(DataError, match="damaged"):
            clip.flow(1)
