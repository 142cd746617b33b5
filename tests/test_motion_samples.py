"""What the static flow net is shown in training: the same pixels in the image and in the motion, and the right loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from motion_files import field, image, write_motion
from torch import nn

from dynsal import motion_samples
from dynsal.baselines.matlab import imresize
from dynsal.clips import Clip
from dynsal.config_transfer import StaticFlowConfig, StaticFlowTrainConfig
from dynsal.errors import DataError
from dynsal.motion_samples import (
    MotionSamples,
    Objective,
    coarse,
    enlarge,
    normalise,
    recolour,
    squeeze,
    views,
)
from dynsal.nets.static_flow import build_static_flow
from dynsal.training import Job, train

BOOK = np.array([(3.0 * x, 3.0 * y) for x in range(-4, 4) for y in range(-2, 3)])


def test_a_sample_is_the_frame_and_its_motion_in_20_by_20_cells(tmp_path):
    files = [write_motion(tmp_path, "a", range(3)), write_motion(tmp_path, "b", range(3, 5))]
    samples = MotionSamples(files)
    assert len(samples) == 5
    assert samples.groups == [[0, 1, 2, 3, 4]]
    for number, (path, position) in enumerate([(files[0], 0), (files[0], 1), (files[0], 2), (files[1], 0)]):
        with Clip(path) as clip:
            sample = samples[number]
            np.testing.assert_array_equal(sample["frame"].permute(1, 2, 0), clip.bgr(position))
            expected = imresize(clip.flow(position).astype(np.float32), (20, 20))
            np.testing.assert_allclose(sample["motion"].permute(1, 2, 0), expected, atol=1e-6)
    assert samples[0]["frame"].dtype == torch.uint8
    assert samples[0]["motion"].shape == (2, 20, 20)


def test_a_missing_clip_is_one_clear_line(tmp_path):
    with pytest.raises(DataError, match=r"none\.h5: no such clip"):
        MotionSamples([tmp_path / "none.h5"])


@pytest.mark.parametrize("size", [(240, 320), (200, 200), (17, 33)])
def test_enlarge_is_matlabs_bicubic(size):
    motion = np.random.default_rng(0).normal(0, 5, (2, 20, 20, 2)).astype(np.float32)
    found = enlarge(torch.from_numpy(motion).permute(0, 3, 1, 2), *size).permute(0, 2, 3, 1)
    for one, expected in zip(found.numpy(), motion, strict=True):
        np.testing.assert_allclose(one, imresize(expected, size), atol=1e-4)


def test_down_and_up_again_is_what_the_authors_label_with():
    smooth = field(3)
    there = enlarge(torch.from_numpy(coarse(smooth))[None], 240, 320)[0].permute(1, 2, 0)
    np.testing.assert_allclose(there, imresize(imresize(smooth, (20, 20)), (240, 320)), atol=1e-4)


@pytest.mark.parametrize("side", [200, 240, 320])
def test_squeeze_takes_row_round_of_i_times_n_minus_1_over_200(side):
    expected = [math.floor(i * (side - 1) / 200 + 0.5) for i in range(200)]
    assert squeeze(side).tolist() == expected
    assert expected[-1] < side


def test_mean_is_subtracted_from_b_g_r():
    found = normalise(torch.tensor([100, 100, 100], dtype=torch.uint8).reshape(1, 3, 1, 1))
    assert found.flatten().tolist() == [11, 3, -1]


def test_without_augmentation_the_whole_image_is_seen_and_random_numbers_are_left_alone():
    frame, motion = image(1), coarse(field(1))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    seen, at = views(
        {
            "frame": torch.from_numpy(frame.transpose(2, 0, 1).copy())[None],
            "motion": torch.from_numpy(motion)[None],
        },
        augment=False,
    )
    assert torch.equal(torch.get_rng_state(), before)
    rows = [math.floor(i * 239 / 200 + 0.5) for i in range(200)]
    columns = [math.floor(i * 319 / 200 + 0.5) for i in range(200)]
    expected = frame[rows][:, columns].astype(np.float32) - (89, 97, 101)
    np.testing.assert_allclose(seen[0].permute(1, 2, 0), expected, atol=1e-5)
    full = imresize(motion.transpose(1, 2, 0), (240, 320))
    centres = range(5, 200, 10)
    expected = full[[rows[k] for k in centres]][:, [columns[k] for k in centres]]
    np.testing.assert_allclose(at[0].permute(1, 2, 0), expected, atol=1e-4)


def located(count: int) -> dict[str, torch.Tensor]:
    """Return a batch in which every pixel and every vector tells its own place: x, y; brightness is not changed."""
    y, x = np.mgrid[:240, :320]
    frame = torch.from_numpy(np.stack([x // 2, y, x % 2]).astype(np.uint8))
    # Bicubic interpolation keeps straight lines straight, but near the mirrored border.
    there = (np.arange(20) + 0.5) * 16 - 0.5, (np.arange(20) + 0.5) * 12 - 0.5
    motion = torch.from_numpy(np.stack(np.meshgrid(*there)).astype(np.float32))
    return {"frame": frame.repeat(count, 1, 1, 1), "motion": motion.repeat(count, 1, 1, 1)}


def test_image_and_motion_stay_together_when_cropped_squeezed_and_mirrored(monkeypatch):
    """At every cell's centre the pixel and the vector come from one place; mirrored vectors point the other way."""
    monkeypatch.setattr(motion_samples, "FACTORS", (100, 101))
    torch.manual_seed(0)
    seen, motion = views(located(200), augment=True)
    b, g, r = (seen + torch.tensor([89.0, 97, 101])[:, None, None]).round().unbind(1)
    x, y = 2 * b + r, g
    mirrored = x[:, 0, 0] > x[:, 0, -1]
    u = torch.where(mirrored[:, None, None], -motion[:, 0], motion[:, 0])
    here_x, here_y = x[:, 5::10, 5::10], y[:, 5::10, 5::10]
    inside = (here_x > 32) & (here_x < 287) & (here_y > 24) & (here_y < 215)
    torch.testing.assert_close(u[inside], here_x[inside], atol=0.2, rtol=0)
    torch.testing.assert_close(motion[:, 1][inside], here_y[inside], atol=0.2, rtol=0)

    width = (x[:, 0, 0] - x[:, 0, -1]).abs()
    cropped = width == 199
    assert set(width[~cropped].tolist()) == {squeeze(320)[-1].item()}
    height = y[:, -1, 0] - y[:, 0, 0]
    assert set(height[cropped].tolist()) == {199}
    for share in (mirrored.float().mean(), cropped.float().mean()):
        assert 0.35 < share < 0.65
    left, top = torch.minimum(x[:, 0, 0], x[:, 0, -1])[cropped], y[cropped, 0, 0]
    assert 0 <= left.min() < 20 < 100 < left.max() <= 120
    assert 0 <= top.min() < 8 < 32 < top.max() <= 40


