"""Tables: golden values worked out by hand on a handful of frames, and nothing in them that is not in the scores."""

from __future__ import annotations

import io
import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal import tables
from dynsal.config import TableConfig
from dynsal.errors import DataError
from dynsal.metrics import METRICS

CONFIG = TableConfig(resamples=200, seed=0)
PAPER = pd.DataFrame({"model": ["spatial", "early"], "sauc": [0.69, 0.83], "chi2": [0.48, 0.29]})
ORDER = ["early", "human", "uniform"]
NAN = float("nan")

SAUC = {
    # model, seed: video -> sAUC of frames 0, 1, 2
    ("early", 0): {"a": [0.9, 0.7, NAN], "b": [0.6, 0.6, 0.6]},
    ("early", 1): {"a": [0.7, 0.5, NAN], "b": [0.4, 0.8, 0.6]},
    ("human", 0): {"a": [1.0, 0.8, NAN], "b": [0.9, 0.9, 0.6]},
    ("uniform", 0): {"a": [0.5, 0.5, NAN], "b": [0.5, 0.5, 0.5]},
}
MEANS = {"early": (0.7 + 0.6) / 2, "human": (0.9 + 0.8) / 2, "uniform": 0.5}
"""Frames, then seeds, then videos: early has .8 and .6 in a, .6 and .6 in b."""


def rows(sauc=SAUC) -> pd.DataFrame:
    """Write scores whose metrics are sAUC times 1, 2, 3 ...; the constant map has no NSS and no CC."""
    made = []
    for (model, seed), videos in sauc.items():
        for video, values in videos.items():
            for frame, value in enumerate(values):
                scores = {name: value * factor for factor, name in enumerate(METRICS, 1)}
                if model == "uniform":
                    scores |= {"nss": NAN, "cc": NAN}
                reason = "no fixation" if np.isnan(value) else ""
                made.append(
                    {"frame": frame, "n_fixations": 5, **scores, "skipped": reason}
                    | {"model": model, "seed": seed, "video": video}
                )
    return pd.DataFrame(made)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return tables.table(rows(), ORDER, "demo", CONFIG, PAPER)


def test_columns_of_table1(table):
    """The public interface: names, and their order as far as it is promised."""
    columns = list(table.columns)
    assert columns[:7] == ["dataset", "model", "kind", "seeds", "n_videos", "n_frames", "n_skipped"]
    for name in METRICS:
        start = columns.index(name)
        assert columns[start : start + 3] == [name, f"{name}_lo", f"{name}_hi"]
    assert columns[-3:] == ["paper_sauc", "paper_chi2", "paper_comparable"]
    assert len(set(columns)) == len(columns)


def test_table1_by_hand(table):
    assert table["model"].tolist() == ORDER
    assert table["dataset"].tolist() == ["demo"] * 3
    assert table["kind"].tolist() == ["net", "ceiling", "floor"]
    assert table["seeds"].tolist() == [2, 1, 1]
    assert table["n_videos"].tolist() == [2, 2, 2]
    assert table["n_frames"].tolist() == [5, 5, 5]
    assert table["n_skipped"].tolist() == [1, 1, 1]
    for factor, name in enumerate(METRICS, 1):
        expected = [MEANS[model] * factor for model in ORDER]
        if name in ("nss", "cc"):
            expected[2] = NAN
        np.testing.assert_allclose(table[name], expected, err_msg=name)


def test_intervals_of_two_videos(table):
    """With two videos, resampled means are the lower, the middle or the upper one; 95 % reach both ends."""
    row = table.set_index("model").loc["human"]
    assert (row["sauc_lo"], row["sauc_hi"]) == pytest.approx((0.8, 0.9))
    assert (table["sauc_lo"] <= table["sauc"] + 1e-12).all()
    assert (table["sauc"] <= table["sauc_hi"] + 1e-12).all()


def test_the_papers_figures(table):
    """Where the paper prints one, and comparable only on its own data set."""
    early = table.set_index("model").loc["early"]
    assert (early["paper_sauc"], early["paper_chi2"]) == (0.83, 0.29)
    assert table.loc[table["model"] != "early", ["paper_sauc", "paper_chi2"]].isna().all(axis=None)
    assert not table["paper_comparable"].any()
    assert tables.table(rows(), ORDER, "diem", CONFIG, PAPER)["paper_comparable"].all()


