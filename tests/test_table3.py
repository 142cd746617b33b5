"""Table 3 by hand: images are the sample, quoted rows say so, and verdicts follow their rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dynsal import table3, tables
from dynsal.config import TableConfig
from dynsal.errors import DataError
from dynsal.still_metrics import STILL_METRICS
from dynsal.table3_notes import Setting, notes

CONFIG = TableConfig(resamples=400, seed=0)
NAN = float("nan")
PAPER_FILE = Path(__file__).resolve().parents[1] / "resources" / "paper" / "table3.csv"
PAPER = pd.read_csv(PAPER_FILE)
SETTING = Setting("osie", (160, 120), 1.0, 50, CONFIG)

SAUC = {
    # row -> seed -> sAUC of images a, b, c, d; nobody looked at d
    "early": {0: [0.9, 0.7, 0.6, NAN], 1: [0.7, 0.9, 0.4, NAN]},
    "gbvs": {0: [0.6, 0.6, 0.6, NAN]},
    "uniform": {0: [0.5, 0.5, 0.5, NAN]},
}
ORDER = list(SAUC)


def rows(sauc=SAUC) -> pd.DataFrame:
    """Write scores as `table3.load_scores` returns them: metrics are sAUC times 1, 2, 3 ... in table order."""
    made = []
    for model, seeds in sauc.items():
        for seed, values in seeds.items():
            for image, value in zip("abcd", values, strict=False):
                scores = {name: value * factor for factor, name in enumerate(STILL_METRICS, 1)}
                if model == "uniform":
                    scores |= {"nss": NAN, "cc": NAN, "salicon_cc": NAN}
                reason = "no fixation" if np.isnan(value) else ""
                made.append(
                    {"frame": 0, **scores, "skipped": reason, "model": model, "seed": seed, "video": image}
                )
    return pd.DataFrame(made)


FACTOR = {name: factor for factor, name in enumerate(STILL_METRICS, 1)}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return table3.table(rows(), ORDER, "osie", CONFIG, PAPER, ["gbvs"])


def test_the_seven_printed_rows():
    """As the paper prints them, spelling included; all but its own come from the leaderboard."""
    printed = PAPER[["label", "auc", "sauc", "cc"]].to_numpy().tolist()
    assert printed == [
        ["Early Fusion", 0.84, 0.73, 0.59],
        ["Deep Conv", 0.85, 0.72, 0.62],
        ["Shallow Conv", 0.83, 0.66, 0.59],
        ["Rare 2012 Improved", 0.81, 0.66, 0.51],
        ["Xindian", 0.80, 0.68, 0.48],
        ["GBVS", 0.78, 0.63, 0.42],
        ["Itti", 0.66, 0.61, 0.20],
    ]
    assert PAPER["source"].tolist() == ["the paper's own"] + ["leaderboard"] * 6


def test_columns(table):
    columns = ["dataset", "model", "kind", "seeds", "n_videos", "n_images", "n_frames", "n_skipped"]
    columns += [name + end for name in STILL_METRICS for end in ("", "_lo", "_hi")]
    assert list(table.columns) == [*columns, "paper_auc", "paper_sauc", "paper_cc", "paper_comparable"]


def test_measured_rows_by_hand(table):
    """Seeds first, then images; the image that nobody saw counts for none."""
    measured = table.set_index("model").loc[ORDER]
    assert measured["kind"].tolist() == ["net", "baseline", "floor"]
    assert measured["seeds"].tolist() == [2, 1, 1]
    for name in ("n_videos", "n_images", "n_frames"):
        assert measured[name].tolist() == [3, 3, 3]
    assert measured["n_skipped"].tolist() == [1, 1, 1]
    for name, factor in FACTOR.items():
        expected = [0.7 * factor, 0.6 * factor, 0.5 * factor]
        if name in ("nss", "cc", "salicon_cc"):
            expected[2] = NAN
        np.testing.assert_allclose(measured[name].astype(float), expected, err_msg=name)
    assert measured.loc["early", "sauc_lo"] == pytest.approx(0.5 * FACTOR["sauc"])  # three times c
    assert measured.loc["early", "sauc_hi"] == pytest.approx(0.8 * FACTOR["sauc"])


def test_rows_that_are_only_quoted(table):
    """Those printed but not run, in the paper's order, with nothing of ours."""
    quoted = table.iloc[len(ORDER) :]
    assert quoted["model"].tolist() == ["deep", "shallow", "rare2012_improved", "xidian", "itti"]
    assert set(quoted["kind"]) == {"quoted"}
    assert quoted[[*STILL_METRICS, "seeds", "n_images", "n_skipped"]].isna().all(axis=None)
    assert quoted["paper_sauc"].tolist() == [0.72, 0.66, 0.66, 0.68, 0.61]


