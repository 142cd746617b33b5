"""Prediction with a net: the right inputs, every frame, flow as in training; the Python interface."""

from __future__ import annotations

import gc
import threading

import cv2
import numpy as np
import pytest
import torch

import dynsal
from dynsal.config import FlowConfig, NetConfig, PrepareConfig
from dynsal.errors import DataError
from dynsal.evaluation import resize_map
from dynsal.flow import estimator, fields, thinned_fields
from dynsal.inference import Predictor
from dynsal.nets import build
from dynsal.nets.weights import load_model, save_model
from dynsal.open_video import OpenVideo
from dynsal.prediction import NetModel, all_fields, stream
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


def maps_of(clip, file, batch=3):
    """Return the maps on the net's own grid, by frame."""
    source = OpenVideo(clip)
    found = {
        shown.index: saliency
        for shown, saliency in stream(source, NetModel(file, CPU, batch), lambda _: None)
    }
    source.close()
    return found


@pytest.mark.parametrize("arch", ["spatial", "temporal", "early"])
def test_maps_are_those_of_the_net_on_rescaled_frames(tmp_path, arch):
    clip, file = video(tmp_path / "a.mp4", 7, 30), model(tmp_path / "m.safetensors", arch)
    found = maps_of(clip, file)
    assert list(found) == list(range(7))
    predictor = Predictor(*load_model(file))
    frames = frames_of(clip)
    flow = [field for _, field in fields(frames, estimator("dis"), "forward")]
    for index, saliency in found.items():
        expected = predictor(frames[index].bgr[None], flow[index][None])[0]
        np.testing.assert_allclose(saliency, expected, rtol=1e-4, atol=1e-9)


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
    found = maps_of(clip, file)
    frames = frames_of(clip)
    predictor = Predictor(*load_model(file))
    for frame, field in fields(frames[::2], estimator("dis"), "forward"):
        expected = predictor(None, field[None])[0]
        np.testing.assert_allclose(found[frame.index], expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_videos_shorter_than_the_stride(tmp_path, count, direction):
    """One frame has no motion; two have that between them, whatever the stride."""
    frames = frames_of(video(tmp_path / "a.mp4", count, 60))
    flow = FlowConfig(estimator="dis", bound=2.0, direction=direction)
    found = list(all_fields(iter(frames), flow, 3))
    assert [frame.index for frame, _ in found] == list(range(count))
    if count == 1:
        assert found[0][1].shape == (*SIZE[::-1], 2)
        assert not found[0][1].any()
    else:
        pair = (frames[0].bgr, frames[-1].bgr)
        grey = [
            cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY) for bgr in (pair if direction == "forward" else pair[::-1])
        ]
        for _, field in found:
            np.testing.assert_array_equal(field, estimator("dis")(*grey))


def test_python_interface(tmp_path):
    """Frames with their maps at the frame's size; single images are frames of one video."""
    clip, file = video(tmp_path / "a.mp4", 5, 30), model(tmp_path / "m.safetensors")
    expected = maps_of(clip, file)
    for frame, saliency in dynsal.predict(clip, model=file, device="cpu"):
        assert frame.bgr.shape == (38, 54, 3)
        assert frame.time == pytest.approx(frame.index / 30)
        assert saliency.dtype == np.float32
        np.testing.assert_allclose(
            saliency, resize_map(expected.pop(frame.index), (54, 38)), rtol=1e-4, atol=1e-9
        )
    assert not expected
    for frame, _ in dynsal.predict(str(clip), model="spectral_residual"):
        cv2.imwrite(str(tmp_path / f"f{frame.index}.png"), frame.bgr)
    images = sorted(tmp_path.glob("f*.png"))
    assert len(list(dynsal.predict(images, model=file))) == 5
    with pytest.raises(DataError, match="stands for 2 videos"):
        list(dynsal.predict([clip, clip], model=file))
    with pytest.raises(DataError, match="neither a baseline nor"):
        list(dynsal.predict(clip, model="gvbs"))


def test_leaving_early_stops_the_threads(tmp_path):
    clip, file = video(tmp_path / "a.mp4", 30, 30), model(tmp_path / "m.safetensors")
    before = threading.active_count()
    for frame, _ in dynsal.predict(clip, model=file):
        if frame.index == 3:
            break
    gc.collect()
    assert threading.active_count() == before


@pytest.mark.parametrize("batch", [1, 3])
def test_forward_passes_beside_each_other_change_nothing(tmp_path, batch):
    clip, file = video(tmp_path / "a.mp4", 11, 30), model(tmp_path / "m.safetensors")
    found = []
    for workers in (1, 4):
        source = OpenVideo(clip)
        maps = stream(source, NetModel(file, CPU, batch, workers), lambda _: None)
        found.append([(shown.index, saliency) for shown, saliency in maps])
        source.close()
    assert [index for index, _ in found[1]] == list(range(11))
    for (_, one), (_, other) in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
