"""The measures of still images: the right function on the right points, and what SALICON's rules change."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal import legacy_metrics, metrics
from dynsal.gaze import density
from dynsal.still_metrics import (
    STILL_METRICS,
    Truth,
    merged_pixels,
    salicon_points,
    salicon_sigma,
    score_still,
)

SIZE = (32, 24)
THEIRS = ["salicon_auc", "salicon_sauc", "salicon_nss", "salicon_cc"]


def scene(seed: int) -> tuple[np.ndarray, Truth]:
    """Draw a smooth map, fixations that it half explains, and negatives."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform([6, 6], [26, 18])
    fixations = np.clip(rng.normal(centre, 4, (15, 2)), -0.5, np.array(SIZE) - 0.6)
    negatives = rng.uniform(-0.5, np.array(SIZE) - 0.6, (200, 2))
    saliency = density(centre[None], SIZE, (5.0, 3.0)) + rng.random(SIZE[::-1]) / 5000
    return saliency, Truth(
        fixations, negatives, density(fixations, SIZE, (1.5, 1.5)), fixations, merged_pixels(negatives, SIZE)
    )


def wins(saliency: np.ndarray, points: np.ndarray, others: list[float]) -> float:
    """Compare every pair, slowly."""
    values = [saliency[math.floor(y + 0.5), math.floor(x + 0.5)] for x, y in points]
    return float(np.mean([(v > o) + 0.5 * (v == o) for v in values for o in others]))


def test_columns_in_table_order_and_none_called_just_auc():
    assert list(STILL_METRICS) == [
        "auc_borji",
        "auc_judd",
        "sauc",
        "cc",
        "nss",
        "sim",
        "kld",
        "chi2",
        *THEIRS,
    ]
    assert "auc" not in STILL_METRICS
    labels = [info.label for info in STILL_METRICS.values()]
    assert len(set(labels)) == len(labels)
    assert "AUC" not in labels
    assert "all pixels" in STILL_METRICS["auc_borji"].label
    assert all("SALICON" in STILL_METRICS[name].label for name in THEIRS)
    assert [name for name, info in STILL_METRICS.items() if not info.higher_is_better] == ["kld", "chi2"]


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_every_score_against_an_independent_count_or_the_single_function(seed):
    saliency, truth = scene(seed)
    found = score_still(saliency, truth, seed=3)
    assert list(found) == list(STILL_METRICS)
    negatives = [saliency[math.floor(y + 0.5), math.floor(x + 0.5)] for x, y in truth.negatives]
    assert found["sauc"] == pytest.approx(wins(saliency, truth.fixations, negatives))
    assert found["auc_borji"] == pytest.approx(wins(saliency, truth.fixations, saliency.ravel().tolist()))
    assert found["auc_judd"] == metrics.auc_judd(saliency, truth.fixations)
    assert found["nss"] == metrics.nss(saliency, truth.fixations)
    for name in ("cc", "sim", "kld", "chi2"):
        assert found[name] == getattr(metrics, name)(saliency, truth.density)
    theirs = truth.salicon_fixations
    assert found["salicon_auc"] == legacy_metrics.salicon_auc(saliency, theirs, rng=3)
    assert found["salicon_sauc"] == legacy_metrics.salicon_sauc(saliency, theirs, truth.salicon_negatives)
    assert found["salicon_nss"] == pytest.approx(found["nss"])
    assert found["salicon_cc"] == legacy_metrics.salicon_cc(saliency, theirs, sigma=19 / 20)
    for name, score in found.items():
        assert STILL_METRICS[name].lower_bound <= score <= STILL_METRICS[name].upper_bound, name


def test_salicons_aucs_are_near_the_exact_ones_on_smooth_maps():
    """Steps, draws and merged pixels move them by less than .02 here, so they measure the same thing."""
    for seed in range(5):
        saliency, truth = scene(seed)
        found = score_still(saliency, truth)
        assert found["salicon_auc"] == pytest.approx(found["auc_borji"], abs=0.02)
        assert found["salicon_sauc"] == pytest.approx(found["sauc"], abs=0.05)


def test_only_their_columns_see_their_points():
    """Other points for SALICON's code change its four scores and no other."""
    saliency, truth = scene(1)
    before = score_still(saliency, truth)
    shifted = dataclasses.replace(
        truth, salicon_fixations=truth.negatives[:9], salicon_negatives=truth.fixations
    )
    after = score_still(saliency, shifted)
    assert {name for name in STILL_METRICS if before[name] != after[name]} == set(THEIRS)


def test_a_constant_map():
    """Guesses one half; where a definition has no value there is none, except that SALICON's NSS says 0."""
    _, truth = scene(2)
    found = score_still(np.ones(SIZE[::-1]), truth)
    assert [found[name] for name in ("auc_borji", "auc_judd", "sauc", "salicon_auc", "salicon_sauc")] == [
        0.5
    ] * 5
    assert found["salicon_nss"] == 0.0
    assert all(math.isnan(found[name]) for name in ("cc", "nss", "salicon_cc"))


def test_no_point_seen_twice_leaves_their_columns_without_a_value():
    saliency, truth = scene(3)
    none = dataclasses.replace(truth, salicon_fixations=salicon_points(truth.fixations, mouse=True))
    found = score_still(saliency, none)
    assert all(math.isnan(found[name]) for name in THEIRS)
    assert all(math.isfinite(found[name]) for name in STILL_METRICS if name not in THEIRS)


def test_mouse_points_stay_one_time_less_than_seen_and_fixations_all():
    points = np.array([[3.0, 1.0], [1.0, 1.0], [3.0, 1.0], [1.0, 2.0], [3.0, 1.0]])
    np.testing.assert_array_equal(salicon_points(points, mouse=True), [[3, 1], [3, 1]])
    np.testing.assert_array_equal(salicon_points(points, mouse=False), points)


def test_merged_pixels_by_hand():
    """X = 1.4 and 1.5 are two pixels, -0.5 and 0.49 one; width and height are not swapped."""
    points = np.array([[1.4, 0.0], [1.5, 0.0], [-0.5, 1.0], [0.49, 1.2], [3.0, 1.0]])
    np.testing.assert_array_equal(merged_pixels(points, (4, 2)), [[1, 0], [2, 0], [0, 1], [3, 1]])
    assert merged_pixels(np.empty((0, 2)), (4, 2)).shape == (0, 2)


def test_their_blur_shrinks_with_the_width():
    assert [salicon_sigma(width) for width in (640, 320, 160)] == [19, 9.5, 4.75]