def test_the_papers_figures_are_never_comparable(table):
    for dataset in ("osie", "salicon", "demo_stills"):
        found = table3.table(rows(), ORDER, dataset, CONFIG, PAPER)
        assert not found["paper_comparable"].any()
    printed = table.set_index("model")[["paper_auc", "paper_sauc", "paper_cc"]]
    assert printed.loc["gbvs"].tolist() == [0.78, 0.63, 0.42]
    assert printed.loc["uniform"].isna().all()


def test_counts_stay_whole_numbers_in_the_file(table):
    """Beside the empty cells of quoted rows, too."""
    lines = table.to_csv(index=False, float_format="%.6f").splitlines()
    assert lines[1].startswith("osie,early,net,2,3,3,3,1,")
    assert lines[-1].startswith("osie,itti,quoted,,,,,,,")


def test_differences_and_images():
    found = table3.differences(rows(), ORDER, CONFIG).set_index(["metric", "model", "reference"])
    assert found.loc[("sauc", "gbvs", "early"), "difference"] == pytest.approx(-0.1 * FACTOR["sauc"])
    assert found.loc[("sauc", "gbvs", "early"), "n_images"] == 3
    assert len(found) == 3 * len(STILL_METRICS)
    images = table3.per_image(rows(), ORDER)
    assert list(images.columns) == ["model", "seed", "image", *STILL_METRICS]
    assert images["image"].tolist() == list("abc") * 4
    assert images.loc[images["seed"] == 1, "auc_borji"].tolist() == [0.7, 0.9, 0.4]


# --- the ablation ---


def test_ablation_by_hand():
    scores = rows(
        {
            "early": {0: [0.9, 0.7], 1: [0.7, 0.7]},
            "early_no_motion": {0: [0.7, 0.7], 1: [0.7, 0.5]},
        }
    )
    found = table3.ablation(scores, CONFIG).set_index("metric")
    assert list(found.index) == list(STILL_METRICS)
    row, factor = found.loc["sauc"], FACTOR["sauc"]
    assert (row["model"], row["reference"], row["part"]) == ("early", "early_no_motion", "predicted motion")
    assert row["difference"] == pytest.approx(0.1 * factor)
    assert (row["lo"], row["hi"]) == pytest.approx((0.1 * factor, 0.1 * factor))  # both images gain .1
    # Seed 0 gains .2 and 0, seed 1 gains 0 and .2: with both resampled anything between is possible.
    assert (row["seeds_lo"], row["seeds_hi"]) == pytest.approx((0, 0.2 * factor))
    assert (row["n_images"], row["n_seeds"]) == (2, 2)


def test_ablation_agrees_with_the_differences():
    rng = np.random.default_rng(0)
    names = ["early", *table3.ABLATIONS]
    scores = rows({name: {seed: rng.random(4).tolist() for seed in (0, 1, 2)} for name in names})
    found = table3.ablation(scores, CONFIG).set_index(["metric", "reference"])
    pairs = table3.differences(scores, names, CONFIG).set_index(["metric", "model", "reference"])
    assert len(found) == 3 * len(STILL_METRICS)
    for (metric, reference), row in found.iterrows():
        other = pairs.loc[(metric, reference, "early")]
        assert row["difference"] == pytest.approx(-other["difference"])
        assert (row["lo"], row["hi"]) == pytest.approx((-other["hi"], -other["lo"]))
        assert row["seeds_lo"] <= row["difference"] <= row["seeds_hi"]


