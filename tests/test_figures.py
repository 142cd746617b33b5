"""The style of pictures, how they are written, and the colours of flow and maps."""

from __future__ import annotations

import colorsys
import logging
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from dynsal.figures import STYLE, colour_wheel, flow_colours, label, save
from dynsal.figures.pictures import Scale, common_bound, common_scale, overlay, relative_density
from dynsal.figures.style import footnote, short_name, wrapped

SIZE = (40, 30)


def drawing() -> Figure:
    with mpl.rc_context(STYLE):
        figure = Figure(layout="constrained")
        axis = figure.subplots()
        axis.plot([1, 2], [3, 4])
        axis.set_title("sAUC")
        return figure


# Files


def test_saved_twice_same_bytes(tmp_path):
    """Drawn anew each time, as png, pdf and svg, without a date."""
    for run in ("one", "two"):
        save(drawing(), [tmp_path / run / f"x.{kind}" for kind in ("png", "pdf", "svg")])
    for kind, start in (("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")):
        first, second = ((tmp_path / run / f"x.{kind}").read_bytes() for run in ("one", "two"))
        assert first.startswith(start)
        assert first == second, kind
    assert b"CreationDate" not in (tmp_path / "one" / "x.pdf").read_bytes()
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["x.pdf", "x.png", "x.svg"]


def test_text_in_a_pdf_stays_text(tmp_path, caplog):
    """TrueType, not Type 3: journals refuse the latter. The library that embeds it does not fill the log."""
    with caplog.at_level(logging.INFO):
        save(drawing(), [tmp_path / "x.pdf"])
    content = (tmp_path / "x.pdf").read_bytes()
    assert b"/Type3" not in content
    assert b"/FontFile2" in content
    assert not [record for record in caplog.records if record.name.startswith("fontTools")]


def test_a_failed_drawing_leaves_the_old_picture(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"old")

    class Broken(Figure):
        def savefig(self, fname, **_):
            Path(fname).write_bytes(b"half")
            raise RuntimeError("no ink")

    with pytest.raises(RuntimeError, match="no ink"):
        save(Broken(), [path])
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_drawing_leaves_no_style_behind():
    before = dict(mpl.rcParams)
    drawing()
    assert dict(mpl.rcParams) == before


# Words


def test_unknown_models_keep_their_name():
    assert label("early_aug") == "Early + aug."
    assert label("my_net") == "my_net"


@pytest.mark.parametrize(
    ("video", "short"), [("demo_pan_05_480x360", "demo_pan_05"), ("Kimono", "Kimono"), ("a_b", "a")]
)
def test_short_names(video, short):
    assert short_name(video) == short


def test_long_names_break_at_underscores():
    assert wrapped("best:\nadvert_bbc4_library", 13) == "best:\nadvert_bbc4_\nlibrary"
    assert wrapped("Early from scratch", 12) == "Early from\nscratch"


def test_a_footnote_stays_within_the_figure():
    figure = drawing()
    footnote(figure, "Words that go on and on. " * 30)
    figure.draw_without_rendering()
    assert figure._supxlabel.get_window_extent().x1 <= figure.bbox.x1


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


def test_common_bound():
    """By hand: of 100 lengths 0 .. 99 all but the longest reach 98; over all fields; 1 where nothing moves."""
    lengths = np.arange(100.0)
    field = np.dstack([0.6 * lengths, 0.8 * lengths])
    assert common_bound([field]) == pytest.approx(98.01)
    halves = field.reshape(10, 10, 2)
    assert common_bound([halves[:5], -halves[5:]]) == pytest.approx(98.01)
    assert common_bound([np.zeros((3, 4, 2), np.float16)]) == 1


# Maps


def test_relative_density_by_hand():
    """Multiples of the mean; nothing stays nothing."""
    np.testing.assert_allclose(relative_density(np.array([[0.0, 1.0], [3.0, 4.0]])), [[0, 0.5], [1.5, 2]])
    assert not relative_density(np.zeros((2, 2))).any()


def test_the_scale_by_hand():
    """Logarithmic from the mean to the top; clipped at both ends."""
    saliency = np.array([[0.5, 1.0, 10.0, 100.0, 1000.0, *[0.0] * 5]])
    saliency[0, 5:] = (10 - saliency.sum()) / 5  # so that the mean is 1; nothing checks the sign here
    np.testing.assert_allclose(Scale(100.0).level(saliency)[0, :5], [0, 0, 0.5, 1, 1])


def test_a_common_scale_is_round_and_rarely_exceeded():
    """By hand: a fifth of the pixels hold all of the map, 5 times the mean; a spot of 1 in 100 stands out 100 times."""
    fifth = np.zeros((10, 10))
    fifth[:2] = 7
    assert common_scale([fifth]).top == 5
    spot = np.zeros((10, 10))
    spot[3, 3] = 1e-7
    assert common_scale([fifth, spot]).top == 100
    assert common_scale([np.ones((4, 4))]).top == 2
    assert common_scale([np.pad([[1.0]], 60)]).top == 2  # one pixel of 14641 is less than 0.2 %


@pytest.mark.parametrize("factor", [1e-12, 1.0, 1e6])
def test_overlay_shows_the_frame_where_the_map_is_low(factor):
    """In range whatever the map's unit; grey at the mean and below, the brightest colour at the top and above."""
    rng = np.random.default_rng(0)
    bgr = rng.integers(0, 255, (*SIZE[::-1], 3), np.uint8)
    saliency = rng.random(SIZE[::-1])
    saliency[0, 0], saliency[1, 1] = 0, 30
    found = overlay(bgr, saliency * factor, Scale(20.0))
    assert found.shape == (*SIZE[::-1], 3)
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_allclose(found[0, 0], 0.25 + 0.6 * bgr[0, 0].mean() / 255)
    np.testing.assert_allclose(found[1, 1], mpl.colormaps["inferno"](1.0)[:3])
    np.testing.assert_allclose(found, overlay(bgr, saliency, Scale(20.0)), atol=1e-6)


def test_the_same_density_has_the_same_colour_in_any_map():
    """What the scale of each map by its own maximum could not do."""
    bgr = np.zeros((10, 10, 3), np.uint8)
    weak, strong = np.ones((10, 10)), np.ones((10, 10))
    weak[0, 0] = 4 * 99 / 96  # four times the mean of that map
    strong[0, 0], strong[0, 1] = 4 * 98 / 76, 20 * 98 / 76  # and of this one, beside twenty times the mean
    scale = Scale(50.0)
    np.testing.assert_allclose(overlay(bgr, weak, scale)[0, 0], overlay(bgr, strong, scale)[0, 0])


def test_overlay_of_an_even_map_is_the_frame():
    bgr = np.random.default_rng(0).integers(0, 255, (*SIZE[::-1], 3), np.uint8)
    grey = 0.25 + 0.6 * bgr.mean(axis=2) / 255
    for even in (0.0, 3.0):
        found = overlay(bgr, np.full(SIZE[::-1], even), Scale(10.0))
        np.testing.assert_allclose(found, np.dstack([grey] * 3), atol=1e-9)


def test_the_cycle_is_colour_blind_safe():
    """Okabe and Ito's colours stay apart under simulated deuteranopia (Machado et al. 2009, severity 1)."""
    matrix = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    used = [
        [int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in STYLE["axes.prop_cycle"].by_key()["color"]
    ]
    linear = np.array(used) ** 2.2
    seen = np.clip(linear @ matrix.T, 0, 1) ** (1 / 2.2)
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=2)[np.triu_indices(len(seen), 1)]
    assert apart.min() > 0.12
