"""``dynsal predict`` as a user meets it: inputs of every kind, outputs whole or not at all, Ctrl-C, exit status."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from helpers import ROOT, environment
from hypothesis import given
from hypothesis import strategies as st
from odd_videos import SIZE, damaged, moving, read, sound_packets, write
from test_prediction import model

from dynsal.cli import main
from dynsal.commands.predict import chosen_shard, share
from dynsal.evaluation import resize_map
from dynsal.maps import MapFile

FAST = ["--model", "spectral_residual"]


@pytest.fixture(autouse=True)
def _in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def clip(tmp_path):
    return write(tmp_path / "a.mp4", moving(10))


def predict(*words):
    return main(["predict", *map(str, words)])


def rows(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def test_default_outputs(clip, capsys, tmp_path):
    """An overlay and a table in the working directory, with every frame."""
    assert predict(clip, "--model", model(tmp_path / "m.safetensors")) == 0
    assert "a.saliency.mp4, a.saliency.csv: 10 frame(s) of 64x48" in capsys.readouterr().out
    times, frames = read("a.saliency.mp4")
    assert len(frames) == 10
    assert frames[0].shape == (48, 64, 3)
    np.testing.assert_allclose(times, np.arange(10) / 25, atol=1e-6)
    table = rows("a.saliency.csv")
    assert [int(row["frame"]) for row in table] == list(range(10))
    assert all(0 <= float(row["peak_x"]) < 64 and 0 <= float(row["peak_y"]) < 48 for row in table)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.mp4", "a.saliency.csv", "a.saliency.mp4", "m.safetensors",
    ]  # fmt: skip


def test_maps_as_hdf5_and_png_agree(clip, tmp_path):
    file = model(tmp_path / "m.safetensors")
    assert predict(clip, "--model", file, "--out", "x.h5", "--out", "folder", "--write", "png") == 0
    maps = MapFile(tmp_path / "x.h5")
    assert maps.size == SIZE
    assert maps.frames.tolist() == list(range(10))
    assert maps.attrs["video"] == "a.mp4"
    assert maps.attrs["complete"]
    assert (maps.attrs["rotation"], maps.attrs["missing_frames"]) == (0, 0)
    folder = tmp_path / "folder/a.saliency.maps"
    table = rows(folder / "scale.csv")
    for row, (frame, saliency) in zip(table, maps, strict=True):
        coded = cv2.imread(str(folder / row["file"]), cv2.IMREAD_UNCHANGED)
        assert coded.dtype == np.uint16
        assert coded.max() == 65535
        assert int(row["frame"]) == frame
        np.testing.assert_allclose(coded / 65535 * float(row["scale"]), saliency, atol=saliency.max() / 65535)


def test_equal_input_gives_equal_bytes(clip):
    for name in ("x", "y"):
        assert predict(clip, *FAST, "--out", f"{name}.mp4", "--out", f"{name}.csv") == 0
    for suffix in ("mp4", "csv"):
        assert Path(f"x.{suffix}").read_bytes() == Path(f"y.{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_variable_frame_rate_and_offset(tmp_path, suffix):
    pts = [0, 40, 50, 200, 210, 500]
    source = write(tmp_path / f"v.{suffix}", moving(6), pts=pts, time_base="1/1000")
    assert predict(source, *FAST) == 0
    times, _ = read("v.saliency.mp4")
    np.testing.assert_allclose(times, np.array(pts) / 1000, atol=1e-4)
    np.testing.assert_allclose([float(row["time"]) for row in rows("v.saliency.csv")], times, atol=1e-4)


@pytest.mark.parametrize(("codec", "suffix", "copied"), [("aac", "mp4", True), ("libmp3lame", "mkv", True), ("pcm_s16le", "avi", False), ("flac", "mkv", False)])  # fmt: skip
def test_sound_is_kept(tmp_path, codec, suffix, copied):
    """As it is where mp4 can hold it, else as AAC; as long as it was, and in step."""
    source = write(tmp_path / f"s.{suffix}", moving(50), sound=(codec, 2.0))
    assert predict(source, *FAST) == 0
    before, after = sound_packets(source), sound_packets("s.saliency.mp4")
    if copied:
        assert [data for _, data in after] == [data for _, data in before]
        moved = read("s.saliency.mp4")[0][0] - read(source)[0][0]
        np.testing.assert_allclose([t - moved for t, _ in after], [t for t, _ in before], atol=2e-3)
    with av.open("s.saliency.mp4") as container:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        assert container.streams.audio[0].codec_context.codec.canonical_name == (
            "mp3" if "mp3" in codec else "aac"
        )
    assert len(samples) / 48000 == pytest.approx(2.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(samples[4800:52800]))
    assert abs(int(spectrum.argmax()) - 440) <= 1
    assert len(read("s.saliency.mp4")[1]) == 50


def test_sound_that_starts_before_the_picture(tmp_path):
    """The first frame comes at its own time, half a second after the sound's start."""
    pts = [500 + 40 * i for i in range(10)]
    source = write(tmp_path / "s.mkv", moving(10), pts=pts, time_base="1/1000", sound=("aac", 1.0))
    assert predict(source, *FAST) == 0
    times, _ = read("s.saliency.mp4")
    start = sound_packets("s.saliency.mp4")[0][0]
    original = sound_packets(source)[0][0]
    assert times[0] - start == pytest.approx(0.5 - original, abs=2e-3)


