"""Which frames pictures show."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal.errors import DataError
from dynsal.figures.choice import EXTREMES, QUARTILES, by_mean, choose, well_seen

NAN = float("nan")


def test_ranks_of_nine_images():
    """The ends, and every second place between; best first."""
    assert choose([5, 1, 9, 3, 7, 2, 8, 4, 6]) == {
        2: "best", 4: "upper quartile", 0: "median", 3: "lower quartile", 1: "worst",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, {0: "best"}),
        (2, {0: "best", 1: "worst"}),
        (3, {0: "best", 1: "median", 2: "worst"}),
        (4, {0: "best", 1: "upper quartile", 2: "median", 3: "worst"}),
        (5, dict(enumerate(QUARTILES))),
    ],
)
def test_few_images(n, expected):
    """None twice, and the ends keep their names."""
    assert choose(-np.arange(n)) == expected


def test_images_without_a_score_are_not_ranked():
    assert choose([NAN, 0.2, NAN, 0.8]) == {3: "best", 1: "worst"}
    for nothing in ([], [NAN, NAN]):
        with pytest.raises(DataError, match="nothing in them has an sAUC"):
            choose(nothing)


def test_of_equal_images_the_earlier_is_better():
    assert list(choose([0.5] * 5)) == [0, 1, 2, 3, 4]


@given(st.lists(st.floats(0, 1) | st.just(NAN), min_size=5, max_size=60))
@settings(max_examples=100, deadline=None)
def test_ranks_are_quantiles(scores):
    """The chosen scores are numpy's quantiles where these are scores of images; else within a place of them."""
    values = np.array(scores)
    known = values[~np.isnan(values)]
    if len(known) < 5:
        return
    found = choose(values)
    assert list(found.values()) == list(QUARTILES)
    for (image, _), quantile in zip(found.items(), (1, 0.75, 0.5, 0.25, 0), strict=True):
        low, high = (np.quantile(known, quantile, method=method) for method in ("lower", "higher"))
        assert low <= values[image] <= high


def test_only_the_ranks_asked_for():
    scores = [0.1, 0.9, 0.5, 0.7, 0.3]
    assert choose(scores, EXTREMES) == {1: "best", 2: "median", 0: "worst"}
    assert choose(scores, ["median"]) == {2: "median"}


def test_well_seen():
    """Frames with at least the median number of fixations of their video, of those that have a score."""
    table = pd.DataFrame(
        {
            "video": ["few"] * 5 + ["many"] * 3,
            "n_fixations": [0, 1, 3, 5, 9, 20, 30, 40],
            "sauc": [NAN, 1.0, 0.5, 0.6, 0.7, 0.8, 0.8, 0.8],
        },
        index=list("abcdefgh"),
    )
    assert list(well_seen(table).index) == ["d", "e", "g", "h"]
    assert not len(well_seen(table.iloc[:1]))


def test_videos_by_their_mean():
    """Best first; of equal ones the earlier; none without a score."""
    table = pd.DataFrame({"video": list("aabbcd"), "sauc": [0.2, 0.4, 0.9, NAN, NAN, 0.9]})
    assert by_mean(table) == ["b", "d", "a"]
