"""The memory: an exponential average that is causal, counts in seconds, and is off unless asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal.config import FlowConfig, NetConfig
from dynsal.inference import Predictor
from dynsal.memory import Memory
from dynsal.nets import build

NET = NetConfig(width=1 / 16, coding="log_density")


def predictor(half_life: float | None) -> Predictor:
    meta = {"arch": "early", "net": NET.model_dump(), "flow": FlowConfig(bound=2.0).model_dump()}
    return Predictor(build("early", NET), meta if half_life is None else {**meta, "memory": half_life})


def clip(count: int) -> list[tuple[int, np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [
        (2 * i, rng.integers(0, 256, (16, 24, 3), np.uint8), rng.normal(0, 1, (16, 24, 2)))
        for i in range(count)
    ]


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 5), st.floats(1, 120), st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_equals_the_weighted_sum(half_life, fps, steps):
    """Against the sum written out: the first map keeps what the later ones leave of it."""
    rng = np.random.default_rng(0)
    memory, indices = Memory(half_life, fps), np.cumsum(steps)
    given_maps = rng.random((len(steps), 3, 4)) + 0.1
    shares = given_maps / given_maps.sum((1, 2), keepdims=True)
    for last in range(len(steps)):
        found = memory(int(indices[last]), given_maps[last])
        decay = 0.5 ** (np.diff(indices[: last + 1]) / fps / half_life)
        weights = np.append(1.0, 1 - decay) * np.append(np.cumprod(decay[::-1])[::-1], 1.0)
        assert weights.sum() == pytest.approx(1)
        np.testing.assert_allclose(found, np.tensordot(weights, shares[: last + 1], 1), rtol=1e-5, atol=1e-9)
        assert found.dtype == np.float32


def test_half_after_its_half_life_at_any_rate():
    black, white = np.array([[1.0, 1e-9]]), np.array([[1e-9, 1.0]])
    for fps in (10, 30):
        memory = Memory(0.5, fps)
        memory(0, black)
        for index in range(1, fps // 2 + 1):
            last = memory(index, white)
        assert last[0, 0] == pytest.approx(0.5, abs=1e-6)


def test_stream_does_not_depend_on_the_batch_size():
    items = clip(7)
    whole = np.stack([m for _, m in predictor(0.1).predict_stream(items, 7, fps=30.0)])
    for size in (1, 2, 100):
        streamed = np.stack([m for _, m in predictor(0.1).predict_stream(items, size, fps=30.0)])
        np.testing.assert_allclose(streamed, whole, rtol=1e-4)
    plain = np.stack([m for _, m in predictor(None).predict_stream(items, 7)])
    np.testing.assert_allclose(whole[0], plain[0], rtol=1e-5)  # nothing to remember yet
    assert not np.allclose(whole[3], plain[3], rtol=1e-3)


def test_no_map_depends_on_later_frames():
    items = clip(6)
    whole = [m for _, m in predictor(0.1).predict_stream(items, 1, fps=30.0)]
    cut = [m for _, m in predictor(0.1).predict_stream(items[:3], 1, fps=30.0)]
    np.testing.assert_array_equal(np.stack(whole[:3]), np.stack(cut))


def test_a_video_starts_without_the_one_before():
    net, items = predictor(0.1), clip(3)
    first = [m for _, m in net.predict_stream(items, fps=30.0)]
    again = [m for _, m in net.predict_stream(items, fps=30.0)]
    np.testing.assert_array_equal(np.stack(first), np.stack(again))


@pytest.mark.parametrize(("half_life", "fps"), [(None, 30.0), (0.0, 30.0), (0.1, None)])
def test_off_by_default_and_for_images_that_are_no_video(half_life, fps):
    items = clip(4)
    plain = [m for _, m in predictor(None).predict_stream(items)]
    found = [m for _, m in predictor(half_life).predict_stream(items, fps=fps)]
    np.testing.assert_array_equal(np.stack(found), np.stack(plain))


def test_another_size_starts_anew():
    memory = Memory(1.0, 10.0)
    memory(0, np.ones((2, 2)))
    assert memory(1, np.ones((3, 2))) == pytest.approx(1 / 6)


@pytest.mark.parametrize("values", [(0.0, 30.0), (1.0, 0.0), (-1.0, 30.0)])
def test_nonsense_is_refused(values):
    with pytest.raises(ValueError, match="must be positive"):
        Memory(*values)