def test_rotation_and_pixel_aspect(tmp_path):
    """The overlay and the maps are upright, and the flag is not set again."""
    source = write(tmp_path / "r.mp4", moving(4), rotation=-90, aspect=Fraction(4, 3))
    assert predict(source, *FAST, "--out", "r.h5", "--out", "o.mp4") == 0
    maps = MapFile(tmp_path / "r.h5")
    assert maps.size == (48, 64)
    assert maps.attrs["rotation"] == 90
    with av.open("o.mp4") as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height, frame.rotation) == (48, 64, 0)
        assert container.streams.video[0].sample_aspect_ratio == Fraction(3, 4)


def test_odd_sizes_are_padded_in_the_overlay_only(tmp_path):
    source = write(tmp_path / "o.mkv", moving(4, (63, 47)), "ffv1", "bgr0")
    assert predict(source, *FAST, "--out", "o.h5", "--out", "o.mp4", "--side-by-side") == 0
    assert MapFile(tmp_path / "o.h5").size == (63, 47)
    assert read("o.mp4")[1][0].shape == (48, 128, 3)


def test_one_frame(tmp_path):
    """A net that looks at motion sees none."""
    source = write(tmp_path / "one.mp4", moving(1))
    assert predict(source, "--model", model(tmp_path / "m.safetensors"), "--write", "overlay,csv,h5") == 0
    assert len(read("one.saliency.mp4")[1]) == len(MapFile(tmp_path / "one.saliency.h5")) == 1


def test_damage_is_told_and_the_rest_predicted(tmp_path, caplog):
    whole = write(tmp_path / "w.mov", moving(30), "png", "rgb24")
    source = damaged(whole, tmp_path / "d.mov")
    assert predict(source, *FAST, "--out", "d.h5", "--out", "d.mp4") == 1
    assert "could not be decoded and were left out" in caplog.text
    maps = MapFile(tmp_path / "d.h5")
    assert len(maps) + maps.attrs["missing_frames"] == 30
    assert len(read("d.mp4")[1]) == len(maps)
    assert predict(source, *FAST, "--lenient") == 0


def test_a_failing_input_does_not_stop_the_others(tmp_path, clip, caplog):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no video " * 100)
    assert predict("empty.mp4", "text.mp4", clip, *FAST, "--out", "out") == 1
    assert "empty.mp4: the video file is empty" in caplog.text
    assert "text.mp4: is no video" in caplog.text
    assert "2 of 3 inputs failed" in caplog.text
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.saliency.mp4", "a.saliency.csv"}


