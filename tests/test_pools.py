"""Pools of negatives: never one's own fixations, the same for everybody, whatever the order of things."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal import metrics
from dynsal.pools import other_images_pool, other_videos_pool, same_video_pool, split_halves

brief = settings(max_examples=40, deadline=None)


def gaze(seed: int, frames: int = 20, viewers: int = 4) -> pd.DataFrame:
    """Write a table in which every fixation tells its video (x) and frame (y)."""
    rng = np.random.default_rng(seed)
    rows = [
        (frame, f"s{viewer}", 10.0 * seed, float(frame))
        for frame in range(0, 3 * frames, 3)
        for viewer in range(viewers)
        if viewer == 0 or rng.random() < 0.7
    ]
    return pd.DataFrame(rows, columns=["frame", "subject", "x", "y"])


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    return {name: gaze(seed) for seed, name in enumerate(["Kimono", "Tennis", "Yan"])}


def bag(points: Any) -> Counter[tuple[float, ...]]:
    return Counter(map(tuple, np.asarray(points).tolist()))


# --- other videos ---


def test_a_video_never_gets_its_own_fixations(tables: dict[str, pd.DataFrame]) -> None:
    for own, name in enumerate(tables):
        pool = other_videos_pool(tables, name, 5, seed=0)
        assert set(pool[:, 0]) == {0.0, 10.0, 20.0} - {10.0 * own}


def test_a_video_contributes_all_fixations_of_as_many_frames_as_asked(
    tables: dict[str, pd.DataFrame],
) -> None:
    pool = other_videos_pool(tables, "Kimono", 5, seed=0)
    for x, name in ((10.0, "Tennis"), (20.0, "Yan")):
        drawn = pool[pool[:, 0] == x]
        frames = set(drawn[:, 1])
        assert len(frames) == 5
        table = tables[name]
        assert bag(drawn) == bag(table.loc[table["frame"].isin(frames), ["x", "y"]])
    assert max(bag(pool).values()) > 1  # several viewers on one pixel stay several


def test_few_frames_are_taken_whole(tables: dict[str, pd.DataFrame]) -> None:
    everything = pd.concat([tables["Tennis"], tables["Yan"]])[["x", "y"]]
    for frames in (20, 1000):
        assert bag(other_videos_pool(tables, "Kimono", frames, seed=0)) == bag(everything)


def test_the_order_of_videos_and_rows_is_irrelevant(tables: dict[str, pd.DataFrame]) -> None:
    shuffled = {name: tables[name].sample(frac=1, random_state=1) for name in reversed(tables)}
    assert np.array_equal(
        other_videos_pool(shuffled, "Yan", 6, seed=3), other_videos_pool(tables, "Yan", 6, seed=3)
    )


def test_a_videos_frames_do_not_depend_on_the_other_videos(tables: dict[str, pd.DataFrame]) -> None:
    pool = other_videos_pool(tables, "Kimono", 6, seed=3)
    without_yan = {name: tables[name] for name in ("Kimono", "Tennis")}
    assert np.array_equal(other_videos_pool(without_yan, "Kimono", 6, seed=3), pool[pool[:, 0] == 10])


def test_the_seed_and_the_name_decide(tables: dict[str, pd.DataFrame]) -> None:
    pools = [other_videos_pool(tables, "Kimono", 6, seed) for seed in (0, 0, 1)]
    assert np.array_equal(pools[0], pools[1])
    assert bag(pools[0]) != bag(pools[2])
    # Tennis and Yan have the same frames to choose from, and choose differently.
    frames = [set(pools[0][pools[0][:, 0] == x][:, 1]) for x in (10, 20)]
    assert frames[0] != frames[1]


def test_the_draw_is_the_same_in_every_process_and_version() -> None:
    """Every published sAUC hangs on this draw: a change here must be a decision, not an accident."""
    table = pd.DataFrame({"frame": range(100), "subject": 0, "x": 0.0, "y": np.arange(100.0)})
    pool = other_videos_pool({"a": table, "b": table.iloc[:0]}, "b", 5, seed=0)
    assert pool[:, 1].tolist() == [16, 40, 41, 60, 96]


def test_the_only_video_has_an_empty_pool_and_no_score(tables: dict[str, pd.DataFrame]) -> None:
    pool = other_videos_pool({"Yan": tables["Yan"]}, "Yan", 5, seed=0)
    assert pool.shape == (0, 2)
    assert math.isnan(metrics.sauc(np.eye(3), [(1, 1)], pool))


def test_a_misspelt_video_would_be_its_own_negative(tables: dict[str, pd.DataFrame]) -> None:
    with pytest.raises(
        ValueError, match="no gaze table for the video 'kimono'; there are: Kimono, Tennis, Yan"
    ):
        other_videos_pool(tables, "kimono", 5, seed=0)


# --- still images ---

IMAGES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12)


@brief
@given(
    st.dictionaries(st.sampled_from(["b", "a", "c"]), IMAGES, min_size=1),
    st.integers(1, 6),
    st.integers(0, 3),
)
def test_each_image_gets_the_drawn_fixations_of_all_other_images_of_all_shards(
    rows: dict[str, list[tuple[int, int, int]]], images: int, seed: int
) -> None:
    made = {name: pd.DataFrame(points, columns=["frame", "x", "y"]) for name, points in rows.items()}
    pool, first = other_images_pool(made, images, seed)
    drawn = {(name, i) for name in rows for i, _, _ in rows[name] if first[name] + i in pool.frames}
    for name, points in rows.items():
        looked_at = {frame for frame, _, _ in points}
        assert len({i for shard, i in drawn if shard == name}) == min(images, len(looked_at))
        for image in looked_at:
            others = [
                (float(x), float(y))
                for shard in rows
                for i, x, y in rows[shard]
                if (shard, i) != (name, image) and (shard, i) in drawn
            ]
            assert bag(pool.negatives(first[name] + image)) == Counter(others)


def test_images_are_drawn_as_frames_of_videos_are(tables: dict[str, pd.DataFrame]) -> None:
    """By name and seed: an image outside Kimono has the negatives that the videos' pool would give Kimono, and more."""
    pool, first = other_images_pool(tables, 6, seed=3)
    of_kimono = pool.frames < first["Tennis"]
    assert np.array_equal(pool.points[~of_kimono], other_videos_pool(tables, "Kimono", 6, seed=3))
    assert first == {"Kimono": 0, "Tennis": 58, "Yan": 116}  # the last of 20 frames is 57


