"""Maps from frames and flow: valid, in order, with bounded memory; and the machine's limits."""

import numpy as np
import pytest
import torch

from dynsal.config import FlowConfig, NetConfig
from dynsal.device import limit_threads, pick_device, usable_cpus
from dynsal.errors import DataError
from dynsal.inference import Predictor
from dynsal.nets import REGISTRY, build
from dynsal.nets.coding import decode, flow_image, normalise_frame
from dynsal.nets.weights import load_model, save_model


def meta(arch: str, coding: str = "salnet") -> dict:
    net = NetConfig(width=1 / 16, coding=coding)
    return {"arch": arch, "net": net.model_dump(), "flow": FlowConfig(estimator="dis").model_dump()}


def predictor(arch: str = "early", coding: str = "salnet") -> Predictor:
    about = meta(arch, coding)
    return Predictor(build(arch, NetConfig(**about["net"])), about)


def clip(count: int, height: int = 16, width: int = 24) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, height, width, 3), np.uint8), rng.normal(
        0, 9, (count, height, width, 2)
    )


@pytest.mark.parametrize(
    ("arch", "coding"),
    [
        (arch, coding)
        for arch in REGISTRY
        for coding in ("salnet", "log_density")
        if (arch, coding) != ("lite", "salnet")
    ],
)
def test_maps_are_those_of_the_net_and_valid(arch, coding):
    predict = predictor(arch, coding)
    frames, flow = clip(3)
    maps = predict(frames, flow.astype(np.float16))
    assert maps.shape == (3, 16, 24)
    assert maps.dtype == np.float32
    assert (maps >= 0).all()
    assert (maps.sum((1, 2)) > 0).all()
    uv = torch.from_numpy(flow.astype(np.float16)).permute(0, 3, 1, 2)
    image = normalise_frame(torch.from_numpy(frames).permute(0, 3, 1, 2))
    with torch.no_grad():
        expected = decode(predict.net(image, flow_image(uv, 20.0)), coding)[:, 0]
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-4)


def test_stream_equals_batch_whatever_the_batch_size():
    predict = predictor()
    frames, flow = clip(7)
    whole = predict(frames, flow)
    for size in (1, 3, 7, 100):
        items = [(10 * i, frames[i], flow[i]) for i in range(7)]
        streamed = list(predict.predict_stream(items, size))
        assert [index for index, _ in streamed] == list(range(0, 70, 10))
        np.testing.assert_allclose(np.stack([m for _, m in streamed]), whole, rtol=1e-4, atol=1e-4)


def test_stream_holds_one_batch_at_a_time():
    frames, flow = clip(1)
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield taken, frames[0], flow[0]

    stream = predictor().predict_stream(endless(), 4)
    for expected in range(1, 10):
        assert next(stream)[0] == expected
        assert taken <= expected + 4


def test_a_change_of_size_starts_a_new_batch():
    small, large = clip(2), clip(2, 32, 40)
    items = [(i, f, u) for i, (f, u) in enumerate([*zip(*small, strict=True), *zip(*large, strict=True)])]
    shapes = [saliency.shape for _, saliency in predictor().predict_stream(items, 3)]
    assert shapes == [(16, 24)] * 2 + [(32, 40)] * 2


def test_blank_maps_become_uniform_and_are_counted():
    predict = predictor("spatial")
    with torch.no_grad():
        predict.net.tail.conv9.weight.zero_()
        predict.net.tail.conv9.bias.fill_(-5)
    maps = predict(clip(2)[0], None)
    assert (maps == 1).all()
    assert predict.blank_maps == 2


def test_values_that_are_not_finite_are_an_error():
    predict = predictor("spatial")
    with torch.no_grad():
        predict.net.tail.conv9.bias.fill_(float("nan"))
    with pytest.raises(DataError, match="not finite"):
        predict(clip(1)[0], None)


@pytest.mark.parametrize(("arch", "missing"), [("early", "flow"), ("temporal", "flow"), ("spatial", "frame")])
def test_a_missing_input_is_named(arch, missing):
    frames, flow = clip(1)
    with pytest.raises(ValueError, match=f"needs {missing}"):
        predictor(arch)(None if missing == "frame" else frames, None if missing == "flow" else flow)


def test_streams_without_the_input_that_the_net_ignores():
    frames, flow = clip(2)
    assert len(list(predictor("spatial").predict_stream((i, f, None) for i, f in enumerate(frames)))) == 2
    assert len(list(predictor("temporal").predict_stream((i, None, u) for i, u in enumerate(flow)))) == 2


def test_sizes_that_are_no_multiples_of_four_are_refused():
    with pytest.raises(ValueError, match="24x16"):
        predictor()(*clip(1, 18, 26))


def test_a_stored_model_predicts_the_same(tmp_path):
    predict = predictor("late")
    save_model(tmp_path / "m.safetensors", predict.net, meta("late"))
    again = Predictor(*load_model(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(again(*clip(2)), predict(*clip(2)))


@pytest.mark.gpu
def test_gpu_agrees_with_cpu():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    about = meta("early")
    on_gpu = Predictor(build("early", NetConfig(**about["net"])), about, pick_device())
    np.testing.assert_allclose(on_gpu(*clip(2)), predictor()(*clip(2)), rtol=1e-2, atol=0.5)


def test_quotas_of_control_groups_cut_the_processors(tmp_path):
    import os

    available = len(os.sched_getaffinity(0))
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    membership = tmp_path / "cgroup"
    membership.write_text("0::/a/b\n")
    assert usable_cpus(tmp_path, membership) == available
    (inner / "cpu.max").write_text("max 100000\n")
    assert usable_cpus(tmp_path, membership) == available
    (tmp_path / "a/cpu.max").write_text("50000 100000\n")  # of the parent group
    assert usable_cpus(tmp_path, membership) == 1
    assert usable_cpus(tmp_path / "nowhere", tmp_path / "missing") == available


def test_quota_of_version_one(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert usable_cpus(tmp_path, tmp_path / "missing") == 1


def test_threads_never_exceed_the_processors():
    before = torch.get_num_threads()
    try:
        assert limit_threads(10_000) == usable_cpus() == torch.get_num_threads()
        assert limit_threads(0) == torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
