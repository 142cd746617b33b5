"""Pictures: the right content in the right place, the same bytes every time."""

from __future__ import annotations

import colorsys
import itertools
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from dynsal import figures
from dynsal.figures import Example, colour_wheel, flow_colours, overlay

SIZE = (40, 30)
NAN = float("nan")


def example(
    models=("spatial", "early"), size=SIZE, score=0.75, title="best: demo_pan_05\nframe 3"
) -> Example:
    rng = np.random.default_rng(0)
    shape = size[::-1]
    return Example(
        title=title,
        bgr=rng.integers(0, 255, (*shape, 3), np.uint8),
        flow=rng.normal(0, 1, (*shape, 2)),
        points=rng.uniform(0, 1, (7, 2)) * (np.array(size) - 1),
        truth=rng.random(shape),
        maps={model: rng.random(shape) for model in models},
        scores=dict.fromkeys(models, score),
    )


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


def drawings() -> dict[str, Figure]:
    return {
        "overview": figures.overview([example(), example()], 1.0),
        "curves": figures.curves({"early/seed0": history(), "late/seed0": history()}),
        "scores": figures.scores(TABLE, PER_VIDEO),
    }


# Files


@pytest.mark.parametrize("name", ["overview", "curves", "scores"])
def test_saved_twice_same_bytes(tmp_path, name):
    """Drawn anew each time, as png, pdf and svg, without a date."""
    for run in ("one", "two"):
        figures.save(drawings()[name], [tmp_path / run / f"x.{kind}" for kind in ("png", "pdf", "svg")])
    for kind, start in (("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")):
        first, second = ((tmp_path / run / f"x.{kind}").read_bytes() for run in ("one", "two"))
        assert first.startswith(start)
        assert first == second, kind
    assert b"CreationDate" not in (tmp_path / "one" / "x.pdf").read_bytes()
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["x.pdf", "x.png", "x.svg"]


def test_text_in_a_pdf_stays_text(tmp_path):
    """TrueType, not Type 3: journals refuse the latter."""
    figures.save(drawings()["scores"], [tmp_path / "x.pdf"])
    content = (tmp_path / "x.pdf").read_bytes()
    assert b"/Type3" not in content
    assert b"/FontFile2" in content


def test_a_failed_drawing_leaves_the_old_picture(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"old")

    class Broken(Figure):
        def savefig(self, fname, **_):
            Path(fname).write_bytes(b"half")
            raise RuntimeError("no ink")

    with pytest.raises(RuntimeError, match="no ink"):
        figures.save(Broken(), [path])
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_can_be_read_back(tmp_path):
    figures.save(drawings()["overview"], [tmp_path / "x.png"])
    image = cv2.imread(str(tmp_path / "x.png"))
    assert image.shape[1] > 500
    assert image.std() > 20


def test_drawing_leaves_no_style_behind():
    before = dict(mpl.rcParams)
    drawings()
    assert dict(mpl.rcParams) == before


# Colours


def colours(u: float, v: float, bound: float = 4.0) -> tuple[float, float, float]:
    return tuple(flow_colours(np.array([[[u, v]]]), bound)[0, 0].tolist())


def test_golden_colours_of_flow():
    """White at rest; red to the right, cyan to the left, and y runs down."""
    assert colours(0, 0) == (1, 1, 1)
    assert colours(4, 0) == pytest.approx((1, 0, 0))
    assert colours(-4, 0) == pytest.approx((0, 1, 1))
    assert colours(0, 4) == pytest.approx((0.5, 1, 0))
    assert colours(0, -4) == pytest.approx((0.5, 0, 1))
    assert colours(2, 0) == pytest.approx((1, 0.5, 0.5))
    assert colours(400, 0) == colours(4, 0)


@given(st.floats(0, 2 * np.pi), st.floats(0.01, 20))
@settings(max_examples=100, deadline=None)
def test_hue_is_direction_and_saturation_magnitude(angle, length):
    """Against the standard library's conversion, back."""
    hue, saturation, value = colorsys.rgb_to_hsv(*colours(length * np.cos(angle), length * np.sin(angle)))
    turn = abs(hue - angle / (2 * np.pi)) % 1
    assert min(turn, 1 - turn) < 1e-6
    assert saturation == pytest.approx(min(length / 4, 1), abs=1e-9)
    assert value == pytest.approx(1)


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_faster_is_never_paler(u, v, slower):
    assert min(colours(u, v)) <= min(colours(slower * u, slower * v)) + 1e-9