def test_one_image_alone_has_no_negatives() -> None:
    pool, first = other_images_pool({"a": pd.DataFrame({"frame": [0], "x": [1.0], "y": [1.0]})}, 5, seed=0)
    assert pool.negatives(first["a"]).shape == (0, 2)


# --- same video ---


@brief
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=25),
    st.integers(1, 8),
    st.integers(0, 3),
)
def test_each_frame_gets_the_drawn_fixations_of_all_other_frames(
    rows: list[tuple[int, int, int]], frames: int, seed: int
) -> None:
    table = pd.DataFrame(rows, columns=["frame", "x", "y"])
    pool = same_video_pool(table, frames, seed)
    drawn = set(pool.frames.tolist())
    assert len(drawn) == min(frames, table["frame"].nunique())
    assert (np.diff(pool.frames) >= 0).all()
    for frame in range(-1, 8):
        others = [(float(x), float(y)) for f, x, y in rows if f in drawn and f != frame]
        assert bag(pool.negatives(frame)) == Counter(others)


def test_values_looked_up_once_give_the_same_score_as_points() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"frame": rng.integers(0, 30, 400), "x": rng.uniform(0, 31, 400), "y": rng.uniform(0, 23, 400)}
    )
    pool = same_video_pool(table, 12, seed=0)
    index = metrics.pixel_index(pool.points, (24, 32))
    for frame in (0, int(pool.frames[0]), int(pool.frames[-1])):
        saliency = rng.random((24, 32))
        fixations = table.loc[table["frame"] == frame, ["x", "y"]].to_numpy()
        negatives = pool.without_own(frame, saliency.ravel()[index])
        fast = metrics.auc(metrics.values_at(saliency, fixations), negatives)
        assert fast == metrics.sauc(saliency, fixations, pool.negatives(frame))
        assert len(negatives) == len(pool.points) - np.count_nonzero(pool.frames == frame)


