"""Features of a frozen net, computed once: of which image, in which order, and the loss of the head on them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from motion_files import field, write_motion
from torch.nn import functional

from dynsal.clips import Clip
from dynsal.codebook import nearest_word
from dynsal.config_transfer import StaticFlowConfig
from dynsal.errors import DataError
from dynsal.motion_features import FeatureSamples, HeadObjective, features_of, seen
from dynsal.motion_samples import coarse
from dynsal.nets.static_flow import MEAN_BGR, build_static_flow

BOOK = np.random.default_rng(0).normal(0, 3, (40, 2))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def net():
    return build_static_flow(StaticFlowConfig(variant="pretrained", width=0.25)).eval()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_motion(tmp_path_factory.mktemp("motion"), "a", range(3))


@pytest.fixture(scope="module")
def found(net, clip):
    return features_of(clip, net, CPU)


@pytest.mark.parametrize("size", [(320, 240), (100, 80)])
def test_images_are_squeezed_and_lose_the_mean(size):
    image = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    expected = cv2.resize(image, (50, 50)).astype(np.float32) - np.float32(MEAN_BGR)
    np.testing.assert_array_equal(seen([image], 50)[0].permute(1, 2, 0), expected)


def test_features_are_those_of_the_frame_and_of_its_mirror_image(net, clip, found):
    with Clip(clip) as frames, torch.inference_mode():
        for k in range(3):
            image = frames.bgr(k)
            for side, view in enumerate((image, np.ascontiguousarray(image[:, ::-1]))):
                expected = net.features(seen([view], net.side))[0]
                worst = float((found.features[k, side].float() - expected).abs().max())
                assert worst < 2e-2 * float(expected.abs().max())
    assert found.features.dtype == torch.float16
    assert float((found.features[:, 0] - found.features[:, 1]).abs().max()) > 1


def test_a_mirrored_world_moves_the_other_way(found):
    """The left cell of the mirror image is the right one of the frame, with u reversed."""
    for k in range(3):
        expected = coarse(field(k))
        np.testing.assert_allclose(found.motion[k, 0], expected, atol=1 / 16)
        np.testing.assert_allclose(found.motion[k, 1, 0], -found.motion[k, 0, 0].flip(1))
        np.testing.assert_allclose(found.motion[k, 1, 1], found.motion[k, 0, 1].flip(1))


@pytest.mark.parametrize(("mirrored", "count"), [(True, 12), (False, 6)])
def test_samples_are_the_frames_of_all_clips_in_order(found, mirrored, count):
    samples = FeatureSamples([found, found], mirrored=mirrored)
    assert len(samples) == count
    assert samples.groups == [list(range(count))]
    last = samples[count - 1]
    assert torch.equal(last["features"], found.features[2, int(mirrored)])
    assert torch.equal(last["motion"], found.motion[2, int(mirrored)])


def test_no_clips_are_no_samples():
    assert len(FeatureSamples([], mirrored=False)) == 0


def test_the_loss_is_the_whole_nets(net, clip, found):
    """Cross-entropy of the nearest word, summed over the cells; gradients reach the head alone."""
    batch = {"features": found.features[:, 0], "motion": found.motion[:, 0]}
    loss = HeadObjective(BOOK)(net, batch)
    with Clip(clip) as frames, torch.inference_mode():
        logits = net(seen([frames.bgr(k) for k in range(3)], net.side))
    words = nearest_word(found.motion[:, 0], torch.from_numpy(BOOK).float())
    expected = functional.cross_entropy(logits, words) * 400
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-2)
    loss.backward()
    assert float(net.head[2].weight.grad.abs().max()) > 0
    assert all(parameter.grad is None for parameter in net.backbone.parameters())


def test_a_missing_clip_is_named(net, tmp_path):
    with pytest.raises(DataError, match=r"gone\.h5"):
        features_of(tmp_path / "gone.h5", net, CPU)