def test_half_precision_flow_is_coloured_like_any():
    field = np.random.default_rng(0).normal(0, 2, (5, 6, 2)).astype(np.float16)
    np.testing.assert_array_equal(flow_colours(field, 3.0), flow_colours(field.astype(np.float64), 3.0))


def test_colour_wheel():
    """The legend shows right at the right and down at the bottom, white in the middle and outside."""
    wheel = colour_wheel(65)
    assert wheel.shape == (65, 65, 3)
    for row, column, vector in (
        (32, 64, (4, 0)),
        (32, 0, (-4, 0)),
        (64, 32, (0, 4)),
        (0, 32, (0, -4)),
        (32, 32, (0, 0)),
    ):
        np.testing.assert_allclose(wheel[row, column], colours(*vector), atol=1e-9)
    for row in (0, 64):
        np.testing.assert_array_equal(wheel[row, [0, 64]], 1)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e6])
def test_overlay_shows_the_frame_where_the_map_is_low(scale):
    """In range whatever the map's scale; grey at zero, the brightest colour at the maximum."""
    one = example()
    saliency = one.truth.copy()
    saliency[0, 0], saliency[1, 1] = 0, 1.5
    found = overlay(one.bgr, saliency * scale)
    assert found.shape == (*SIZE[::-1], 3)
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_allclose(found[0, 0], 0.25 + 0.6 * one.bgr[0, 0].mean() / 255)
    np.testing.assert_allclose(found[1, 1], mpl.colormaps["inferno"](1.0)[:3])
    np.testing.assert_allclose(found, overlay(one.bgr, saliency), atol=1e-6)


def test_overlay_of_an_empty_map_is_the_frame():
    one = example()
    grey = 0.25 + 0.6 * one.bgr.mean(axis=2) / 255
    np.testing.assert_allclose(overlay(one.bgr, np.zeros(SIZE[::-1])), np.dstack([grey] * 3))


def test_the_cycle_is_colour_blind_safe():
    """Okabe and Ito's colours stay apart under simulated deuteranopia (Machado et al. 2009, severity 1)."""
    matrix = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    used = [
        [int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        for c in figures.STYLE["axes.prop_cycle"].by_key()["color"]
    ]
    linear = np.array(used) ** 2.2
    seen = np.clip(linear @ matrix.T, 0, 1) ** (1 / 2.2)
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=2)[np.triu_indices(len(seen), 1)]
    assert apart.min() > 0.12


# Content


@pytest.mark.parametrize(
    ("rows", "models"), [(1, ["early"]), (3, ["spatial", "temporal", "late", "early", "early_aug"])]
)
def test_overview_has_a_panel_for_everything(rows, models):
    figure = figures.overview([example(models)] * rows, 1.0)
    assert len(figure.axes) == rows * (3 + len(models))
    assert [axis.get_title() for axis in figure.axes[: 3 + len(models)]] == [
        "Frame", "Optical flow", "Gaze", *map(figures.label, models),
    ]  # fmt: skip
    assert [axis.get_xlabel() for axis in figure.axes[3 : 3 + len(models)]] == ["sAUC 0.75"] * len(models)
    wheels = [axis for axis in figure.axes if axis.child_axes]
    assert wheels == [figure.axes[1]]


def test_overview_shows_what_it_was_given():
    """The frame in RGB, the points where they were, and each map in its own column."""
    one = example()
    axes = figures.overview([one], 2.0).axes
    np.testing.assert_array_equal(axes[0].images[0].get_array(), one.bgr[..., ::-1])
    np.testing.assert_array_equal(axes[1].images[0].get_array(), flow_colours(one.flow, 2.0))
    np.testing.assert_array_equal(axes[2].lines[0].get_xydata(), one.points)
    for axis, name in zip(axes[3:], one.maps, strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), overlay(one.bgr, one.maps[name]))


