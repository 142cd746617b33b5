"""Aggregation by hand, and a bootstrap that is paired, seeded and blind to the order of models."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import stats

from dynsal import statistics
from dynsal.statistics import (
    bootstrap_means,
    by_video,
    common_frames,
    frame_statistics,
    paired_differences,
    resampled_means,
    summarise,
    video_means,
)

brief = settings(max_examples=40, deadline=None)

TABLES = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6),
    elements=st.floats(-10, 10, allow_subnormal=False) | st.just(math.nan),
)


def scores_table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["model", "seed", "video", "frame", "sauc", "chi2"])


@pytest.fixture
def scores() -> pd.DataFrame:
    """Make two videos of 2 and 4 frames, a model with two seeds, an unwatched frame and a stray NaN."""
    nan = math.nan
    return scores_table(
        [
            ("late", 0, "a", 0, 0.6, 0.5),
            ("late", 0, "a", 1, 0.8, 0.3),
            ("late", 0, "b", 0, 0.5, 0.6),
            ("late", 0, "b", 1, 0.7, nan),
            ("late", 0, "b", 2, 0.9, 0.2),
            ("late", 0, "b", 3, nan, nan),
            ("late", 1, "a", 0, 0.8, 0.5),
            ("late", 1, "a", 1, 1.0, 0.3),
            ("late", 1, "b", 0, 0.3, 0.6),
            ("late", 1, "b", 1, 0.5, nan),
            ("late", 1, "b", 2, 0.7, 0.4),
            ("late", 1, "b", 3, nan, nan),
            ("centre", 0, "a", 0, 0.4, 0.8),
            ("centre", 0, "a", 1, 0.6, 0.8),
            ("centre", 0, "b", 0, 0.5, 0.9),
            ("centre", 0, "b", 1, 0.5, 0.9),
            ("centre", 0, "b", 2, 0.5, 0.9),
            ("centre", 0, "b", 3, nan, nan),
        ]
    )


# --- frames to videos to models ---


def test_video_means_by_hand_count_what_they_drop(scores: pd.DataFrame) -> None:
    means = video_means(scores, ["sauc", "chi2"]).set_index(["model", "seed", "video"])
    assert list(means.columns) == ["sauc", "chi2", "n_frames", "n_skipped", "sauc_nan", "chi2_nan"]
    assert means.loc[("late", 0, "a")].tolist() == pytest.approx([0.7, 0.4, 2, 0, 0, 0])
    assert means.loc[("late", 0, "b")].tolist() == pytest.approx([0.7, 0.4, 3, 1, 1, 2])
    assert means.loc[("late", 1, "b")].tolist() == pytest.approx([0.5, 0.5, 3, 1, 1, 2])
    assert len(means) == 6


def test_seeds_are_averaged_within_a_video_first(scores: pd.DataFrame) -> None:
    table = by_video(video_means(scores, ["sauc", "chi2"]), "sauc")
    assert table.index.tolist() == ["a", "b"]
    assert table.columns.tolist() == ["centre", "late"]
    assert table["late"].tolist() == pytest.approx([0.8, 0.6])
    assert table["centre"].tolist() == pytest.approx([0.5, 0.5])


def test_summary_by_hand(scores: pd.DataFrame) -> None:
    summary = summarise(scores, ["sauc", "chi2"], n_resamples=200, seed=0)
    assert summary.index.tolist() == ["centre", "late"]
    late = summary.loc["late"]
    assert late[["seeds", "n_videos", "n_frames", "n_skipped"]].tolist() == [2, 2, 5, 1]
    # Videos count alike (0.8 and 0.6), though one has 2 and the other 3 valid frames.
    assert late["sauc"] == pytest.approx(0.7)
    assert late["sauc_frame_mean"] == pytest.approx((0.7 + 0.9 + 0.4 + 0.6 + 0.8) / 5)
    assert late["sauc_frame_median"] == pytest.approx(0.7)
    assert (late["sauc_lo"], late["sauc_hi"]) == pytest.approx((0.6, 0.8))
    assert late["chi2"] == pytest.approx((0.4 + 0.45) / 2)
    centre = summary.loc["centre"]
    assert (centre["sauc_lo"], centre["sauc"], centre["sauc_hi"]) == pytest.approx((0.5, 0.5, 0.5))
    assert centre["seeds"] == 1


def test_a_longer_video_weighs_more_only_among_frames() -> None:
    rows = [("m", 0, "short", 0, 1.0, 0.0)] + [("m", 0, "long", f, 0.0, 0.0) for f in range(3)]
    summary = summarise(scores_table(rows), ["sauc"], n_resamples=10, seed=0).loc["m"]
    assert summary["sauc"] == 0.5
    assert summary["sauc_frame_mean"] == 0.25
    assert summary["sauc_frame_median"] == 0.0


def test_the_order_of_rows_is_irrelevant(scores: pd.DataFrame) -> None:
    shuffled = scores.sample(frac=1, random_state=3)
    assert not shuffled.index.equals(scores.index)
    pd.testing.assert_frame_equal(
        summarise(shuffled, ["sauc", "chi2"], 50, 0), summarise(scores, ["sauc", "chi2"], 50, 0), rtol=1e-14
    )


def test_a_model_without_any_valid_score_has_nan_and_no_frames(scores: pd.DataFrame) -> None:
    scores.loc[scores["model"] == "centre", ["sauc", "chi2"]] = math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = summarise(scores, ["sauc", "chi2"], n_resamples=20, seed=0)
    assert summary.loc["centre", ["n_videos", "n_frames", "n_skipped"]].tolist() == [0, 0, 6]
    assert summary.loc["centre", ["sauc", "sauc_lo", "sauc_hi", "sauc_frame_median"]].isna().all()
    assert summary.loc["late", "sauc"] == pytest.approx(0.7)


def test_models_are_compared_on_common_frames_only(scores: pd.DataFrame) -> None:
    # A flow model lacks the last frame of each video, one seed lacks another; frame 3 of b has no score at all.
    lacking = scores[~((scores["model"] == "centre") & (scores["frame"] == 1) & (scores["video"] == "a"))]
    lacking = lacking[~((lacking["seed"] == 1) & (lacking["frame"] == 2))]
    kept = common_frames(lacking, ["sauc", "chi2"])
    assert set(zip(kept["video"], kept["frame"], strict=True)) == {("a", 0), ("b", 0), ("b", 1)}
    assert len(kept) == 3 * 3
    scored = scores[~((scores["video"] == "b") & (scores["frame"] == 3))]
    pd.testing.assert_frame_equal(common_frames(scores, ["sauc", "chi2"]), scored)


def test_frame_statistics_average_seeds_within_a_frame(scores: pd.DataFrame) -> None:
    table = frame_statistics(scores, ["chi2"])
    assert table.columns.tolist() == ["chi2_frame_mean", "chi2_frame_median"]
    # Frames: .5, .3, .6 and (.2 + .4) / 2.
    assert table.loc["late"].tolist() == pytest.approx([0.425, 0.4])


def test_broken_tables_are_refused(scores: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"lack the column\(s\) seed, nss"):
        video_means(scores.drop(columns="seed"), ["sauc", "nss"])
    with pytest.raises(ValueError, match=r"2 row\(s\) repeat a combination of model, seed, video, frame"):
        summarise(pd.concat([scores, scores.iloc[[3, 5]]]), ["sauc"], 10, 0)
    scores.loc[0, "chi2"] = math.inf
    with pytest.raises(ValueError, match="infinite scores in chi2"):
        frame_statistics(scores, ["sauc", "chi2"])


# --- bootstrap ---


@brief
@given(TABLES, st.integers(0, 9))
def test_means_match_numpy_and_intervals_stay_within_the_data(table: NDArray[np.float64], seed: int) -> None:
    estimate = bootstrap_means(table, 60, seed)
    for column, values in enumerate(table.T):
        valid = values[~np.isnan(values)]
        assert estimate.n_videos[column] == len(valid)
        if len(valid):
            assert estimate.mean[column] == pytest.approx(valid.mean(), abs=1e-12)
        else:
            assert math.isnan(estimate.mean[column])
        bounds = estimate.low[column], estimate.high[column]
        if len(valid) < 2:
            assert np.isnan(bounds).all()
        else:
            assert valid.min() - 1e-9 <= bounds[0] <= bounds[1] <= valid.max() + 1e-9


@brief
@given(TABLES, st.randoms(use_true_random=False))
def test_the_order_of_models_changes_nothing_not_even_the_last_bit(
    table: NDArray[np.float64], random: Any
) -> None:
    order = random.sample(range(table.shape[1]), table.shape[1])
    whole, permuted = bootstrap_means(table, 60, 1), bootstrap_means(table[:, order], 60, 1)
    for name in ("mean", "low", "high"):
        np.testing.assert_array_equal(getattr(permuted, name), getattr(whole, name)[order])
        alone = [getattr(bootstrap_means(table[:, [column]], 60, 1), name)[0] for column in order]
        np.testing.assert_array_equal(alone, getattr(permuted, name))


def test_all_models_see_the_same_resamples() -> None:
    values = np.random.default_rng(0).normal(size=(12, 1))
    estimate = bootstrap_means(np.hstack([values, values + 3, -values]), 500, seed=4)
    assert estimate.low[1] - 3 == pytest.approx(estimate.low[0], abs=1e-12)
    assert estimate.high[1] - 3 == pytest.approx(estimate.high[0], abs=1e-12)
    assert -estimate.high[2] == pytest.approx(estimate.low[0], abs=1e-12)


def test_the_seed_decides() -> None:
    values = np.random.default_rng(0).normal(size=(12, 2))
    first, again, other = (bootstrap_means(values, 200, seed) for seed in (7, 7, 8))
    assert (first.low == again.low).all()
    assert (first.high == again.high).all()
    assert (first.low != other.low).any()
    assert (first.mean == other.mean).all()


def test_two_videos_have_the_distribution_that_one_can_write_down() -> None:
    # Means 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4.
    values = np.array([[0.0], [1.0]])
    wide, narrow = bootstrap_means(values, 2000, 0), bootstrap_means(values, 2000, 0, level=0.4)
    assert (wide.low[0], wide.high[0]) == (0, 1)
    assert (narrow.low[0], narrow.high[0]) == (0.5, 0.5)


def test_intervals_agree_with_scipys_percentile_bootstrap() -> None:
    values = np.random.default_rng(5).gamma(2.0, size=(40, 1))
    ours = bootstrap_means(values, 20_000, 0)
    theirs = stats.bootstrap(
        (values[:, 0],), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    spread = theirs.high - theirs.low
    assert (ours.low[0], ours.high[0]) == pytest.approx((theirs.low, theirs.high), abs=0.03 * spread)


def test_missing_videos_do_not_count_for_a_model() -> None:
    values = np.array([[1.0, 1.0], [3.0, math.nan], [5.0, 5.0], [7.0, math.nan]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimate = bootstrap_means(values, 2000, 0)
    assert estimate.mean.tolist() == [4.0, 3.0]
    assert estimate.n_videos.tolist() == [4, 2]
    # Resamples without any of the model's videos say nothing; those of two videos are as above.
    assert (estimate.low[1], estimate.high[1]) == (1.0, 5.0)


def test_paired_differences_cancel_what_videos_have_in_common() -> None:
    rng = np.random.default_rng(2)
    difficulty = rng.normal(0, 5, size=(30, 1))
    values = difficulty + np.array([0.0, 0.3]) + rng.normal(0, 0.1, size=(30, 2))
    apart = bootstrap_means(values, 1000, 0)
    difference = paired_differences(values, 0, 1000, 0)
    assert apart.low[1] < apart.high[0]  # unpaired intervals overlap widely
    assert 0.2 < difference.low[1] < difference.mean[1] < difference.high[1] < 0.4
    assert (difference.low[0], difference.mean[0], difference.high[0]) == (0, 0, 0)
    reverse = paired_differences(values, 1, 1000, 0)
    assert -reverse.high[0] == pytest.approx(difference.low[1], abs=1e-12)


def test_paired_differences_use_the_videos_that_both_have() -> None:
    values = np.array([[1.0, 2.0], [2.0, 4.0], [math.nan, 100.0], [100.0, math.nan]])
    estimate = paired_differences(values, 0, 100, 0)
    assert estimate.mean.tolist() == [0.0, 1.5]
    assert estimate.n_videos.tolist() == [3, 2]


@pytest.mark.parametrize(
    ("values", "arguments", "message"),
    [
        (np.empty((0, 3)), (10, 0), "at least 1 video"),
        (np.ones(3), (10, 0), "videos x models"),
        ([[1.0, math.inf]], (10, 0), "1 are infinite"),
        ([[1.0]], (0, 0), "n_resamples >= 1"),
        ([[1.0]], (10, 0, 1.0), "0 < level < 1"),
        ([[1.0]], (10, 0, 0.0), "0 < level < 1"),
    ],
)
def test_senseless_arguments_are_refused(values: Any, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_means(values, *arguments)


@pytest.mark.parametrize("reference", [2, -1])
def test_an_unknown_reference_is_refused(reference: int) -> None:
    with pytest.raises(ValueError, match="no column"):
        paired_differences(np.ones((3, 2)), reference, 10, 0)


@pytest.mark.parametrize("n_rows", [1, 2, 7, 64, 65])
@pytest.mark.parametrize("block", [1, 64, 130, 1 << 20])
def test_blocks_change_nothing_not_even_the_last_bit(
    n_rows: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is drawn at once, the resamples are those of one draw, and a resample without a value has no mean."""
    values = np.random.default_rng(n_rows).normal(size=(n_rows, 3))
    values[0, 1] = math.nan
    rows = np.random.default_rng(5).integers(n_rows, size=(50, n_rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = np.nanmean(values[rows], axis=1)
    monkeypatch.setattr(statistics, "_BLOCK", block)
    found = resampled_means(values, 50, 5)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    monkeypatch.undo()
    np.testing.assert_array_equal(found, resampled_means(values, 50, 5))