def test_folders_images_and_sequences(tmp_path, clip):
    """Images stand for themselves, or are the frames of one video; our own overlays are no inputs."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    frames = moving(12)
    for number in (1, 2, 10):
        cv2.imwrite(str(folder / f"f{number}.png"), frames[number])
    clip.rename(folder / "a.mp4")
    (folder / "notes.txt").write_text("no input")
    file = model(tmp_path / "m.safetensors")
    assert predict(folder, "--model", file, "--out", folder) == 0
    made = {path.name for path in folder.iterdir() if ".saliency." in path.name}
    assert made == {
        f"{name}.saliency.{suffix}"
        for name, suffix in [("f1", "png"), ("f2", "png"), ("f10", "png"), ("a", "mp4")] + [(n, "csv") for n in ("f1", "f2", "f10", "a")]
    }  # fmt: skip
    assert cv2.imread(str(folder / "f10.saliency.png")).shape == (48, 64, 3)
    assert len(rows(folder / "f10.saliency.csv")) == 1
    assert predict(folder, *FAST, "--sequence", "--fps", "10", "--out", "out", "--write", "h5,overlay") == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"{name}.saliency.{suffix}" for name in ("mixed", "a") for suffix in ("h5", "mp4")
    }
    times, shown = read(tmp_path / "out/mixed.saliency.mp4")
    assert times == pytest.approx([0, 0.1, 0.2], abs=1e-6)
    maps = MapFile(tmp_path / "out/mixed.saliency.h5")
    module = cv2.saliency.StaticSaliencySpectralResidual_create()
    for (_, saliency), number in zip(maps, (1, 2, 10), strict=True):  # in natural order
        np.testing.assert_array_equal(saliency, module.computeSaliency(frames[number])[1])
    assert len(shown) == 3
    assert predict("mixed/f*.png", *FAST, "--sequence", "--out", "x.mp4") == 0
    assert len(read("x.mp4")[1]) == 3


@given(inputs=st.integers(0, 40), count=st.integers(1, 12))
def test_shards_share_the_inputs_without_overlap(inputs, count):
    shards = [
        share(list(range(inputs)), *chosen_shard(f"{number}/{count}")) for number in range(1, count + 1)
    ]
    assert sorted(chain(*shards)) == list(range(inputs))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_all_shards_together_write_what_one_run_writes(tmp_path, capsys):
    """Byte for byte, also where two inputs of one name fall into different shards; one shard gets nothing."""
    (tmp_path / "in").mkdir()
    for name, count in (("in/0.mp4", 3), ("in/0.mkv", 4), ("in/1.mp4", 2), ("9.mp4", 3)):
        write(tmp_path / name, moving(count))
    words = ["in", "9.mp4", *FAST, "--write", "csv,h5"]
    assert predict(*words, "--out", "whole") == 0
    told = []
    for number in range(1, 6):
        capsys.readouterr()
        assert predict(*words, "--out", "shards", "--shard", f"{number}/5") == 0
        told.append(capsys.readouterr().out)
    assert [text.count("frame(s)") for text in told] == [1, 1, 1, 1, 0]
    assert told[1].startswith("shard 2/5: 1 of 4 input(s)\n")
    assert told[4] == "shard 5/5: none of 4 input(s)\n"
    files = {path.name: path.read_bytes() for path in Path("whole").iterdir()}
    assert {path.name: path.read_bytes() for path in Path("shards").iterdir()} == files
    assert {"0.mkv.saliency.csv", "0.mp4.saliency.csv", "9.saliency.h5"} < set(files)


@pytest.mark.parametrize("shard", ["0/4", "5/4", "1", "1/0", "-1/4", "a/b", "1/2/3", ""])
def test_a_shard_that_is_none_is_refused(clip, shard, caplog):
    assert predict(clip, *FAST, f"--shard={shard}") == 1
    assert "--shard" in caplog.text


def test_a_still_image_has_no_motion(tmp_path):
    """The map is that of the net with zero flow."""
    from dynsal.inference import Predictor
    from dynsal.nets.weights import load_model
    from dynsal.video import resize

    file = model(tmp_path / "m.safetensors")
    frame = moving(1)[0]
    cv2.imwrite("s.png", frame)
    assert predict("s.png", "--model", file, "--write", "h5") == 0
    ((_, found),) = MapFile(tmp_path / "s.saliency.h5")
    small = resize(frame, (32, 24))
    expected = Predictor(*load_model(file))(small[None], np.zeros((1, 24, 32, 2), np.float32))[0]
    np.testing.assert_allclose(found, resize_map(expected, SIZE), rtol=1e-4, atol=1e-9)


def test_refusals(tmp_path, clip, caplog):
    file = model(tmp_path / "m.safetensors")
    cv2.imwrite("s.png", moving(1)[0])
    before = clip.read_bytes()
    for words, problem in (
        ([clip, "--model", "gvbs"], "neither a baseline nor a trained model"),
        ([clip, "--model", file, "--set", "a=b"], "has no options"),
        ([clip, "--model", "gbvs", "--set", "channels=XY"], "channels"),
        ([clip, "--model", "gbvs", "--set", "channels"], "is no option of a baseline"),
        ([clip, "--model", "rudoy"], "must be trained first"),
        (["absent.mp4", *FAST], "absent.mp4: there is no such video file"),
        ([clip, *FAST, "--out", clip], "is an input and would be overwritten"),
        ([clip, *FAST, "--out", "x.avi"], "nothing can be written as .avi"),
        ([clip, *FAST, "--out", "x.png"], "a video's overlay is no picture"),
        ([clip, "s.png", *FAST, "--out", "x.mp4"], "is one file for 2 inputs"),
        ([clip, *FAST, "--out", "x", "--out", "y"], "is a second folder"),
        ([clip, *FAST, "--write", "mp3"], "unknown: mp3"),
        ([clip, *FAST, "--fps", "0"], "is no rate"),
        ([clip, *FAST, "--batch", "0"], "is no number of frames"),
        ([clip, clip, *FAST], "would be written by two inputs"),
        ([tmp_path / "nothing*.mp4", *FAST], "holds no video and no image"),
        ([clip, *FAST, "--out", "s.png/x.csv"], "cannot be written"),
    ):
        caplog.clear()
        assert predict(*words) == 1, words
        assert problem in caplog.text
    assert clip.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "m.safetensors", "s.png"]


def test_a_folder_with_other_files_is_not_replaced(tmp_path, clip, caplog):
    (tmp_path / "a.saliency.maps").mkdir()
    (tmp_path / "a.saliency.maps/notes.txt").write_text("mine")
    assert predict(clip, *FAST, "--write", "png") == 1
    assert "holds other files" in caplog.text
    (tmp_path / "a.saliency.maps/notes.txt").unlink()
    assert predict(clip, *FAST, "--write", "png") == 0
    assert predict(clip, *FAST, "--write", "png") == 0
    assert len(list((tmp_path / "a.saliency.maps").iterdir())) == 11


def test_an_error_in_the_middle_leaves_the_old_output(tmp_path, clip, monkeypatch, caplog):
    """Here of the writing thread."""
    from dynsal.errors import DataError
    from dynsal.outputs import FactsCsv

    (tmp_path / "a.saliency.mp4").write_text("old")
    add = FactsCsv.add

    def failing(self, frame):
        if frame.index == 5:
            raise DataError("x.csv", "something broke", "Mend it")
        add(self, frame)

    monkeypatch.setattr(FactsCsv, "add", failing)
    assert predict(clip, *FAST) == 1
    assert "something broke" in caplog.text
    assert (tmp_path / "a.saliency.mp4").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "a.saliency.mp4"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_leaves_playable_outputs(tmp_path, number):
    """Under names that say they are partial; an older complete output stays."""
    source = write(tmp_path / "long.mkv", moving(3000, (160, 120)), "mpeg4", sound=("aac", 120.0))
    (tmp_path / "long.saliency.mp4").write_text("old")
    process = subprocess.Popen(
        [sys.executable, "-m", "dynsal.cli", "predict", str(source), "--model", "gbvs", "--write", "overlay,csv,h5,png"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(ROOT / "src")),
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    begun = time.monotonic()
    while not list(tmp_path.glob(".long.saliency.maps.*/000005.png")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() - begun < 120
        time.sleep(0.05)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in told
    assert "Traceback" not in told
    assert {path.name for path in tmp_path.iterdir()} == {
        "long.mkv", "long.saliency.mp4", "long.saliency.partial.mp4", "long.saliency.partial.csv",
        "long.saliency.partial.h5", "long.saliency.partial.maps",
    }  # fmt: skip
    assert (tmp_path / "long.saliency.mp4").read_text() == "old"
    times, frames = read(tmp_path / "long.saliency.partial.mp4")
    maps = MapFile(tmp_path / "long.saliency.partial.h5")
    assert 6 <= len(frames) == len(maps) == len(rows(tmp_path / "long.saliency.partial.csv")) < 3000
    assert len(list((tmp_path / "long.saliency.partial.maps").iterdir())) == len(frames) + 1
    assert not maps.attrs["complete"]
    assert abs(sound_packets(tmp_path / "long.saliency.partial.mp4")[-1][0] - times[-1]) < 0.2