def test_brightness_factors_are_80_to_119_hundredths_after_the_mean():
    torch.manual_seed(0)
    frame = torch.full((800, 3, 240, 320), 189, dtype=torch.uint8)[:, :, :, :]
    seen, _ = views({"frame": frame[:, :, :200, :200], "motion": torch.zeros(800, 2, 20, 20)}, augment=True)
    factors = seen[:, 0, 0, 0] / 100
    assert sorted(set((100 * factors).round().int().tolist())) == list(range(80, 120))
    torch.testing.assert_close(seen[:, 2, 100, 100], 88 * factors)


def test_recoloured_images_are_one_affine_change_of_colour_each():
    """Every pixel of an image goes through the same mixture, factors and offsets, within their ranges."""
    torch.manual_seed(0)
    before = torch.randn(50, 3, 8, 8) * 60
    after = recolour(before, 1.0)
    for x, y in zip(before.double(), after.double(), strict=True):
        affine = torch.cat([x.flatten(1), torch.ones(1, 64, dtype=torch.float64)]).T
        fitted = torch.linalg.lstsq(affine, y.flatten(1).T).solution
        torch.testing.assert_close(affine @ fitted, y.flatten(1).T, atol=1e-3, rtol=0)
        gain = fitted[:3].sum(0)  # what grey is multiplied by
        assert 0.599 < gain.min() <= gain.max() < 1.401
    assert len({round(float(change), 3) for change in (after - before).mean((1, 2, 3))}) == 50


def test_strength_0_changes_no_colour_and_half_strength_half_as_much():
    images = torch.zeros(2000, 3, 1, 1)
    assert torch.equal(recolour(images, 0.0), images)
    torch.manual_seed(0)
    full = recolour(images, 1.0)
    torch.manual_seed(0)
    torch.testing.assert_close(recolour(images, 0.5), full / 2)
    assert float(full.std()) == pytest.approx(30, rel=0.05)


