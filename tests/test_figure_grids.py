"""Grids of panels: what is where, on one scale, without overlaps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure

from dynsal.figures import colour_wheel, flow_colours, label, save
from dynsal.figures.grids import FLOW, FRAME, TRUTH, Example, Panel, compared, one_example, panel_grid
from dynsal.figures.motion import MotionExample, motion_rows
from dynsal.figures.pictures import common_bound, common_scale, overlay
from dynsal.figures.style import SMALL, WIDTH

NAN = float("nan")
SIZE = (40, 30)
NETS = ["spatial", "temporal", "late", "early", "early_aug"]


def example(
    models=("spatial", "early"), size=SIZE, score=0.75, title="best:\ndemo_pan_05\nframe 3", push=1.0
) -> Example:
    rng = np.random.default_rng(int(10 * push))
    shape = size[::-1]
    return Example(
        title=title,
        bgr=rng.integers(0, 255, (*shape, 3), np.uint8),
        flow=rng.normal(0, push, (*shape, 2)),
        points=rng.uniform(0, 1, (7, 2)) * (np.array(size) - 1),
        truth=rng.random(shape) ** 4,
        maps={model: rng.random(shape) for model in models},
        scores=dict.fromkeys(models, score),
    )


def motion_example(title="demo_pan_05_of_a_long_name", names=("measured", "predicted", "nearest")):
    rng = np.random.default_rng(1)
    shape = SIZE[::-1]
    return MotionExample(
        title,
        rng.integers(0, 255, (*shape, 3), np.uint8),
        {name: rng.normal(0, 9, (*shape, 2)) * (number + 1) for number, name in enumerate(names)},
        {name: 1.25 for name in names if name != "measured"},
    )


def panels(figure: Figure) -> list:
    """Return the axes of panels: without the colour bar."""
    return [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]


def image(axis) -> np.ndarray:
    return np.asarray(axis.images[0].get_array())


def corner(axis) -> str:
    return " ".join(text.get_text() for text in axis.texts)


# What is where


def test_every_part_of_every_example():
    """The frame in RGB, the flow and the maps on common scales, points where they were, scores in the corner."""
    examples = [example(NETS), example(NETS, push=2.0)]
    figure = compared(examples, [FRAME, FLOW, TRUTH, *NETS], "By rule.")
    axes = np.array(panels(figure)).reshape(2, 8)
    assert [axis.get_title() for axis in axes[0]] == ["Frame", "Optical flow", "Gaze", *map(label, NETS)]
    bound = common_bound(one.flow for one in examples)
    scale = common_scale(
        [*(one.maps[name] for one in examples for name in NETS), *(one.truth for one in examples)]
    )
    for row, one in zip(axes, examples, strict=True):
        np.testing.assert_array_equal(image(row[0]), one.bgr[..., ::-1])
        np.testing.assert_array_equal(image(row[1]), flow_colours(one.flow, bound))
        np.testing.assert_array_equal(image(row[2]), overlay(one.bgr, one.truth, scale))
        np.testing.assert_array_equal(row[2].lines[0].get_xydata(), one.points)
        for axis, name in zip(row[3:], NETS, strict=True):
            np.testing.assert_array_equal(image(axis), overlay(one.bgr, one.maps[name], scale))
            assert corner(axis) == "0.75"
    note = figure.get_supxlabel().replace("\n", " ")
    assert note.startswith("By rule. Maps:")
    assert f"full at {bound:.2g} pixels a frame" in note


def test_down_is_the_same_the_other_way_round():
    examples = [example(), example(push=2.0), example(push=3.0)]
    parts = [FRAME, TRUTH, "spatial", "early"]
    right = np.array(panels(compared(examples, parts, "x"))).reshape(3, 4)
    down = np.array(panels(compared(examples, parts, "x", down=True))).reshape(4, 3)
    for row, column in np.ndindex(3, 4):
        np.testing.assert_array_equal(image(right[row, column]), image(down[column, row]))
    assert [axis.get_ylabel() for axis in down[:, 0]] == ["Frame", "Gaze", "Spatial", "Early fusion"]
    assert "demo_pan_05" in down[0, 0].get_title()


def test_one_example_fills_rows():
    """Seven parts in rows of five: the last places stay empty, every title stands above its own panel."""
    parts = [FRAME, FLOW, TRUTH, *NETS[:4]]
    axes = panels(one_example(example(NETS), parts, "x"))
    assert [axis.get_title() for axis in axes] == [
        "Frame", "Optical flow", "Gaze", *map(label, NETS[:4]), "", "", "",
    ]  # fmt: skip
    assert [bool(axis.images) for axis in axes] == [True] * 7 + [False] * 3


def test_the_wheel_is_in_the_first_flow_image_only():
    figure = compared([example(), example()], [FRAME, FLOW, "early"], "x")
    assert [axis for axis in figure.axes if axis.child_axes] == [panels(figure)[1]]
    wheel = panels(figure)[1].child_axes[0]
    np.testing.assert_array_equal(image(wheel), colour_wheel())
    assert not [axis for axis in compared([example()], [FRAME, "early"], "x").axes if axis.child_axes]


def test_the_colour_bar_is_the_scale():
    one = example()
    figure = compared([one], [FRAME, TRUTH, "early"], "x")
    (bar,) = set(figure.axes) - set(panels(figure))
    assert bar.get_ylim() == pytest.approx((1, common_scale([one.truth, one.maps["early"]]).top))
    assert bar.get_ylabel() == "density, times uniform"


def test_maps_not_shown_do_not_set_the_scale():
    one = example(("spatial", "early"))
    one.maps["spatial"][:] = 1e-9
    one.maps["spatial"][0, 0] = 1
    figure = compared([one], [FRAME, "early"], "x")
    (bar,) = set(figure.axes) - set(panels(figure))
    assert bar.get_ylim()[1] == pytest.approx(common_scale([one.maps["early"]]).top)


def test_without_a_score():
    assert corner(panels(compared([example(score=NAN)], [FRAME, "early"], "x"))[1]) == "no score"


def test_motion_shows_what_it_was_given():
    """Each field in colours that are full at its own bound, which is written into it, with its error if it has one."""
    one = motion_example()
    figure = motion_rows([one, one])
    axes = panels(figure)
    assert [axis.get_title() for axis in axes[:4]] == [
        "Frame",
        "Measured motion",
        "Predicted",
        "Nearest image's",
    ]
    np.testing.assert_array_equal(image(axes[0]), one.bgr[..., ::-1])
    for axis, (name, field) in zip(axes[1:4], one.fields.items(), strict=True):
        bound = common_bound([field])
        np.testing.assert_allclose(image(axis), flow_colours(field, bound), atol=1e-9)
        error = "" if name == "measured" else ", error 1.25"
        assert corner(axis) == f"{bound:.1f} px{error}"
    assert [axis for axis in figure.axes if axis.child_axes] == [axes[1]]


# Room


def many(
    count, size=SIZE, title="upper quartile:\nadvert_bbc4_library_of_the_world\nframe 1234"
) -> list[Example]:
    return [example(NETS, size, title=title)] * count


LONG = "median, frame 1234:\nadvert_bbc4_library_of_the_world"
GRIDS = {
    "right": lambda size: compared(
        many(3, size, LONG), [FRAME, FLOW, TRUTH, *NETS], "By a rule that takes some words. " * 4
    ),
    "down": lambda size: compared(many(5, size), [FRAME, TRUTH, *NETS], "By a rule.", down=True),
    "one": lambda size: one_example(many(1, size)[0], [FRAME, FLOW, TRUTH, *NETS], "By a rule."),
    "flow": lambda size: panel_grid(
        [[Panel(one.bgr, title="frame 1234") for one in many(5, size)]] * 2, ["Frame", "Flow"]
    ),
    "motion": lambda size: motion_rows([motion_example()] * 3),
}


@pytest.mark.parametrize("size", [(40, 30), (64, 36)])
@pytest.mark.parametrize("name", GRIDS)
def test_room(size, name):
    """Within the width of a page; no writing on other writing or on another panel, none cut off; pictures undistorted."""
    figure = GRIDS[name](size)
    figure.draw_without_rendering()
    axes = [axis for axis in panels(figure) if axis.images]
    boxes = {axis: axis.get_window_extent() for axis in axes}
    written = [text for axis in axes for text in (axis.title, axis.yaxis.label) if text.get_text()]
    extents = [text.get_window_extent() for text in written]
    if figure.get_supxlabel():
        extents.append(figure._supxlabel.get_window_extent())
    assert figure.get_size_inches()[0] <= WIDTH + 1e-6
    for one, other in itertools.combinations(extents, 2):
        assert not (one.width and other.width and one.overlaps(other))
    for extent in extents:
        assert figure.bbox.x0 - 1 <= extent.x0
        assert extent.x1 <= figure.bbox.x1 + 1
        assert figure.bbox.y0 - 1 <= extent.y0
        assert extent.y1 <= figure.bbox.y1 + 1
        assert not any(extent.overlaps(box.shrunk(0.98, 0.98)) for box in boxes.values())
    if name != "motion":
        for box in boxes.values():
            assert box.width / box.height == pytest.approx(size[0] / size[1], rel=0.03)
    assert (
        min(text.get_fontsize() for text in figure.findobj(lambda found: hasattr(found, "get_fontsize")))
        >= SMALL
    )


def test_saved_twice_same_bytes(tmp_path):
    for run in ("one", "two"):
        save(GRIDS["right"](SIZE), [tmp_path / f"{run}.png", tmp_path / f"{run}.pdf"])
    for kind in ("png", "pdf"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
