"""What nets are seen to do, and the diagrams drawn of it: never out of step with the nets."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from dynsal.config import NetConfig
from dynsal.figures import save
from dynsal.figures.diagrams import COLOURS, TIMES, blocks, diagrams, words
from dynsal.figures.style import WIDTH
from dynsal.net_graph import Step, graph, parameter_layers
from dynsal.nets import build

SMALL = NetConfig(width=0.0625)
STREAMS = ("spatial", "temporal", "late", "early")


def steps(arch: str, size=(64, 48), **changes) -> list[Step]:
    return graph(build(arch, SMALL.model_copy(update=changes)), size)


def by_name(found: list[Step]) -> dict[str, Step]:
    return {step.name: step for step in found}


def written(figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def drawn(*archs: str, **changes):
    return diagrams({arch: steps(arch, **changes) for arch in archs}, {}, "A note.")


# What is seen


@pytest.mark.parametrize("arch", [*STREAMS, "shallow"])
def test_every_layer_with_weights_is_seen_once(arch):
    """With all its weights, and the sizes that a real pass has."""
    net = build(arch, SMALL)
    found = graph(net, (64, 48))
    counts = Counter(step.name for step in found if step.parameters)
    assert counts == Counter(parameter_layers(net))
    assert sum(step.parameters for step in found) == sum(weight.numel() for weight in net.parameters())
    shapes = {}
    for name, layer in net.named_modules():
        layer.register_forward_hook(
            lambda _, __, out, name=name: shapes.__setitem__(name, tuple(out.shape[1:]))
        )
    with torch.no_grad():
        net.eval()(torch.zeros(1, 3, 48, 64), torch.zeros(1, 3, 48, 64))
    for step in found:
        if step.parameters:
            assert step.shape == shapes[step.name]


def test_the_paper_s_sizes():
    """Full width at 640 x 480, without computing anything: a quarter of the sides before the deconvolution."""
    found = by_name(graph(build("early", NetConfig(), 0), (640, 480)))
    assert found["appearance.conv1"].shape == (96, 480, 640)
    assert found["appearance.conv4"].shape == (512, 120, 160)
    assert found["cat"].shape == (1024, 120, 160)
    assert (found["conv_fuse"].kernel, found["conv_fuse"].shape) == ((1, 1), (512, 120, 160))
    assert (found["deconv"].kernel, found["deconv"].stride, found["deconv"].shape) == (
        (8, 8),
        (4, 4),
        (1, 480, 640),
    )


def test_inputs_that_a_net_ignores_are_left_out():
    inputs = {arch: [step.name for step in steps(arch) if step.kind == "input"] for arch in STREAMS}
    assert inputs == {
        "spatial": ["frame"],
        "temporal": ["flow"],
        "late": ["frame", "flow"],
        "early": ["frame", "flow"],
    }


def test_where_streams_meet():
    """Late fusion: the maximum of both conv9; early fusion: conv4 of both, concatenated, into the 1 x 1 convolution."""
    late, early = steps("late"), steps("early")
    (join,) = [step for step in late if len(step.sources) > 1]
    assert join.kind == "maximum"
    assert [late[source].name for source in join.sources] == ["appearance.tail.conv9", "motion.tail.conv9"]
    (place,) = [number for number, step in enumerate(early) if len(step.sources) > 1]
    before = [early[early[source].sources[0]].name for source in early[place].sources]  # behind the ReLU
    assert before == ["appearance.conv4", "motion.conv4"]
    (fuse,) = [step for step in early if step.sources == (place,)]
    assert fuse.name == "conv_fuse"


def test_the_net_is_left_as_it_was():
    net = build("late", SMALL)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    graph(net, (64, 48))
    assert net.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    for name, value in net.state_dict().items():
        assert value.device.type == "cpu"
        assert torch.equal(value, before[name])


class Other(nn.Module):
    """A net of another kind: a layer used twice, a sum, a view."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, (1, 3), stride=(1, 2), padding=(0, 1))
        self.twice = nn.Conv2d(3, 3, 1)

    def forward(self, frame, flow):
        a, b = self.twice(frame), self.twice(flow)
        return self.conv(torch.relu(a + b)).flatten(2)


def test_any_net():
    found = graph(Other(), (8, 6))
    assert [(step.name, step.sources) for step in found] == [
        ("frame", ()), ("flow", ()), ("twice", (0,)), ("twice", (1,)), ("add", (2, 3)), ("relu", (4,)), ("conv", (5,)),
        ("flatten", (6,)),
    ]  # fmt: skip
    assert found[6].shape == (3, 6, 4)
    assert words(found[6]) == [f"3{TIMES}1", "3", f"4{TIMES}", "6"]
    assert found[7].shape == (3, 24)


