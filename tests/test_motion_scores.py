"""Scores of predicted motion: values by hand, the guesses to beat, tables."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from motion_files import field, write_motion

from dynsal.clips import Clip
from dynsal.config import TableConfig
from dynsal.motion_scores import (
    MEASURES,
    Nearest,
    angular_error,
    differences,
    epe,
    epe_moving,
    magnitude_cc,
    mean_motion,
    score,
    table,
)

FIELDS = hnp.arrays(np.float64, (3, 4, 2), elements=st.floats(-100, 100))


def everywhere(u: float, v: float) -> np.ndarray:
    return np.broadcast_to(np.array([u, v]), (3, 4, 2))


def test_epe_is_the_mean_length_of_the_difference():
    assert epe(everywhere(3, 0), everywhere(0, 4)) == 5
    predicted = everywhere(0, 0).copy()
    predicted[0, 0] = (3, 4)
    assert epe(predicted, everywhere(0, 0)) == pytest.approx(5 / 12)


@pytest.mark.parametrize(
    ("p", "q", "degrees"),
    [
        ((0, 0), (0, 0), 0),
        ((1, 0), (0, 0), 45),
        ((1, 0), (0, 1), 60),  # cos = 1 / 2
        ((1, 0), (-1, 0), 90),
        ((math.sqrt(3), 0), (0, 0), 60),
        ((2, -1), (2, -1), 0),
    ],
)
def test_angular_error_by_hand(p, q, degrees):
    """Between (u, v, 1) and (u', v', 1)."""
    assert angular_error(everywhere(*p), everywhere(*q)) == pytest.approx(degrees, abs=1e-9)


@given(FIELDS, FIELDS)
def test_angular_error_is_barrons_formula(p, q):
    dot = 1 + (p * q).sum(-1)
    norms = np.sqrt(1 + (p**2).sum(-1)) * np.sqrt(1 + (q**2).sum(-1))
    expected = np.degrees(np.arccos(np.clip(dot / norms, -1, 1))).mean()
    assert angular_error(p, q) == pytest.approx(expected, abs=1e-5)
    assert angular_error(q, p) == pytest.approx(angular_error(p, q))


def test_angular_error_of_the_smallest_differences_is_not_lost():
    """The arc cosine gives 0 below 1e-8 radians."""
    assert angular_error(everywhere(1e-10, 0), everywhere(0, 0)) == pytest.approx(math.degrees(1e-10))


def test_epe_moving_leaves_out_what_rests():
    """From one pixel over five frames on; nothing moves, no value."""
    measured = everywhere(0, 0).copy()
    measured[0, 0], measured[2, 3], measured[1, 1] = (0, 1), (3, 0), (0.99, 0)
    assert epe_moving(everywhere(0, 0), measured) == 2
    assert epe_moving(everywhere(3, 0), measured) == pytest.approx((math.sqrt(10) + 0) / 2)
    assert math.isnan(epe_moving(measured, everywhere(0.5, 0.5)))


@given(FIELDS, FIELDS)
def test_magnitude_cc_is_pearsons_of_the_lengths(p, q):
    a, b = (np.linalg.norm(f, axis=-1).ravel() for f in (p, q))
    found = magnitude_cc(p, q)
    if a.std() < 1e-3 or b.std() < 1e-3:
        return
    assert found == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-9)


def test_a_constant_magnitude_has_no_correlation():
    assert math.isnan(magnitude_cc(everywhere(0, 0), field(1)[:3, :4]))
    assert math.isnan(magnitude_cc(field(1)[:3, :4], everywhere(3, 4)))


@given(FIELDS)
def test_a_perfect_prediction_is_perfect(p):
    found = score(p, p)
    assert found["epe"] == 0
    assert found["angular_error"] == pytest.approx(0, abs=1e-4)
    assert list(found) == list(MEASURES)


def test_nearest_is_the_motion_of_the_training_image_that_looks_most_alike(tmp_path):
    """Noise leaves the neighbour, a dark copy changes it; the answer is the field, not the picture."""
    files = [write_motion(tmp_path, "a", range(4)), write_motion(tmp_path, "b", range(4, 7))]
    nearest = Nearest(files)
    for path, position in [(files[0], 2), (files[1], 1)]:
        with Clip(path) as clip:
            noisy = clip.bgr(position).astype(int) + np.random.default_rng(0).integers(-5, 6, (240, 320, 3))
            found = nearest(np.clip(noisy, 0, 255).astype(np.uint8))
            np.testing.assert_array_equal(found, clip.flow(position).astype(np.float32))
            assert found.dtype == np.float32


def test_mean_motion_gives_every_video_the_same_weight(tmp_path):
    """Not every frame: a video of one frame counts as much as one of three."""
    files = [write_motion(tmp_path, "long", range(3)), write_motion(tmp_path, "short", range(5, 6))]
    expected = (np.mean([field(k) for k in range(3)], axis=0) + field(5)) / 2
    np.testing.assert_allclose(mean_motion(files), expected, atol=1 / 32)


def scores() -> pd.DataFrame:
    """Return a net in both decodings and two guesses on two videos of different lengths; zero has no correlation."""
    rows = []
    for video, epes in {"a": [1.0, 3.0], "b": [6.0]}.items():
        for frame, value in enumerate(epes):
            common = {"seed": 0, "video": video, "frame": frame}
            for name, error, angle, correlation in (
                ("static_flow", value, 10.0, 0.5), ("static_flow_median", value - 0.5, 9.0, np.nan),
                ("zero", value + 1, 20.0, np.nan), ("mean", value + 3, 30.0, 0.1),
            ):  # fmt: skip
                found = {
                    "epe": error,
                    "angular_error": angle,
                    "magnitude_cc": correlation,
                    "epe_moving": 2 * error,
                }
                rows.append({"model": name, **common, **found})
    return pd.DataFrame(rows)


def test_table_averages_frames_in_videos_first_and_keeps_the_order_of_the_predictors():
    found = table(scores(), TableConfig(resamples=50))
    assert found["model"].tolist() == ["static_flow", "static_flow_median", "zero", "mean"]
    assert found["epe"].tolist() == [(2 + 6) / 2, (1.5 + 5.5) / 2, (3 + 7) / 2, (5 + 9) / 2]
    assert found["epe_moving"][0] == 2 * found["epe"][0]
    assert found["n_videos"].tolist() == [2] * 4
    assert found["n_frames"].tolist() == [3] * 4
    assert (found["epe_lo"] <= found["epe"]).all()
    assert math.isnan(found["magnitude_cc"][2])


def test_differences_are_the_net_minus_the_guess():
    """Both decodings against every guess, and nothing against a decoding."""
    found = differences(scores(), TableConfig(resamples=50)).set_index(["measure", "model", "reference"])
    assert len(found) == len(MEASURES) * 2 * 2
    assert found.loc[("epe", "static_flow", "zero"), ["difference", "lo", "hi"]].tolist() == [-1, -1, -1]
    assert found.loc[("epe", "static_flow_median", "mean"), "difference"] == -3.5
    assert found.loc[("angular_error", "static_flow", "zero"), "difference"] == -10
    assert found.loc[("magnitude_cc", "static_flow", "mean"), "difference"] == pytest.approx(0.4)
    assert math.isnan(found.loc[("magnitude_cc", "static_flow", "zero"), "difference"])
    assert found.loc[("magnitude_cc", "static_flow", "zero"), "n_videos"] == 0
