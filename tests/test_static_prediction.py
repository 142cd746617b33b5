"""Motion predicted from single images: decoding, units at any size, batches, and models of another kind."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from dynsal.baselines.matlab import imresize
from dynsal.config import NetConfig
from dynsal.config_transfer import StaticFlowConfig
from dynsal.errors import DataError
from dynsal.nets import build
from dynsal.nets.static_flow import build_static_flow
from dynsal.nets.weights import read_model, save_model
from dynsal.static_prediction import KIND, StaticFlow

CONFIG = StaticFlowConfig(variant="walker", width=1 / 16)
BOOK = np.random.default_rng(0).normal(0, 10, (40, 2))


def images(count: int, width: int = 320, height: int = 240) -> list[np.ndarray]:
    return list(np.random.default_rng(1).integers(0, 256, (count, height, width, 3)).astype(np.uint8))


def write(path, made: nn.Module, /, **changes: object) -> None:
    meta = {"arch": KIND, "net": CONFIG.model_dump(mode="json"), "codebook": BOOK.tolist(), **changes}
    save_model(path, made, meta)


@pytest.fixture
def model(tmp_path) -> StaticFlow:
    """Return a net of random weights, read from its file."""
    write(tmp_path / "model.safetensors", build_static_flow(CONFIG, 3))
    return StaticFlow(tmp_path / "model.safetensors")


@pytest.fixture
def decided(tmp_path) -> StaticFlow:
    """Return a net that sees word 5 in the left half of every image, and word 9 in the right half."""
    net = build_static_flow(CONFIG)
    nn.init.zeros_(net.fc8.weight)
    nn.init.zeros_(net.fc8.bias)
    with torch.no_grad():
        bias = net.fc8.bias.view(20, 20, 40)  # column, row, word
        bias[:10, :, 5] = bias[10:, :, 9] = 1000
    write(tmp_path / "decided.safetensors", net)
    return StaticFlow(tmp_path / "decided.safetensors")


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (160, 96), (1024, 768)])
def test_words_become_pixels_per_frame_at_the_size_of_the_image(decided, size):
    """U in proportion to the width, v to the height, a fifth of what five frames add up to."""
    width, height = size
    (field,) = decided(images(1, *size))
    assert field.shape == (height, width, 2)
    assert field.dtype == np.float32
    scale = np.array([width / 320, height / 240]) / 5
    for columns, word in ((slice(0, width // 3), 5), (slice(-(width // 3), None), 9)):
        part = field[:, columns]
        np.testing.assert_allclose(part, np.broadcast_to(BOOK[word] * scale, part.shape), rtol=1e-4)


def test_between_cells_the_field_is_matlabs_bicubic(decided):
    coarse = np.where(np.arange(20)[None, :, None] < 10, BOOK[5], BOOK[9]) * np.ones((20, 1, 1))
    (field,) = decided(images(1))
    np.testing.assert_allclose(field, imresize(coarse, (240, 320)) / 5, atol=1e-4)


def test_summed_keeps_the_unit_of_the_codebook(decided):
    """Pixels over five frames at 320x240, of images of any size."""
    summed = decided.summed(images(1, 640, 480))
    assert summed.shape == (1, 240, 320, 2)
    np.testing.assert_allclose(summed[0, :, :100], np.broadcast_to(BOOK[5], (240, 100, 2)), rtol=1e-4)
    np.testing.assert_allclose(5 * decided(images(1))[0], decided.summed(images(1))[0], atol=1e-4)


def test_coarse_is_the_expectation_of_what_the_net_answers_to_the_squeezed_image(model):
    frame = images(1, 640, 480)
    seen = cv2.resize(frame[0], (200, 200)).astype(np.float32) - (89, 97, 101)
    with torch.inference_mode():
        logits = model.net(torch.from_numpy(seen.transpose(2, 0, 1).astype(np.float32))[None])[0].numpy()
    weights = np.exp(logits - logits.max(0))
    weights /= weights.sum(0)
    expected = np.einsum("kyx,kc->cyx", weights, BOOK)
    np.testing.assert_allclose(model.coarse(frame)[0], expected, atol=1e-3)
    assert np.ptp(expected) > 0.01


def test_decoding_is_the_configurations_unless_asked_otherwise(tmp_path, model):
    given = CONFIG.model_copy(update={"decode": "median"}).model_dump(mode="json")
    write(tmp_path / "m.safetensors", model.net, net=given)
    median, frame = StaticFlow(tmp_path / "m.safetensors"), images(1)
    assert (model.decode, median.decode) == ("mean", "median")
    torch.testing.assert_close(median.coarse(frame), model.coarse(frame, "median"), rtol=0, atol=0)
    torch.testing.assert_close(median.coarse(frame, "mean"), model.coarse(frame), rtol=0, atol=0)
    assert float((median.coarse(frame) - model.coarse(frame)).abs().max()) > 0.01
    np.testing.assert_array_equal(median.summed(frame), model.summed(frame, "median"))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_divides_the_outputs_before_the_softmax(tmp_path, model, temperature):
    """Cold, the likeliest word alone counts; hot, all alike."""
    given = CONFIG.model_copy(update={"temperature": temperature}).model_dump(mode="json")
    write(tmp_path / "t.safetensors", model.net, net=given)
    frame = images(1)
    seen = cv2.resize(frame[0], (200, 200)).astype(np.float32) - np.float32((89, 97, 101))
    with torch.inference_mode():
        logits = model.net(torch.from_numpy(seen.transpose(2, 0, 1).copy())[None])
    expected = torch.einsum(
        "nkyx,kc->ncyx", (logits / temperature).softmax(1), torch.from_numpy(BOOK).float()
    )
    np.testing.assert_allclose(StaticFlow(tmp_path / "t.safetensors").coarse(frame), expected, atol=1e-3)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 16])
def test_a_stream_gives_every_image_its_own_field_in_order(model, batch_size):
    seven = images(7, 64, 48)
    found = list(model.stream(iter(seven), batch_size))
    assert len(found) == 7
    for image, field in zip(seven, found, strict=True):
        np.testing.assert_allclose(field, model([image])[0], atol=1e-4)
    assert list(model.stream(iter([]))) == []


def test_a_stream_holds_one_batch(model):
    taken = []

    def source():
        for number, image in enumerate(images(7, 64, 48)):
            taken.append(number)
            yield image

    next(model.stream(source(), 3))
    assert taken == [0, 1, 2]


def test_predicting_draws_no_random_numbers_and_twice_is_the_same(model):
    """Dropout is off."""
    before = torch.get_rng_state()
    first, second = model(images(2)), model(images(2))
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_file_keeps_its_codebook_to_the_last_bit(tmp_path):
    write(tmp_path / "m.safetensors", build_static_flow(CONFIG))
    _, meta = read_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(np.array(meta["codebook"]), BOOK)


def test_other_models_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    net = NetConfig(width=1 / 16)
    save_model(path, build("spatial", net), {"arch": "spatial", "net": net.model_dump(mode="json")})
    with pytest.raises(DataError, match=r"is no static flow net .*its arch is spatial"):
        StaticFlow(path)
    write(
        path,
        build_static_flow(CONFIG),
        net=CONFIG.model_copy(update={"width": 0.125}).model_dump(mode="json"),
    )
    with pytest.raises(DataError, match="is no static flow net"):
        StaticFlow(path)
    path.write_bytes(b"no model")
    with pytest.raises(DataError, match=r"m\.safetensors"):
        StaticFlow(path)
    with pytest.raises(DataError, match=r"none\.safetensors"):
        StaticFlow(tmp_path / "none.safetensors")