# What is drawn


@pytest.mark.parametrize("arch", [*STREAMS, "shallow"])
def test_every_layer_is_drawn_once(arch):
    """Its name above its block, its kernel, channels and size below."""
    text = written(drawn(arch))
    layers = [step for step in steps(arch) if step.parameters]
    names = Counter(step.name.rsplit(".", 1)[-1].replace("_", "_\n") for step in layers)
    found = Counter(word for word in text if word in names)
    assert found == names
    for step in layers:
        assert "\n".join(words(step)) in text


def test_another_width_changes_the_drawing():
    narrow, wide = set(written(drawn("early"))), set(written(drawn("early", width=0.125)))
    assert f"5{TIMES}5\n32\n16{TIMES}\n12" in narrow - wide  # conv4
    assert f"5{TIMES}5\n64\n16{TIMES}\n12" in wide - narrow


def test_another_size_changes_the_drawing():
    small = drawn("spatial")
    large = diagrams({"spatial": steps("spatial", size=(128, 96))}, {}, "")
    assert f"8{TIMES}8 /4\n1\n64{TIMES}\n48" in written(small)
    assert f"8{TIMES}8 /4\n1\n128{TIMES}\n96" in written(large)


def test_another_fusion_changes_the_drawing():
    """The circle where streams meet says how; a ReLU behind the fusion is a thicker edge."""
    late, early = written(drawn("late")), written(drawn("early"))
    assert ("max" in late, "cat" in late) == (True, False)
    assert ("max" in early, "cat" in early) == (False, True)

    def relus(figure) -> int:
        return sum(line.get_linewidth() > 1 for line in figure.axes[0].lines)

    assert relus(drawn("early", fusion_relu=True)) == relus(drawn("early")) + 1


def test_a_layer_more_is_drawn():
    net = build("spatial", SMALL)
    net.tail.conv9 = nn.Sequential(net.tail.conv9, nn.Conv2d(1, 1, 9, padding=4))
    text = written(diagrams({"x": graph(net, (64, 48))}, {}, ""))
    assert f"9{TIMES}9\n1\n16{TIMES}\n12" in text


def test_lanes_and_columns():
    """The frame's steps above, the flow's below, from where they meet in the middle; every step right of its sources."""
    found = blocks(steps("early"))
    for block in found:
        above = block.step.name.startswith(("appearance", "frame"))
        below = block.step.name.startswith(("motion", "flow"))
        assert block.lane == below - above
        assert all(found[source].column < block.column for source in block.sources)
    assert {block.lane for block in blocks(steps("temporal"))} == {0}
    fusions = {
        arch: [b.step.name for b in blocks(steps(arch)) if b.sort == "fusion"] for arch in ("late", "early")
    }
    assert fusions == {"late": ["maximum"], "early": ["cat", "conv_fuse"]}
    assert {block.sort for block in found} <= {*COLOURS, "input"}


def test_pictures_stand_at_the_ends():
    rng = np.random.default_rng(0)
    ends = {name: rng.random((6, 8, 3)) for name in ("frame", "flow", "output")}
    axis = diagrams({"late": steps("late")}, {"late": ends}, "").axes[0]
    shown = [np.asarray(image.get_array()) for image in axis.images]
    for image, name in zip(shown, ends, strict=True):
        np.testing.assert_array_equal(image, ends[name])
    assert axis.images[2].get_extent()[0] > 6
    assert not diagrams({"late": steps("late")}, {}, "").axes[0].images


@pytest.mark.parametrize("archs", [("spatial", "temporal"), ("late", "early")])
def test_nothing_overlaps(archs, tmp_path):
    """At the paper's size: neither writing with writing, nor beyond the page."""
    figure = diagrams({arch: steps(arch, (640, 480), width=1.0) for arch in archs}, {}, "A note.")
    figure.draw_without_rendering()
    assert figure.get_size_inches()[0] <= WIDTH
    for axis in figure.axes:
        boxes = [text.get_window_extent() for text in axis.texts if text.get_text()]
        for number, box in enumerate(boxes):
            assert box.x0 >= -1
            assert box.x1 <= figure.bbox.x1 + 1
            for other in boxes[number + 1 :]:
                wide = min(box.x1, other.x1) - max(box.x0, other.x0)
                high = min(box.y1, other.y1) - max(box.y0, other.y0)
                assert min(wide, high) < 2, (box, other)
    save(figure, [tmp_path / "x.pdf"])
    assert (tmp_path / "x.pdf").stat().st_size > 1000