def test_ablation_over_seeds_covers_what_seeds_do():
    """Equal gains on every image, but of either sign by the seed: images alone cannot see that."""
    still = {seed: [0.5] * 4 for seed in (0, 1)}
    found = table3.ablation(rows({"early": {0: [0.6] * 4, 1: [0.5] * 4}, "spatial": still}), CONFIG)
    row = found.set_index("metric").loc["sauc"]
    factor = FACTOR["sauc"]
    assert (row["lo"], row["hi"]) == pytest.approx((0.05 * factor, 0.05 * factor))
    assert (row["seeds_lo"], row["seeds_hi"]) == pytest.approx((0, 0.1 * factor))


def test_ablation_without_shared_seeds_or_without_rows():
    one = {"early": {0: [0.6, 0.7]}, "spatial": {0: [0.5, 0.5]}}
    found = table3.ablation(rows(one), CONFIG)
    assert found[["seeds_lo", "seeds_hi"]].isna().all(axis=None)
    assert set(found["n_seeds"]) == {1}
    assert table3.ablation(rows({"gbvs": {0: [0.5, 0.6]}}), CONFIG).empty
    assert table3.ablation(rows({"early": {0: [0.5, 0.6]}}), CONFIG).empty
    assert table3.verdicts(table3.ablation(rows({"early": {0: [0.5, 0.6]}}), CONFIG)) == {}


def judged(sauc, cc, nss, over_seeds=None) -> str:
    """Return the verdict on given intervals; ``over_seeds`` are those of sAUC with the seeds resampled."""
    found = pd.DataFrame(
        [
            {
                "part": "predicted motion",
                "metric": metric,
                "difference": sum(interval) / 2,
                "lo": interval[0],
                "hi": interval[1],
                "seeds_lo": over_seeds[0] if over_seeds and metric == "sauc" else NAN,
                "seeds_hi": over_seeds[1] if over_seeds and metric == "sauc" else NAN,
            }
            for metric, interval in {"sauc": sauc, "cc": cc, "nss": nss}.items()
        ]
    )
    return table3.verdicts(found)["predicted motion"].split(" (")[0]


UP, DOWN, AROUND = (0.01, 0.03), (-0.03, -0.01), (-0.01, 0.03)


@pytest.mark.parametrize(
    ("sauc", "cc", "nss", "said"),
    [
        (AROUND, AROUND, AROUND, "no measurable gain"),
        (UP, AROUND, AROUND, "a gain in sAUC"),
        (UP, UP, UP, "a gain in sAUC, CC, NSS"),
        (UP, DOWN, UP, "a gain in sAUC, NSS, but a loss in CC"),
        (DOWN, AROUND, DOWN, "a loss in sAUC, NSS"),
        (DOWN, UP, AROUND, "a loss in sAUC, but a gain in CC"),
        (AROUND, UP, DOWN, "no measurable gain in sAUC, but a gain in CC, a loss in NSS"),
        ((0.0, 0.02), AROUND, AROUND, "no measurable gain"),
    ],
)
def test_verdicts(sauc, cc, nss, said):
    """An interval that touches 0 decides nothing."""
    assert judged(sauc, cc, nss) == said


def test_the_interval_over_seeds_decides_where_there_is_one():
    assert judged(UP, AROUND, AROUND, over_seeds=AROUND) == "no measurable gain"
    assert judged(AROUND, AROUND, AROUND, over_seeds=UP) == "a gain in sAUC"


def test_verdicts_give_their_figures():
    scores = rows({"early": {0: [0.52, 0.54]}, "early_no_motion": {0: [0.5, 0.5]}})
    sauc, cc = 0.03 * FACTOR["sauc"], 0.03 * FACTOR["cc"]
    said = table3.verdicts(table3.ablation(scores, CONFIG))["predicted motion"]
    assert said.startswith("a gain in sAUC, CC, NSS (sAUC ")
    assert f"sAUC {sauc:+.3f} [+0.060, +0.120]" in said
    assert f"CC {cc:+.3f} [" in said


# --- for people ---


