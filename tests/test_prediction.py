"""``dynsal predict`` with a net: the right inputs, every frame, the video's own size, nothing half-written."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dynsal.cli import main
from dynsal.config import FlowConfig, NetConfig, PrepareConfig
from dynsal.errors import DataError
from dynsal.evaluation import resize_map
from dynsal.flow import estimator, fields, thinned_fields
from dynsal.inference import Predictor
from dynsal.maps import MapFile
from dynsal.nets import build
from dynsal.nets.weights import load_model, save_model
from dynsal.prediction import net_maps
from dynsal.prepare import Frame
from dynsal.video import decode, encode, resize

CPU = torch.device("cpu")
SIZE = (32, 24)


def video(path, count, fps, size=(54, 38)):
    """Write a video of blurred noise that drifts."""
    rng = np.random.default_rng(1)
    wide = resize(rng.integers(0, 255, (size[1] // 4, size[0] // 2, 3), np.uint8), (size[0] * 2, size[1]))
    encode(path, (wide[:, i : i + size[0]] for i in range(count)), fps)
    return path


def model(path, arch="early", fps_target=None, direction="forward"):
    """Write an untrained tiny net with the metadata of a trained one."""
    net = NetConfig(width=0.0625, coding="log_density")
    meta = {
        "arch": arch,
        "net": net.model_dump(mode="json"),
        "flow": FlowConfig(estimator="dis", bound=2.0, direction=direction).model_dump(mode="json"),
        "prepare": PrepareConfig(size=SIZE, fps_target=fps_target).model_dump(mode="json"),
        "size": list(SIZE),
    }
    save_model(path, build(arch, net, 3), meta)
    return path


def frames_of(path):
    return [
        Frame(i, time, resize(bgr, SIZE), True)
        for i, (time, bgr) in enumerate(decode(path))
        if bgr is not None
    ]


@pytest.mark.parametrize("arch", ["spatial", "temporal", "early"])
def test_maps_are_those_of_the_net_on_rescaled_frames(tmp_path, arch):
    clip, file = video(tmp_path / "a.mp4", 7, 30), model(tmp_path / "m.safetensors", arch)
    found = list(net_maps(clip, file, CPU, batch_size=3))
    assert [index for index, _ in found] == list(range(7))
    predictor = Predictor(*load_model(file))
    frames = frames_of(clip)
    flow = [field for _, field in fields(frames, estimator("dis"), "forward")]
    for index, saliency in found:
        expected = predictor(frames[index].bgr[None], flow[index][None])[0]
        np.testing.assert_allclose(saliency, resize_map(expected, (54, 38)), rtol=1e-4, atol=1e-9)
        assert saliency.shape == (38, 54)


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(("count", "stride"), [(9, 2), (10, 2), (10, 3), (7, 1)])
def test_fields_of_thinned_videos(tmp_path, count, stride, direction):
    """Every frame comes once, in order; thinned ones have the field of a video that has only them."""
    frames = frames_of(video(tmp_path / "a.mp4", count, 60))
    estimate = estimator("dis")
    found = list(thinned_fields(frames, estimate, direction, stride))
    assert [frame.index for frame, _ in found] == list(range(count))
    alone = {f.index: field for f, field in fields(frames[::stride], estimate, direction)}
    for frame, field in found:
        own = alone.get(frame.index)
        if own is not None:
            np.testing.assert_array_equal(field, own)
        else:
            before = frame.index - frame.index % stride
            spans = before if direction == "forward" else min(before + stride, max(alone))
            np.testing.assert_array_equal(field, alone[spans])


def test_videos_are_thinned_as_in_training(tmp_path):
    """A net for 30 frames per second sees the motion over two frames of a video with 60."""
    clip = video(tmp_path / "a.mp4", 8, 60)
    file = model(tmp_path / "m.safetensors", "temporal", fps_target=30.0)
    found = dict(net_maps(clip, file, CPU))
    frames = frames_of(clip)
    predictor = Predictor(*load_model(file))
    for frame, field in fields(frames[::2], estimator("dis"), "forward"):
        expected = resize_map(predictor(None, field[None])[0], (54, 38))
        np.testing.assert_allclose(found[frame.index], expected, rtol=1e-4, atol=1e-9)


def test_command(tmp_path, monkeypatch, caplog, capsys):
    clip, file = video(tmp_path / "a.mp4", 5, 30), model(tmp_path / "m.safetensors")
    monkeypatch.chdir(tmp_path)
    assert main(["predict", str(clip), "--model", str(file)]) == 0
    assert "a.m.h5: 5 maps of 54x38" in capsys.readouterr().out
    maps = MapFile(tmp_path / "a.m.h5")
    assert maps.size == (54, 38)
    assert maps.attrs["video"] == "a.mp4"
    assert len(maps) == 5
    for words, problem in (
        ([str(clip), "--model", "gvbs"], "neither a baseline nor a trained model"),
        ([str(clip), "--model", str(file), "--out", "x.mp4"], "cannot be written as .mp4"),
        ([str(clip), "--model", str(file), "--set", "a=b"], "has no options"),
        (["absent.mp4", "--model", str(file)], "absent.mp4: there is no such video file"),
        ([str(clip), "--model", "gbvs", "--set", "channels=XY"], "channels"),
        ([str(clip), "--model", "gbvs", "--set", "channels"], "is no option of a baseline"),
        ([str(clip), "--model", "rudoy"], "must be trained first"),
    ):
        caplog.clear()
        assert main(["predict", *words]) == 1
        assert problem in caplog.text


def test_a_damaged_video_leaves_nothing(tmp_path, caplog):
    clip, file = video(tmp_path / "a.mp4", 30, 30), model(tmp_path / "m.safetensors", "spatial")
    clip.write_bytes(clip.read_bytes()[:-400])
    assert main(["predict", str(clip), "--model", str(file), "--out", str(tmp_path / "x.h5")]) == 1
    assert "cut short" in caplog.text
    assert not (tmp_path / "x.h5").exists()


def test_one_frame_has_no_flow(tmp_path):
    clip, file = video(tmp_path / "a.mp4", 1, 30), model(tmp_path / "m.safetensors")
    with pytest.raises(DataError, match="fewer than two frames"):
        list(net_maps(clip, file, CPU))
