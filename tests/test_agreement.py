"""Agreement between metrics: against scipy, and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from dynsal.agreement import pooled, within_videos

NAN = float("nan")
NAMES = ["sauc", "chi2", "nss"]


def table(rng) -> pd.DataFrame:
    keys = [(model, video) for video in "abcd" for model in ("early", "late", "spatial", "centre")]
    values = rng.normal(size=(len(keys), 3))
    return pd.DataFrame(values, columns=NAMES).assign(
        model=[key[0] for key in keys], video=[key[1] for key in keys]
    )


def test_pooled_is_scipys():
    """With chi-square the other way round, and pairs without a value left out."""
    rows = table(np.random.default_rng(0))
    rows.loc[3, "nss"] = NAN
    found = pooled(rows, NAMES)
    kept = rows.drop(index=3)
    assert found.loc["sauc", "chi2"] == pytest.approx(-spearmanr(rows["sauc"], rows["chi2"]).statistic)
    assert found.loc["sauc", "nss"] == pytest.approx(spearmanr(kept["sauc"], kept["nss"]).statistic)
    np.testing.assert_allclose(np.diag(found), 1)


def test_within_videos_is_the_mean_of_scipys():
    rows = table(np.random.default_rng(1))
    expected = np.mean([-spearmanr(one["sauc"], one["chi2"]).statistic for _, one in rows.groupby("video")])
    assert within_videos(rows, NAMES).loc["sauc", "chi2"] == pytest.approx(expected)


def test_hard_videos_make_no_agreement_within():
    """Metrics that only agree on which video is hard agree overall, and not within videos."""
    rows = table(np.random.default_rng(2))
    rows["sauc"] = rows["nss"] = rows["video"].map({"a": 10.0, "b": 20.0, "c": 30.0, "d": 40.0})
    rows["sauc"] += np.tile([0, 1, 2, 3], 4)
    rows["nss"] -= np.tile([0, 1, 2, 3], 4)
    assert pooled(rows, NAMES).loc["sauc", "nss"] > 0.7
    assert within_videos(rows, NAMES).loc["sauc", "nss"] == -1


def test_what_has_no_value_does_not_enter():
    """A video where all are alike, or with two models only; nothing at all is NaN, without a warning."""
    rows = table(np.random.default_rng(3))
    rows.loc[rows["video"] == "a", "nss"] = 5.0
    rows.loc[(rows["video"] == "b") & rows["model"].isin(["early", "late"]), "nss"] = NAN
    kept = rows[rows["video"].isin(["c", "d"])]
    assert within_videos(rows, NAMES).loc["sauc", "nss"] == pytest.approx(
        within_videos(kept, NAMES).loc["sauc", "nss"]
    )
    assert np.isnan(within_videos(rows[rows["video"] == "a"], NAMES).loc["sauc", "nss"])