def test_kinds():
    """Rows that are no nets say so; everything else is a net."""
    names = ["centre", "uniform", "mean_map", "human", "oracle", "spatial", "mine"]
    scores = rows({(name, 0): {"a": [0.5, 0.6], "b": [0.5, 0.7]} for name in names})
    kinds = tables.table(scores, names, "demo", CONFIG, PAPER)["kind"].tolist()
    assert kinds == ["floor", "floor", "floor", "ceiling", "oracle", "net", "net"]


def test_all_rows_are_compared_on_the_same_frames():
    """A frame that one run lacks counts for none."""
    scores = rows()
    lacking = scores[
        ~(
            (scores["model"] == "early")
            & (scores["seed"] == 1)
            & (scores["video"] == "b")
            & (scores["frame"] == 1)
        )
    ]
    table = tables.table(lacking, ORDER, "demo", CONFIG, PAPER).set_index("model")
    assert table["n_frames"].tolist() == [4, 4, 4]
    assert table.loc["human", "sauc"] == pytest.approx((0.9 + 0.75) / 2)
    assert table.loc["early", "sauc"] == pytest.approx((0.7 + 0.55) / 2)


def test_order_of_rows_changes_nothing(table):
    shuffled = rows().sample(frac=1, random_state=3)
    again = tables.table(shuffled, ORDER[::-1], "demo", CONFIG, PAPER)
    pd.testing.assert_frame_equal(again.iloc[::-1].reset_index(drop=True), table)


def test_differences_by_hand():
    found = tables.differences(rows(), ORDER, CONFIG)
    sauc = found[found["metric"] == "sauc"].set_index(["model", "reference"])
    assert set(sauc.index) == {("human", "early"), ("uniform", "early"), ("uniform", "human")}
    assert sauc.loc[("human", "early"), "difference"] == pytest.approx(0.2)
    assert (sauc.loc[("human", "early"), ["lo", "hi"]]).tolist() == pytest.approx([0.2, 0.2])
    assert sauc.loc[("uniform", "early"), "difference"] == pytest.approx(-0.15)
    assert sauc.loc[("uniform", "early"), ["lo", "hi"]].tolist() == pytest.approx([-0.2, -0.1])
    assert (sauc["n_videos"] == 2).all()
    assert set(found["metric"]) == set(METRICS)
    none = found[(found["metric"] == "nss") & (found["model"] == "uniform")]
    assert none["difference"].isna().all()
    assert (none["n_videos"] == 0).all()


@given(seed=st.integers(0, 1000), order=st.permutations(["early", "human", "late", "uniform"]))
@settings(max_examples=10, deadline=None)
def test_differences_are_antisymmetric_and_fit_the_means(seed, order):
    rng = np.random.default_rng(seed)
    scores = rows({(name, 0): {v: rng.random(2).tolist() for v in "abcde"} for name in sorted(order)})
    few = TableConfig(resamples=20, seed=seed)
    there = tables.differences(scores, order, few).set_index(["metric", "model", "reference"])
    back = tables.differences(scores, order[::-1], few).set_index(["metric", "model", "reference"])
    mean = tables.table(scores, order, "demo", few, PAPER).set_index("model")
    assert len(there) == len(back) == len(METRICS) * 6
    for metric, (first, second) in itertools.product(["sauc", "chi2"], itertools.combinations(order, 2)):
        one, other = there.loc[(metric, second, first)], back.loc[(metric, first, second)]
        assert one["difference"] == pytest.approx(-other["difference"])
        assert one["lo"] == pytest.approx(-other["hi"])
        assert one["difference"] == pytest.approx(mean.loc[second, metric] - mean.loc[first, metric])


def test_per_video_by_hand():
    found = tables.per_video(rows(), ORDER)
    assert list(zip(found["model"], found["seed"], found["video"], strict=True)) == [
        *itertools.product(["early"], [0, 1], "ab"),
        *itertools.product(["human", "uniform"], [0], "ab"),
    ]
    np.testing.assert_allclose(found["sauc"], [0.8, 0.6, 0.6, 0.6, 0.9, 0.8, 0.5, 0.5])
    assert found["n_frames"].tolist() == [2, 3] * 4
    assert found["n_skipped"].tolist() == [1, 0] * 4
    assert found["nss_nan"].tolist() == [0, 0, 0, 0, 0, 0, 2, 3]  # the skipped frame counts for no row


def test_skipped_counts_frames_by_reason():
    scores = rows()
    assert tables.skipped(scores) == {"no fixation": 1}  # one frame, in four rows
    scores.loc[0, "skipped"] = "else"
    assert tables.skipped(scores) == {"no fixation": 1, "else": 1}
    assert tables.skipped(scores[scores["skipped"] == ""]) == {}