def test_without_a_strength_the_objective_draws_the_numbers_of_walkers_augmentation_only():
    """And never recolours in evaluation."""
    net, batch = Fixed(torch.zeros(1, 40, 20, 20)), located(2)

    def after(colour: float, training: bool) -> torch.Tensor:
        torch.manual_seed(0)
        Objective(BOOK, colour)(net.train(training), batch)
        return torch.get_rng_state()

    torch.manual_seed(0)
    views(batch, augment=True)
    walkers = torch.get_rng_state()
    assert torch.equal(after(0.0, True), walkers)
    assert not torch.equal(after(1.0, True), walkers)
    assert torch.equal(after(1.0, False), after(0.0, False))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_augmentation_is_a_function_of_torchs_random_state(seed):
    batch = located(3)
    torch.manual_seed(seed)
    first = views(batch, augment=True)
    torch.manual_seed(seed)
    second = views(batch, augment=True)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


class Fixed(nn.Module):
    """Returns given logits, whatever it sees."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(seen), -1, -1, -1)


def batch_of(motions: list[np.ndarray]) -> dict[str, torch.Tensor]:
    motion = torch.from_numpy(np.stack(motions)).float()
    return {"frame": torch.zeros(len(motions), 3, 240, 320, dtype=torch.uint8), "motion": motion}


def test_an_undecided_net_pays_the_log_of_40_in_each_of_400_cells():
    """Summed over cells, averaged over the batch: the size of the batch does not matter."""
    net = Fixed(torch.zeros(1, 40, 20, 20)).eval()
    for count in (1, 3):
        loss = Objective(BOOK)(net, batch_of([np.zeros((2, 20, 20))] * count))
        assert loss.item() == pytest.approx(400 * math.log(40), rel=1e-6)


def test_a_net_that_knows_the_words_pays_nothing_and_one_wrong_cell_costs_its_margin():
    word = 7
    motion = np.broadcast_to(BOOK[word][:, None, None], (2, 20, 20))
    logits = torch.zeros(1, 40, 20, 20)
    logits[:, word] = 50
    assert Objective(BOOK)(Fixed(logits).eval(), batch_of([motion])).item() == pytest.approx(0, abs=1e-6)
    logits[:, word, 3, 4], logits[:, 8, 3, 4] = 0, 50
    loss = Objective(BOOK)(Fixed(logits).eval(), batch_of([motion, motion]))
    assert loss.item() == pytest.approx(50, rel=1e-5)


def test_mirrored_images_are_paid_for_by_the_word_of_negated_u(monkeypatch):
    """A net that always answers (6, 3) is right for motion (6, 3) unless mirrored, when (-6, 3) would be."""
    motion = np.broadcast_to(np.array([6.0, 3.0])[:, None, None], (2, 20, 20))
    right, left = (int(np.flatnonzero((word == BOOK).all(1))[0]) for word in ((6, 3), (-6, 3)))
    logits = torch.zeros(1, 40, 20, 20)
    logits[:, right], logits[:, left] = 50, 49
    torch.manual_seed(1)
    losses = {
        round(float(Objective(BOOK)(Fixed(logits).train(), batch_of([motion]))) / 400, 1) for _ in range(30)
    }
    assert losses == {0.3, 1.3}  # log(1 + 1/e), and one more


class Interrupted(Exception):
    pass


class Dying(MotionSamples):
    """Fails after some samples."""

    left = 18

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        self.left -= 1
        if self.left < 0:
            raise Interrupted
        return super().__getitem__(index)


def test_an_interrupted_training_goes_on_as_if_nothing_had_happened(tmp_path):
    """Bit for bit, with crops, mirrors, brightness and dropout drawn at random."""
    files = [write_motion(tmp_path, "a", range(6))]
    config = StaticFlowTrainConfig(
        optimizer="adamw", base_lr=1e-3, max_iters=8, batch_size=3, checkpoint_every=2, validate_every=4
    )

    def run(folder: str, samples: MotionSamples) -> tuple[dict[str, torch.Tensor], list[float]]:
        net = build_static_flow(StaticFlowConfig(variant="small", width=0.125), 0)
        job = Job(config, Objective(BOOK), 0, tmp_path / folder, "f", torch.device("cpu"))
        outcome = train(net, samples, job, MotionSamples(files))
        return net.state_dict(), [row["loss"] for row in outcome.history]

    straight, losses = run("straight", MotionSamples(files))
    with pytest.raises(Interrupted):
        run("stopped", Dying(files))
    resumed, again = run("stopped", MotionSamples(files))
    assert again == losses
    for name, value in straight.items():
        assert torch.equal(value, resumed[name]), name
