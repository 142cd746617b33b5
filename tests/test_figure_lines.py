"""Pictures of tables, histories and curves: every number in its place."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgba

from dynsal.figures import label, save
from dynsal.figures.series import curves, line_styles, over_time, roc, smooth
from dynsal.figures.speed import speed
from dynsal.figures.style import WIDTH
from dynsal.figures.summaries import agreement, per_video, scores

NAN = float("nan")


def history(steps=20, validated=True) -> pd.DataFrame:
    step = np.arange(1, steps + 1)
    val = np.where(step % 5 == 0, 2.0 / step, NAN) if validated else np.full(steps, NAN)
    return pd.DataFrame({"step": step, "loss": 1.0 / step, "val_loss": val})


TABLE = pd.DataFrame(
    {
        "model": ["early", "human", "uniform"],
        "kind": ["net", "ceiling", "floor"],
        "sauc": [0.8, 0.9, 0.5],
        "sauc_lo": [0.7, 0.85, 0.5],
        "sauc_hi": [0.85, 0.95, 0.5],
        "chi2": [0.2, NAN, 0.4],
        "chi2_lo": [0.1, NAN, 0.3],
        "chi2_hi": [0.3, NAN, 0.5],
    }
)
PER_VIDEO = pd.DataFrame(
    {
        "model": ["early"] * 2 + ["human"] * 2 + ["uniform"] * 2 + ["dropped"],
        "sauc": [0.7, 0.9, 0.85, 0.95, 0.5, 0.5, 0.1],
        "chi2": [0.1, 0.3, NAN, NAN, 0.3, 0.5, 0.9],
    }
)


def writings(axis) -> dict[str, tuple[float, float]]:
    return {text.get_text(): text.get_position() for text in axis.texts}


# Learning curves


def test_curves_have_a_panel_per_model_and_a_line_per_seed():
    histories = {f"{m}/seed{s}": history(validated=m == "late") for m in ("early", "late") for s in range(3)}
    axes = curves(histories).axes
    assert [axis.get_title() for axis in axes] == ["Early fusion", "Late fusion"]
    assert [len(axis.lines) for axis in axes] == [3, 6]
    np.testing.assert_array_equal(axes[0].lines[0].get_xydata(), history()[["step", "loss"]])
    np.testing.assert_allclose(axes[1].lines[1].get_xydata(), [[5, 0.4], [10, 0.2], [15, 2 / 15], [20, 0.1]])
    assert [text.get_text() for text in axes[-1].get_legend().get_texts()] == ["training", "validation"]


def test_many_models_have_rows_of_curves():
    axes = curves({f"net{number}/seed0": history() for number in range(7)}).axes
    assert [axis.get_title() for axis in axes] == [*(f"net{number}" for number in range(7)), "", "", ""]


# Scores of a table


def test_scores_draw_every_row():
    """Point and interval of each row at the height of its label, in the order of the table; NaN is told."""
    axes = scores(TABLE, PER_VIDEO).axes
    names = [tick.get_text() for tick in axes[0].get_yticklabels()]
    heights = dict(zip(names, axes[0].get_yticks().tolist(), strict=True))
    assert heights == {"Early fusion": 2, "Human halves": 1, "Uniform": 0}
    assert [axis.get_xlabel() for axis in axes] == ["sAUC (higher is better)", "chi-square (lower is better)"]
    dots, *lines = axes[0].lines
    assert sorted(dots.get_xdata().tolist()) == [0.5, 0.5, 0.7, 0.85, 0.9, 0.95]
    for row, (interval, point) in zip(
        TABLE.itertuples(), zip(lines[::2], lines[1::2], strict=True), strict=True
    ):
        height = heights[label(row.model)]
        np.testing.assert_array_equal(interval.get_xydata(), [[row.sauc_lo, height], [row.sauc_hi, height]])
        np.testing.assert_array_equal(point.get_xydata(), [[row.sauc, height]])
    assert len({to_hex(point.get_color()) for point in lines[1::2]}) == 3
    assert [(text.get_text(), text.get_position()[1]) for text in axes[1].texts] == [("no value", 1)]
    assert not axes[0].texts


def test_scores_of_one_video_have_no_interval(tmp_path):
    """And are drawn without a warning."""
    bare = TABLE.assign(**dict.fromkeys(["sauc_lo", "sauc_hi", "chi2_lo", "chi2_hi"], NAN))
    save(scores(bare, PER_VIDEO), [tmp_path / "x.png"])
    assert (tmp_path / "x.png").stat().st_size > 1000


# Over time


def test_smooth_by_hand():
    """The mean of what is known within the window, shorter at the ends."""
    found = smooth(pd.Series([1.0, 2.0, NAN, 6.0, NAN, NAN, NAN]), 3)
    np.testing.assert_allclose(found, [1.5, 1.5, 4, 6, 6, NAN, NAN])


def test_over_time_draws_every_model_in_every_panel():
    frames = np.arange(10)
    table = pd.concat(
        pd.DataFrame({"model": name, "frame": frames[::-1], "sauc": value + frames[::-1] / 100})
        for name, value in (("early", 0.6), ("human", 0.8))
    )
    figure = over_time({"best: one": table, "worst: two": table[table["frame"] > 4]}, 1, "A note.")
    first, second = figure.axes
    assert [axis.get_title(loc="left") for axis in (first, second)] == ["best: one", "worst: two"]
    for line, value in zip(first.lines, (0.6, 0.8), strict=False):
        np.testing.assert_allclose(line.get_xydata(), np.column_stack([frames, value + frames / 100]))
    assert second.lines[0].get_xdata().tolist() == [5, 6, 7, 8, 9]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Early fusion", "Human halves"]
    assert first.get_ylim() == second.get_ylim()


def test_no_two_lines_look_alike():
    """Of 18 models, floors and ceilings; these are not solid."""
    names = [*(f"net{number}" for number in range(18)), "human", "oracle", "centre", "mean_map", "uniform"]
    styles = line_styles(names)
    looks = [(to_rgba(style["color"]), str(style["ls"])) for style in styles.values()]
    assert len(set(looks)) == len(names)
    assert "-" not in [styles[name]["ls"] for name in names[18:]]


# ROC


def test_roc_curves_are_told_by_their_area():
    grid = np.linspace(0, 1, 5)
    found = {"spatial": grid**0.5, "early": grid**0.25, "centre": grid}
    figure = roc(found, grid, {"spatial": 0.6667, "early": 0.8, "centre": 0.5}, "A note.")
    entries = [text.get_text().split() for text in figure.legends[0].get_texts()]
    assert [(words[0], words[-1]) for words in entries] == [
        ("Early", "0.800"),
        ("Spatial", "0.667"),
        ("Centre", "0.500"),
    ]
    drawn = [line.get_xydata() for line in figure.axes[0].lines]
    for name, line in zip(("early", "spatial", "centre"), drawn[1:], strict=True):
        np.testing.assert_allclose(line, np.column_stack([grid, found[name]]))


# Every video


def test_per_video_writes_every_number():
    """The mean over seeds in the cell of its video and model, videos from the best to the worst; boxes above."""
    rows = [("late", 0, "hard_1x1", 0.5), ("late", 1, "hard_1x1", 0.6), ("late", 0, "easy_1x1", 0.9), ("late", 1, "easy_1x1", 0.9),
            ("human", 0, "hard_1x1", 0.7), ("human", 0, "easy_1x1", NAN)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["model", "seed", "video", "sauc"])
    boxes, cells = per_video(table).axes
    assert writings(cells) == {"0.90": (0, 0), "0.55": (0, 1), "0.70": (1, 1)}
    assert [tick.get_text() for tick in cells.get_yticklabels()] == ["easy", "hard"]
    assert [tick.get_text() for tick in cells.get_xticklabels()] == ["Late fusion", "Human halves"]
    dots = [line for line in boxes.lines if line.get_marker() == "."]
    assert sorted(dots[0].get_ydata()) == pytest.approx([0.55, 0.9])
    assert dots[1].get_xydata().tolist() == [[1, 0.7]]


def test_numbers_can_be_read_on_their_cells():
    """White on dark and black on bright, whichever end is better."""
    models = pd.DataFrame(
        {"model": "early", "video": list("abc"), "sauc": [0.1, 0.5, 0.9], "kld": [0.1, 0.5, 0.9]}
    )
    for metric in ("sauc", "kld"):
        _, cells = per_video(models, metric).axes
        shown = cells.images[0]
        for text in cells.texts:
            column, row = text.get_position()
            shade = np.dot(
                shown.cmap(shown.norm(shown.get_array()[int(row), int(column)]))[:3], [0.3, 0.59, 0.11]
            )
            assert (text.get_color() == "white") == (shade < 0.5)


# Speed


POINTS = pd.DataFrame(
    [
        ("spatial", "net", 0.6, 0.5, 0.7, 90.0, 90.0),
        ("early", "net", 0.65, 0.6, 0.7, 60.0, 20.0),
        ("gbvs", "baseline", 0.62, 0.5, 0.7, 3.0, 3.0),
    ],
    columns=["model", "kind", "sauc", "sauc_lo", "sauc_hi", "fps", "fps_all"],
)
FLOORS = pd.DataFrame({"model": ["human", "centre"], "sauc": [0.8, 0.5]})


def test_speed_draws_every_model():
    """Filled at its speed with flow; open, and joined to that, at the speed without; floors as lines."""
    (axis,) = speed(POINTS, FLOORS, "One core of something.").axes
    assert axis.get_xscale() == "log"
    marks = {
        (float(line.get_xdata()[0]), float(line.get_ydata()[0])): line
        for line in axis.lines
        if line.get_marker() != "None"
    }
    assert set(marks) == {(90, 0.6), (20, 0.65), (60, 0.65), (3, 0.62)}
    assert marks[60, 0.65].get_markerfacecolor() == "white"
    assert marks[20, 0.65].get_markerfacecolor() != "white"
    assert marks[3, 0.62].get_marker() != marks[90, 0.6].get_marker()
    assert {text.get_text().strip() for text in axis.texts} == {
        "Spatial",
        "Early fusion",
        "GBVS",
        "Human halves",
        "Centre",
    }


def test_names_of_equally_good_and_fast_models_are_apart():
    crowd = pd.concat([POINTS.iloc[[0]]] * 4, ignore_index=True)
    crowd["model"] = ["spatial", "early", "late", "temporal"]
    crowd["fps"] = crowd["fps_all"] = [90.0, 91.0, 92.0, 93.0]
    figure = speed(crowd, FLOORS, "x")
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


# Agreement


def test_agreement_writes_every_correlation():
    names = ["sauc", "chi2"]
    pooled = pd.DataFrame([[1, -0.25], [-0.25, 1]], names, names)
    within = pd.DataFrame([[1, 0.5], [0.5, NAN]], names, names)
    left, right, _ = agreement(pooled, within, "A note.").axes
    assert writings(left) == {"1.00": (1, 1), "-0.25": (0, 1)}  # of equal words the last one's place
    assert [text.get_text() for text in right.texts] == ["1.00", "0.50", "0.50"]
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["sAUC", "chi-square"]


# Room


@pytest.mark.parametrize(
    "figure",
    [
        lambda: curves({f"net{number}/seed0": history() for number in range(5)}),
        lambda: scores(TABLE, PER_VIDEO),
        lambda: per_video(
            PER_VIDEO.iloc[:-1].assign(video=["advert_bbc4_library_of_the_world_1x1", "b"] * 3)
        ),
        lambda: speed(POINTS, FLOORS, "A note that is long. " * 20),
        lambda: roc(
            {"early": np.linspace(0, 1, 9)},
            np.linspace(0, 1, 9),
            {"early": 0.5},
            "A note that is long. " * 20,
        ),
    ],
    ids=["curves", "scores", "per_video", "speed", "roc"],
)
def test_fits_a_page(figure, tmp_path):
    """No wider than a page, every word within the picture, and the same bytes each time."""
    drawn = figure()
    drawn.draw_without_rendering()
    assert drawn.get_size_inches()[0] <= WIDTH + 1e-6
    box = drawn.get_tightbbox()
    assert box.x0 >= -0.02
    assert box.x1 <= drawn.get_size_inches()[0] + 0.02
    for number, again in enumerate((figure(), figure())):
        save(again, [tmp_path / f"{number}.png"])
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()
