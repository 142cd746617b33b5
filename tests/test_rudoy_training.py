"""Rudoy et al.: anchors, labels, the drawing of pairs, and the forest against scikit-learn's."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from scipy import io
from sklearn.ensemble import RandomForestClassifier

from dynsal.baselines.rudoy.anchors import draw_anchors, find_cuts, settled_cuts
from dynsal.baselines.rudoy.cuts import read_cuts
from dynsal.baselines.rudoy.forest import Forest, from_sklearn, load_model, save_model
from dynsal.baselines.rudoy.training import PairSet, collect_pairs, draw_pairs, near_gaze, train
from dynsal.config_baselines import RudoyOptions
from dynsal.errors import DataError
from dynsal.gaze import density
from dynsal.prepare import Frame

OPTIONS = RudoyOptions(trees=7, faces=False, people=False, samples=500)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_cuts_that_another_follows_soon_are_dropped():
    assert settled_cuts([5, 15, 26, 30, 31]) == [15, 31]
    assert settled_cuts([]) == []


@pytest.mark.data
def test_rule_of_cuts_on_the_list_of_diem(mirror):
    """The authors trained on 1795 of the 7445 raw cuts; a video that cuts on nearly every frame keeps one."""
    path = mirror / "baselines" / "diem_list_cuts.json"
    videos = json.loads(path.read_text())["videos"]
    assert read_cuts(path) == {video["name"]: [cut - 1 for cut in video["cuts"]] for video in videos}
    kept = {video["name"]: settled_cuts(video["cuts"]) for video in videos}
    assert len(kept) == 84
    assert sum(len(video["cuts"]) for video in videos) == 7445
    assert sum(map(len, kept.values())) == 1795
    assert len(kept["advert_bbc4_bees_1024x576"]) == 1


def scene(*colours, noise=8):
    """Return one noisy frame per colour."""
    random = rng()
    return [
        Frame(
            i, i / 25, np.clip(colour + random.normal(0, noise, (24, 32, 3)), 0, 255).astype(np.uint8), True
        )
        for i, colour in enumerate(np.array(colours, float).reshape(-1, 3))
    ]


def test_cuts_are_where_colours_change_suddenly():
    """Not where a picture brightens slowly."""
    slow = [(20 + 3 * i, 80, 80) for i in range(10)]
    assert find_cuts(scene(*slow, *[(200, 30, 90)] * 5, *[(10, 250, 10)] * 3)) == ([10, 15], 18)
    assert find_cuts([]) == ([], 0)


def test_anchors_are_cuts_and_middles():
    """Halves go up; what has no source or destination goes: counted from 1, source and destination lie in 3 .. n - 1."""
    assert draw_anchors([2, 3, 40, 81, 184, 185], 201, 0, rng()) == [3, 22, 40, 61, 81, 133, 184]


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 80), unique=True).map(sorted),
    n=st.integers(0, 80),
    least=st.integers(0, 30),
    seed=st.integers(0, 100),
)
def test_few_anchors_are_filled_up_at_random(cuts, n, least, seed):
    """All distinct, usable, as many as asked for if there are so many, and the same for the same seed."""
    anchors = draw_anchors(cuts, n, least, rng(seed))
    usable = max(0, n - 19)
    assert len(anchors) >= min(least, usable)
    assert anchors == sorted(set(anchors))
    assert all(anchor - 1 >= 2 and anchor + 15 <= n - 2 for anchor in anchors)
    assert set(draw_anchors(cuts, n, 0, rng())) <= set(anchors)
    assert anchors == draw_anchors(cuts, n, least, rng(seed))


def test_random_anchors_differ_with_the_seed():
    assert draw_anchors([], 200, 5, rng(0)) != draw_anchors([], 200, 5, rng(1))


def test_destinations_near_a_peak_of_gaze_are_right():
    """Two groups of viewers: within .2 x 144 = 28.8 pixels of the middle of either."""
    gaze = density(np.array([[60.0, 50], [60, 50], [200, 100], [200, 100]]), (256, 144), (10, 10))
    points = np.array([[60.0, 50], [88, 50], [90, 50], [60, 78], [200, 129], [200, 72], [130, 75]])
    np.testing.assert_array_equal(near_gaze(points, gaze), [1, 1, 0, 1, 0, 1, 0])


def test_pairs_of_a_video():
    """One bright square on flat grey that jumps at frame 20, and gaze with it.

    The anchor 20 leads from frame 19 (the square at the left) to frame 35 (at the right); without gaze at
    either end there are no pairs; frames are counted among those given, gaze by the frames' own index; gaze
    is in the frames' pixels.
    """

    def frame(position):
        bgr = np.full((192, 256, 3), 90, np.uint8) + np.arange(256, dtype=np.uint8)[:, None] // 4
        left = 30 if position < 20 else 190
        bgr[80:112, left : left + 32] = 255
        return Frame(2 * position, position / 25, bgr, position % 5 == 0)

    def gaze(position):
        return np.array([[46.0 if position < 20 else 206.0, 96.0]] * 3)

    frames = [frame(position) for position in range(40)]
    points = {2 * position: gaze(position) for position in (19, 35)}
    pairs = collect_pairs(frames, points, [20], OPTIONS, {})
    assert pairs.features.shape == (len(pairs.positive), 22)
    assert np.isfinite(pairs.features).all()
    # The jump from the left square (working scale: 3/4) to the right one is right and is the longest there is.
    jumps = pairs.features[:, 20]
    assert pairs.positive.any()
    np.testing.assert_allclose(jumps[pairs.positive].max(), 0.75 * 160, atol=25)
    assert not pairs.positive[jumps < 60].any()
    for lacking in (19, 35):
        rest = {key: value for key, value in points.items() if key != 2 * lacking}
        assert len(collect_pairs(frames, rest, [20], OPTIONS, {}).positive) == 0
    assert len(collect_pairs(frames, points, [30], OPTIONS, {}).positive) == 0


def pair_set(positives, negatives, first=0.0):
    """Return pairs whose first feature numbers them."""
    count = positives + negatives
    features = rng(int(first)).normal(0, 1, (count, 22)).astype(np.float32)
    features[:, 0] = first + np.arange(count)
    return PairSet(features, np.arange(count) < positives)


def test_drawn_pairs_by_hand():
    """At most 60: 10 of 40 positive, 50 of 100 negative; shares 7.5 and 2.5, 25 and 25, down to even numbers."""
    sets = [pair_set(30, 50), pair_set(10, 50, 1000)]
    drawn = draw_pairs(sets, 60, rng())
    first = drawn.features[:, 0] < 1000
    counts = [
        int((first == one)[drawn.positive == label].sum()) for one in (True, False) for label in (True, False)
    ]
    assert counts == [6, 24, 2, 24]


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 90)), min_size=1, max_size=5),
    most=st.integers(6, 200),
    seed=st.integers(0, 99),
)
def test_drawn_pairs_never_exceed_what_is_asked_for(counts, most, seed):
    """Five negatives for a positive at most, none twice, even numbers of each kind per video, the labels kept."""
    sets = [pair_set(*count, 1000 * i) for i, count in enumerate(counts)]
    drawn = draw_pairs(sets, most, rng(seed))
    names = drawn.features[:, 0]
    n_positive = int(drawn.positive.sum())
    assert len(names) <= most
    assert len(set(names.tolist())) == len(names)
    assert n_positive <= sum(count[0] for count in counts)
    assert len(names) - n_positive <= 5 * min(most // 6, sum(count[0] for count in counts))
    for i, (positives, _) in enumerate(counts):
        own = (names >= 1000 * i) & (names < 1000 * (i + 1))
        assert own[drawn.positive].sum() % 2 == own[~drawn.positive].sum() % 2 == 0
        np.testing.assert_array_equal(drawn.positive[own], names[own] - 1000 * i < positives)


def learnable(seed=0, n=300):
    """Return pairs of which two features tell the label, with noise; values from few to many decimals."""
    random = rng(seed)
    features = random.normal(0, 50, (n, 22)).astype(np.float32)
    features[:, 15] = random.integers(1, 6, n)
    return PairSet(features, features[:, 1] + 10 * features[:, 15] + random.normal(0, 20, n) > 70)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), leaf=st.sampled_from([1, 2, 5]), integers=st.booleans())
def test_votes_are_those_of_scikit_learn_tree_by_tree(seed, leaf, integers):
    """Also on rows that lie on thresholds, and in leaves that both classes share."""
    pairs = learnable(seed, 120)
    features = np.round(pairs.features) if integers else pairs.features
    trained = RandomForestClassifier(9, max_features=4, min_samples_leaf=leaf, random_state=seed)
    trained.fit(features, pairs.positive)
    forest = from_sklearn(trained)
    rows = np.vstack([features, rng(seed + 1).normal(0, 50, (50, 22)).astype(np.float32)])
    cuts = forest.feature >= 0
    on = np.tile(rows[:1], (cuts.sum(), 1))
    on[np.arange(len(on)), forest.feature[cuts]] = forest.threshold[cuts]
    rows = np.vstack([rows, on])
    expected = np.column_stack([tree.predict(rows) for tree in trained.estimators_])
    np.testing.assert_array_equal(forest.votes(rows), expected)


def test_a_forest_of_stumps_by_hand():
    """Two trees: feature 0 up to 1.5 votes no, else yes; the other has one leaf, yes."""
    forest = Forest(
        np.array([0, 3], np.int32),
        np.array([0, -1, -1, -1], np.int8),
        np.array([1.5, 0, 1, 1], np.float32),
        np.array([2, 0, 0, 0], np.int32),
    )
    rows = np.zeros((2, 22))
    rows[1, 0] = 2
    np.testing.assert_array_equal(forest.votes(rows), [[False, True], [True, True]])
    assert forest.votes(rows[:0]).shape == (0, 2)


def trained(options=OPTIONS, **more):
    return train([learnable(0), learnable(1)], options, {"trained_on": "synthetic pairs"}, **more)


def same(one, other):
    return all(
        np.array_equal(a, b)
        for a, b in zip(
            [*vars(one.forest).values(), one.mean, one.deviation],
            [*vars(other.forest).values(), other.mean, other.deviation],
            strict=True,
        )
    )


def test_training_learns_and_says_where_from():
    """New pairs are told apart; the model carries options, counts, versions and substitutions."""
    model = trained(RudoyOptions(trees=40, faces=False))
    fresh = learnable(5)
    assert ((model.positive(fresh.features) > 0.5) == fresh.positive).mean() > 0.8
    assert model.meta["trained_on"] == "synthetic pairs"
    assert model.meta["options"]["trees"] == 40
    assert model.meta["pairs"]["videos"] == 2
    assert {one["part"] for one in model.meta["substitutions"]} >= {"flow", "people", "forest"}


def test_training_depends_on_the_seed_but_not_on_threads():
    assert same(trained(threads=1), trained(threads=2))
    assert not same(trained(), trained(RudoyOptions(trees=7, seed=1, faces=False)))


def test_a_constant_feature_does_no_harm():
    pairs = learnable()
    pairs.features[:, 13] = 0
    model = train([pairs], OPTIONS, {})
    assert model.deviation[13] == 1
    assert np.isfinite(model.positive(pairs.features)).all()


@pytest.mark.parametrize("sets", [[], [pair_set(0, 30)], [pair_set(20, 0)], [pair_set(1, 1)]])
def test_training_without_both_kinds_of_pairs_is_refused(sets):
    with pytest.raises(DataError, match="both are needed"):
        train(sets, OPTIONS, {})


def test_a_model_comes_back_from_its_file(tmp_path):
    """All arrays, all facts; equal models give equal bytes."""
    model = trained()
    for name in ("a", "b"):
        save_model(tmp_path / name, model)
    back = load_model(tmp_path / "a")
    assert same(model, back)
    assert back.meta == model.meta
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_missing_or_foreign_model_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(DataError, match="missing"):
        load_model(path)
    path.write_bytes(b"no model")
    with pytest.raises(DataError, match="no trained model"):
        load_model(path)
    save_file({"mean": np.zeros(22, np.float32)}, path)
    with pytest.raises(DataError, match="no trained model"):
        load_model(path)
    save_model(path, trained())
    head = json.dumps({"kind": "rudoy forest 1", "features": ["others"]})
    save_file(load_file(path), path, metadata={"dynsal": head})
    with pytest.raises(DataError, match="another version"):
        load_model(path)


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("right", 0, 0),  # back to itself: an endless walk
        ("right", 0, 10**6),
        ("feature", 0, 22),
        ("feature", -1, 3),  # the last node has no children
        ("roots", 1, 10**6),
        ("roots", 0, 1),
    ],
)
def test_a_model_that_would_lead_astray_is_refused(tmp_path, name, place, value):
    path = tmp_path / "model.safetensors"
    model = trained()
    getattr(model.forest, name)[place] = value
    save_model(path, model)
    with pytest.raises(DataError, match="is damaged"):
        load_model(path)


def test_both_forms_of_the_list_of_cuts(tmp_path):
    """The release's cells and the JSON say the same: frames counted from 0 here, from 1 there."""
    names, cuts = ["one_320x240", "two_320x240"], [[1, 27, 93], [5]]
    cells = {"videos": np.array(names, object), "cuts": np.empty(2, object)}
    for place, values in enumerate(cuts):
        cells["cuts"][place] = np.array(values, float)
    io.savemat(tmp_path / "00_cuts.mat", cells)
    listed = [{"name": name, "cuts": values} for name, values in zip(names, cuts, strict=True)]
    (tmp_path / "cuts.json").write_text(json.dumps({"videos": listed}))
    for path in (tmp_path / "00_cuts.mat", tmp_path / "cuts.json"):
        assert read_cuts(path) == {"one_320x240": [0, 26, 92], "two_320x240": [4]}
    for name, text in (("absent.mat", None), ("broken.mat", "MATLAB"), ("broken.json", "{}")):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=name):
            read_cuts(tmp_path / name)