def test_the_same_video_pool_follows_the_seed_and_not_the_rows() -> None:
    table = gaze(1)
    table["x"] = np.random.default_rng(0).random(len(table))
    first, again, other = (same_video_pool(table, 5, seed) for seed in (0, 0, 1))
    shuffled = same_video_pool(table.sample(frac=1, random_state=0), 5, 0)
    for pool in (again, shuffled):
        assert np.array_equal(pool.frames, first.frames)
        assert np.array_equal(pool.points, first.points)
    assert set(other.frames) != set(first.frames)


def test_a_video_of_one_frame_has_no_other() -> None:
    table = gaze(1, frames=1)
    assert same_video_pool(table, 5, 0).negatives(0).shape == (0, 2)


def test_values_that_do_not_belong_to_the_pool_are_refused() -> None:
    pool = same_video_pool(gaze(1), 5, 0)
    with pytest.raises(ValueError, match=f"each of {len(pool.points)} points, found 3"):
        pool.without_own(0, np.zeros(3))


# --- halves ---


@pytest.mark.parametrize("viewers", [2, 5, 8])
def test_halves_part_the_viewers_and_keep_the_rows(viewers: int) -> None:
    table = gaze(2, viewers=viewers)
    first, second = split_halves(table, seed=0)
    assert set(first["subject"]).isdisjoint(second["subject"])
    assert first["subject"].nunique() == viewers // 2
    assert second["subject"].nunique() == viewers - viewers // 2
    pd.testing.assert_frame_equal(pd.concat([first, second]).sort_index(), table)


def test_halves_follow_the_seed_and_not_the_rows() -> None:
    table = gaze(2, viewers=9)
    halves = [frozenset(split_halves(table, seed)[0]["subject"]) for seed in range(20)]
    assert len(set(halves)) > 10
    shuffled = table.sample(frac=1, random_state=0)
    assert frozenset(split_halves(shuffled, 0)[0]["subject"]) == halves[0]
    # Nobody is always in the same half.
    assert set.union(*map(set, halves)) == set(table["subject"])
    assert not set.intersection(*map(set, halves))


def test_subjects_may_be_numbers() -> None:
    table = gaze(2, viewers=11).assign(subject=lambda t: t["subject"].str[1:].astype(int))
    first, second = split_halves(table, seed=0)
    assert set(first["subject"]) | set(second["subject"]) == set(range(11))


@pytest.mark.parametrize("viewers", [0, 1])
def test_a_single_viewer_has_no_halves(viewers: int) -> None:
    table = gaze(1, viewers=1)
    with pytest.raises(ValueError, match=rf"cannot split {viewers} viewer\(s\) into halves"):
        split_halves(table if viewers else table.iloc[:0], seed=0)


# --- nonsense ---


def test_broken_tables_are_refused(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["Yan"]
    with pytest.raises(ValueError, match="gaze table lacks x, y; it has frame, subject"):
        same_video_pool(table.drop(columns=["x", "y"]), 5, 0)
    with pytest.raises(ValueError, match="gaze table lacks subject"):
        split_halves(table.drop(columns="subject"), 0)
    for frames in (0, -1):
        with pytest.raises(ValueError, match="at least 1 frame"):
            same_video_pool(table, frames, 0)
    table.loc[[2, 4], "x"] = [math.nan, math.inf]
    with pytest.raises(ValueError, match=f"2 of {len(table)} fixations have no finite x and y"):
        other_videos_pool(tables, "Kimono", 5, seed=0)