def test_seed_spread_by_hand():
    """Early's seeds reach .7 and .6 over videos; one seed has no spread."""
    spread = tables.seed_spread(rows(), "sauc")
    assert spread["early"] == pytest.approx(0.1 / np.sqrt(2))
    assert spread[["human", "uniform"]].isna().all()


RUNS = {"early": [0, 1], "human": [0], "uniform": [0]}


@pytest.fixture
def results(tmp_path) -> Path:
    """Write the scores to files, with files of a seed, a model and a video that no one asks for."""
    stale = {("early", 7): {"a": [0.1] * 3, "b": [0.1] * 3}, ("gone", 0): {"a": [0.1] * 3}}
    more = {key: {**videos, "left": [0.1] * 3} for key, videos in SAUC.items()}
    for (model, seed, video), part in rows({**more, **stale}).groupby(["model", "seed", "video"]):
        path = tmp_path / "scores" / model / f"seed{seed}" / f"{video}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        part.drop(columns=["model", "seed", "video"]).to_parquet(path, index=False)
    return tmp_path


def test_load_scores_reads_what_is_asked_for(results):
    keys = ["model", "seed", "video", "frame"]
    found = tables.load_scores(results, RUNS, ["a", "b"])
    expected = rows()
    pd.testing.assert_frame_equal(
        found.sort_values(keys)[expected.columns].reset_index(drop=True),
        expected.sort_values(keys).reset_index(drop=True),
        check_dtype=False,
    )


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated", "column", "frame"])
def test_a_bad_score_file_is_named(results, damage):
    path = results / "scores" / "early" / "seed1" / "b.parquet"
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("frame,sauc\n1,2\n")
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        pd.read_parquet(path).drop(columns="kld" if damage == "column" else "frame").to_parquet(path)
    with pytest.raises(DataError, match=r"scores/early/seed1/b\.parquet: not a score file") as caught:
        tables.load_scores(results, RUNS, ["a", "b"])
    assert "\n" not in str(caught.value)
    if damage == "column":
        assert "lacks kld" in str(caught.value)


def markdown(text: str) -> list[dict[str, str]]:
    """Read a Markdown table."""
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    assert set(lines[1]) == {"---"}
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def test_markdown_has_what_the_csv_has(table):
    """Every model and every number, to three digits."""
    csv = pd.read_csv(io.StringIO(table.to_csv(index=False, float_format="%.6f")))
    shown = markdown(tables.render(table, {}))
    assert [row["model"] for row in shown] == csv["model"].tolist()
    for row, (_, stored) in zip(shown, csv.iterrows(), strict=True):
        assert [row[name] for name in ("kind", "seeds", "videos", "frames")] == [
            str(stored[name]) for name in ("kind", "seeds", "n_videos", "n_frames")
        ]
        for name, info in METRICS.items():
            cell = row[f"{info.label} {'↑' if info.higher_is_better else '↓'}"]
            if pd.isna(stored[name]):
                assert cell == "-"
                continue
            numbers = [float(number) for number in re.findall(r"-?\d+\.\d{3}", cell)]
            expected = [stored[name]]
            if name in ("sauc", "chi2"):
                expected += [stored[f"{name}_lo"], stored[f"{name}_hi"]]
            np.testing.assert_allclose(numbers, expected, atol=5.1e-4)


def test_markdown_shows_no_nan(table):
    """Neither for a metric without a value nor for the interval of a single video."""
    one = tables.table(rows({k: {"b": v["b"]} for k, v in SAUC.items()}), ORDER, "demo", CONFIG, PAPER)
    assert one["sauc_lo"].isna().all()
    for text in (tables.render(table, {}), tables.render(one, {})):
        assert "nan" not in text.lower()
    assert markdown(tables.render(one, {}))[0]["sAUC ↑"] == "0.600"


def test_markdown_quotes_the_paper_only_where_it_prints(table):
    column = "paper, on DIEM: sAUC / chi-square"
    assert [row[column] for row in markdown(tables.render(table, {}))] == ["0.83 / 0.29", "", ""]
    without = tables.render(table[table["model"] != "early"], {})
    assert "paper" not in without
    assert len(markdown(without)) == 2


def test_notes_stand_below(table):
    text = tables.render(table, {"density": "one degree", "skipped rows": "none"})
    assert text.endswith("|\n\n- **density**: one degree\n- **skipped rows**: none\n")