def markdown(text: str) -> list[dict[str, str]]:
    """Read a Markdown table."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    head = [cell.strip() for cell in lines[0]]
    return [dict(zip(head, (cell.strip() for cell in line), strict=True)) for line in lines[2:]]


def test_markdown_has_what_the_table_has(table):
    text = tables.render(table, {}, table3.FORM)
    shown = {row["model"]: row for row in markdown(text)}
    assert list(shown) == table["model"].tolist()
    assert "nan" not in text.lower()
    assert "<NA>" not in text
    assert shown["early"]["images"] == "3"
    assert shown["early"]["seeds"] == "2"
    assert shown["xidian"]["images"] == shown["xidian"]["sAUC ↑"] == "-"
    assert shown["uniform"]["CC ↑"] == "-"
    assert shown["uniform"]["KLD ↓"] == f"{0.5 * FACTOR['kld']:.3f}"
    low, mean, high = (value * FACTOR["sauc"] for value in (0.5, 0.7, 0.8))
    assert shown["early"]["sAUC ↑"] == f"{mean:.3f} [{low:.3f}, {high:.3f}]"
    assert shown["xidian"][table3.FORM.heading] == "0.80 / 0.68 / 0.48"
    assert shown["uniform"][table3.FORM.heading] == ""


def test_notes_say_what_the_numbers_mean(table):
    said = {"predicted motion": "no measurable gain"}
    found = notes(SETTING, table, rows(), said)
    assert "eye tracking" in found["data set"]
    assert found["images"].startswith("3, each counted once")
    assert "160x120" in found["images"]
    assert "50 images at most of each shard" in found["sAUC"]
    assert found["density"].startswith("Gaussian, sigma 1 degree")
    assert "4.75 pixels (19 at width 640)" in found["SALICON's code"]
    assert "off" in found["SALICON's code"]
    assert found["skipped images"] == '{"no fixation": 1}'
    assert found["quoted rows"].startswith("deep, shallow, rare2012_improved, xidian, itti:")
    assert found["predicted motion"] == "no measurable gain"
    assert "clear of 0" in found["verdicts"]
    assert found["seeds"].startswith("standard deviation of sAUC over seeds: early ")
    assert "gbvs" not in found["seeds"]  # one seed has no spread


@pytest.mark.parametrize(
    ("dataset", "word"), [("demo_stills", "synthetic"), ("salicon", "mouse"), ("salicon2017", "mouse")]
)
def test_notes_name_the_kind_of_gaze(table, dataset, word):
    found = notes(Setting(dataset, (160, 120), 1.0, 50, CONFIG), table, rows(), {})
    assert word in found["data set"]
    assert ("keeps m - 1" in found["SALICON's code"]) == (word == "mouse")
    assert "verdicts" not in found


# --- files ---


def write(results: Path, sauc=SAUC) -> None:
    for (model, seed), scores in rows(sauc).groupby(["model", "seed"]):
        scores = scores.assign(image=scores["video"], n_fixations=3).drop(columns=["model", "seed", "video"])
        for shard, part in (("test_00", scores[:2]), ("test_01", scores[2:])):
            path = results / "scores" / model / f"seed{seed}" / f"{shard}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            part.assign(frame=range(2)).to_parquet(path)


def test_scores_come_back_from_their_files(tmp_path, table):
    """Images of both shards, each a sample of its own, though each shard counts from 0."""
    write(tmp_path)
    runs = {model: sorted(seeds) for model, seeds in SAUC.items()}
    scores = table3.load_scores(tmp_path, runs, ["test_00", "test_01"])
    again = table3.table(scores, ORDER, "osie", CONFIG, pd.read_csv(PAPER_FILE), ["gbvs"])
    pd.testing.assert_frame_equal(again, table)


@pytest.mark.parametrize("column", ["image", "salicon_cc"])
def test_a_score_file_without_a_column_is_named(tmp_path, column):
    write(tmp_path)
    path = tmp_path / "scores/gbvs/seed0/test_01.parquet"
    pd.read_parquet(path).drop(columns=column).to_parquet(path)
    with pytest.raises(DataError, match=rf"test_01\.parquet: not a score file \(lacks {column}\)"):
        table3.load_scores(tmp_path, {"gbvs": [0]}, ["test_00", "test_01"])


def test_two_images_of_one_name_are_refused(tmp_path):
    write(tmp_path)
    path = tmp_path / "scores/gbvs/seed0/test_01.parquet"
    pd.read_parquet(path).assign(image=["a", "d"]).to_parquet(path)
    scores = table3.load_scores(tmp_path, {"gbvs": [0]}, ["test_00", "test_01"])
    with pytest.raises(ValueError, match="repeat a combination of model, seed, video, frame"):
        table3.table(scores, ["gbvs"], "osie", CONFIG, PAPER)