def test_overview_without_a_score():
    axes = figures.overview([example(score=NAN)], 1.0).axes
    assert "nan" not in axes[3].get_xlabel()


@pytest.mark.parametrize("size", [(40, 30), (64, 36), (30, 30)])
@pytest.mark.parametrize("name", ["Yan", "BBC_life_in_cold_blood", "advert_bbc4_library_of_the_world"])
def test_labels_of_the_overview_do_not_overlap(size, name):
    """Neither with each other nor with the pictures, for names as long as DIEM's."""
    figure = figures.overview([example(size=size, title=f"median: {name}\nframe 123")] * 3, 1.0)
    figure.draw_without_rendering()
    first = figure.axes[:: len(figure.axes) // 3]
    boxes = [axis.yaxis.label.get_window_extent() for axis in first]
    for upper, lower in itertools.pairwise(boxes):
        assert upper.y0 > lower.y1
    for axis, box in zip(first, boxes, strict=True):
        assert box.x1 < axis.get_window_extent().x0
        assert box.x0 >= 0
    for axis in figure.axes[3:5]:
        picture = axis.get_window_extent()
        assert picture.width / picture.height == pytest.approx(size[0] / size[1], rel=0.02)
        assert axis.xaxis.label.get_window_extent().y0 > figure.axes[8].get_window_extent().y1


def test_curves_have_a_panel_per_model_and_a_line_per_seed():
    histories = {f"{m}/seed{s}": history(validated=m == "late") for m in ("early", "late") for s in range(3)}
    axes = figures.curves(histories).axes
    assert [axis.get_title() for axis in axes] == ["Early fusion", "Late fusion"]
    assert [len(axis.lines) for axis in axes] == [3, 6]
    np.testing.assert_array_equal(axes[0].lines[0].get_xydata(), history()[["step", "loss"]])
    np.testing.assert_allclose(axes[1].lines[1].get_xydata(), [[5, 0.4], [10, 0.2], [15, 2 / 15], [20, 0.1]])
    assert [text.get_text() for text in axes[-1].get_legend().get_texts()] == ["training", "validation"]


def test_scores_draw_every_row():
    """Point and interval of each row at the height of its label, in the order of the table; NaN is told."""
    axes = figures.scores(TABLE, PER_VIDEO).axes
    names = [tick.get_text() for tick in axes[0].get_yticklabels()]
    heights = dict(zip(names, axes[0].get_yticks().tolist(), strict=True))
    assert heights == {"Early fusion": 2, "Human halves": 1, "Uniform": 0}
    assert [axis.get_xlabel() for axis in axes] == ["sAUC (higher is better)", "chi-square (lower is better)"]
    dots, *lines = axes[0].lines
    assert sorted(dots.get_xdata().tolist()) == [0.5, 0.5, 0.7, 0.85, 0.9, 0.95]
    for row, (interval, point) in zip(
        TABLE.itertuples(), zip(lines[::2], lines[1::2], strict=True), strict=True
    ):
        height = heights[figures.label(row.model)]
        np.testing.assert_array_equal(interval.get_xydata(), [[row.sauc_lo, height], [row.sauc_hi, height]])
        np.testing.assert_array_equal(point.get_xydata(), [[row.sauc, height]])
    assert len({to_hex(point.get_color()) for point in lines[1::2]}) == 3
    assert [(text.get_text(), text.get_position()[1]) for text in axes[1].texts] == [("no value", 1)]
    assert not axes[0].texts


def test_scores_of_one_video_have_no_interval(tmp_path):
    """And are drawn without a warning."""
    bare = TABLE.assign(**dict.fromkeys(["sauc_lo", "sauc_hi", "chi2_lo", "chi2_hi"], NAN))
    figures.save(figures.scores(bare, PER_VIDEO), [tmp_path / "x.png"])
    assert (tmp_path / "x.png").stat().st_size > 1000


def test_unknown_models_keep_their_name():
    assert figures.label("early_aug") == "Early + aug."
    assert figures.label("my_net") == "my_net"
