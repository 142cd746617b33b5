"""``dynsal score``: maps against a table of gaze, checked against other people's code."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

from dynsal.cli import main
from dynsal.errors import DataError
from dynsal.maps import write_maps
from dynsal.scoring import read_points

WIDTH, HEIGHT, FRAMES = 64, 48, 6


@pytest.fixture
def data(tmp_path):
    """Random smooth maps and whole-pixel fixations, five a frame; frame 4 has none, frame 5 has no map."""
    rng = np.random.default_rng(3)
    maps = {i: gaussian_filter(rng.random((HEIGHT, WIDTH)), 4).astype(np.float32) for i in range(FRAMES - 1)}
    write_maps(tmp_path / "maps.h5", maps.items())
    frames = np.repeat([0, 1, 2, 3, 5], 5)
    table = pd.DataFrame(
        {"frame": frames, "x": rng.integers(0, WIDTH, 25), "y": rng.integers(0, HEIGHT, 25), "subject": "a"}
    )
    table.to_csv(tmp_path / "gaze.csv", index=False)
    return tmp_path, maps, table


def run(capsys, folder, *words):
    code = main(
        ["score", "--maps", str(folder / "maps.h5"), "--gaze", str(folder / "gaze.csv"), *map(str, words)]
    )
    assert code == 0
    return pd.read_csv(io.StringIO(capsys.readouterr().out)).set_index("metric")


def test_against_independent_code(data, capsys):
    """AUC by scikit-learn; chi-square and CC by their formulas over a density built pixel by pixel."""
    folder, maps, table = data
    found = run(capsys, folder, "--sigma", 5)
    expected = {name: [] for name in ("sauc", "chi2", "cc", "nss")}
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    for frame in range(4):
        own, others = table[table["frame"] == frame], table[table["frame"] != frame]
        saliency = maps[frame].astype(np.float64)
        values = [saliency[part["y"], part["x"]] for part in (own, others)]
        truth = np.concatenate([np.ones(len(values[0])), np.zeros(len(values[1]))])
        expected["sauc"].append(roc_auc_score(truth, np.concatenate(values)))
        density = sum(
            np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 50)
            for x, y in zip(own["x"], own["y"], strict=True)
        )
        p, q = saliency / saliency.sum(), density / density.sum()
        expected["chi2"].append(0.5 * ((p - q) ** 2 / (p + q)).sum())
        expected["cc"].append(np.corrcoef(p.ravel(), q.ravel())[0, 1])
        expected["nss"].append(((saliency - saliency.mean()) / saliency.std())[own["y"], own["x"]].mean())
    for name, values in expected.items():
        assert found.loc[name, "mean"] == pytest.approx(np.mean(values), abs=2e-6), name
    assert (found["n_frames"] == 4).all()
    assert (found["n_skipped"] == 1).all()
    assert "sigma 5 x 5 px" in found.loc["chi2", "definition"]
    assert "all other frames of this video" in found.loc["sauc", "definition"]


def test_other_videos_are_the_negatives(data, capsys):
    """Of a table with several videos, or of a second one; the same either way, and named in the definition."""
    folder, _, table = data
    rng = np.random.default_rng(5)
    other = pd.DataFrame({"frame": 0, "x": rng.integers(0, WIDTH, 40), "y": rng.integers(0, HEIGHT, 40)})
    other[["x", "y"]].to_csv(folder / "other.csv", index=False)
    apart = run(capsys, folder, "--metrics", "sauc,sauc_same_video", "--negatives", folder / "other.csv")
    both = pd.concat([table.assign(video="a"), other.assign(video="b")])
    both.to_csv(folder / "gaze.csv", index=False)
    together = run(capsys, folder, "--metrics", "sauc,sauc_same_video", "--video", "a")
    pd.testing.assert_frame_equal(apart, together)
    assert "40 fixations of other videos" in apart.loc["sauc", "definition"]
    assert apart.loc["sauc", "mean"] != apart.loc["sauc_same_video", "mean"]


@pytest.mark.parametrize("names", ["sauc", "sauc,chi2,nss", "chi2", "kld,sauc_same_video"])
def test_any_choice_of_metrics_gives_what_all_give(data, capsys, names):
    """No metric depends on another one being asked for."""
    folder, _, _ = data
    every, some = run(capsys, folder), run(capsys, folder, "--metrics", names)
    assert some.index.tolist() == names.split(",")
    pd.testing.assert_frame_equal(some, every.loc[some.index])
    assert some["mean"].notna().all()


def test_blank_maps_are_told(data, capsys, caplog):
    """They cannot be normalised: scored as uniform, and said so."""
    folder, maps, _ = data
    write_maps(folder / "maps.h5", {**maps, 1: np.zeros((HEIGHT, WIDTH))}.items())
    run(capsys, folder, "--per-frame", folder / "f.csv")
    assert "1 maps are zero everywhere" in caplog.text
    assert pd.read_csv(folder / "f.csv").loc[1, "sauc"] == 0.5


def test_other_pixels(data, capsys):
    """Gaze in pixels of twice the size, at the same places."""
    folder, _, table = data
    plain = run(capsys, folder)
    table.assign(x=2 * table["x"] + 0.5, y=2 * table["y"] + 0.5).to_csv(folder / "gaze.csv", index=False)
    scaled = run(capsys, folder, "--gaze-size", f"{2 * WIDTH}x{2 * HEIGHT}")
    np.testing.assert_allclose(scaled["mean"], plain["mean"], atol=1e-6)


def test_files_of_results(data, capsys):
    folder, _, _ = data
    shown = run(
        capsys, folder, "--metrics", "nss", "--out", folder / "t.csv", "--per-frame", folder / "f.csv"
    )
    pd.testing.assert_frame_equal(pd.read_csv(folder / "t.csv").set_index("metric"), shown)
    frames = pd.read_csv(folder / "f.csv")
    assert frames.columns.tolist() == ["frame", "n_fixations", "nss", "skipped"]
    assert frames["nss"].mean() == pytest.approx(shown.loc["nss", "mean"], abs=1e-6)
    assert frames.loc[4, "skipped"] == "no fixation"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "cannot be read as a table"),
        ("frame,x\n1,2\n", r"lacks the column\(s\) y"),
        ("frame,x,y\n0,1,1\n1,NaN,2\n", r"gaze\.csv:3: x is nan"),
        ("frame,x,y\n0,1,abc\n", r"gaze\.csv:2: y is abc"),
        ("frame,x,y\n0.5,1,1\n", r"gaze\.csv:2: frame is 0\.5"),
    ],
)
def test_bad_tables(tmp_path, text, problem):
    path = tmp_path / "gaze.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=problem):
        read_points(path)


def test_bad_calls_end_with_a_line(data, caplog):
    """Exit status 1 and one message: what is wrong, and what to do."""
    folder, _, table = data
    base = ["score", "--maps", str(folder / "maps.h5"), "--gaze", str(folder / "gaze.csv")]
    for words, problem in (
        (["--metrics", "auc"], "unknown: auc"),
        (["--sigma", "wide"], "'wide' is not one or two positive numbers"),
        (["--video", "x", "--gaze-size", "0x3"], "not one or two positive numbers"),
    ):
        caplog.clear()
        assert main([*base, *words]) == 1
        assert problem in caplog.text
    table.assign(frame=77).to_csv(folder / "gaze.csv", index=False)
    assert main(base) == 1
    assert "no fixation belongs to any of its frames" in caplog.text
