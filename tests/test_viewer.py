"""What the viewer shows, as arrays, as a video and as a page."""

from __future__ import annotations

import base64
import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynsal import viewer, viewer_panels
from dynsal.errors import DataError
from dynsal.video import decode
from dynsal.viewer import Panel, Showing
from dynsal.web import fill

SHAPES = st.tuples(st.integers(1, 4000), st.integers(1, 4000))


def showing(**changes) -> Showing:
    values = {
        "video": "a_video", "dataset": "demo", "fps": 15.0, "frames": [4, 6, 8], "of": 9, "working": (64, 48),
        "panel": (32, 16), "columns": 2, "bound": 2.0, "seed": 0,
        "panels": [Panel("input", "Input", "input"), Panel("early", "Early fusion", "net")],
        "curves": {"early": [0.5, None, 1.0]}, "means": {"early": 0.75},
    }  # fmt: skip
    return Showing(**{**values, **changes})


def embedded(page: str) -> dict:
    """Return the data that a page carries."""
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1]
    )


# ---- arrays ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 10_000), st.integers(1, 300))
def test_middle(count, most):
    """As many as allowed, with as many left out before as after."""
    shown = viewer_panels.middle(count, most)
    assert len(shown) == min(count, most)
    before, after = shown[0], count - 1 - shown[-1]
    assert 0 <= after - before <= 1


@given(SHAPES)
def test_panel_size(source):
    """Whole blocks; of common shapes, close to the area and the aspect ratio."""
    width, height = viewer_panels.panel_size(source)
    assert width % 16 == height % 16 == 0
    assert min(width, height) >= 32
    if 0.5 <= source[0] / source[1] <= 2.4:
        assert width * height == pytest.approx(viewer_panels.AREA, rel=0.15)
        assert width / height == pytest.approx(source[0] / source[1], rel=0.12)


@given(st.integers(1, 12))
def test_mosaic(count):
    """Every tile is where the page looks for it."""
    tiles = [np.full((16, 32, 3), 10 * number, np.uint8) for number in range(count)]
    joined, across = viewer_panels.mosaic(tiles), viewer_panels.columns(count)
    for number, tile in enumerate(tiles):
        top, left = number // across * 16, number % across * 32
        np.testing.assert_array_equal(joined[top : top + 16, left : left + 32], tile)


def test_heat():
    """Nothing changes with the scale of a map; without any saliency the picture is grey; the highest place is coloured."""
    bgr = np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8)
    saliency = np.zeros((8, 12))
    grey = viewer_panels.heat(bgr, saliency)
    assert (grey == grey[..., :1]).all()
    saliency[2, 3] = 1e-6
    once = viewer_panels.heat(bgr, saliency)
    np.testing.assert_array_equal(once, viewer_panels.heat(bgr, saliency * 1e9))
    coloured = np.ptp(once.astype(int), axis=2)
    assert np.unravel_index(coloured.argmax(), coloured.shape)[0] // 4 in (1, 2, 3)
    assert not coloured[20:].any()


def test_gaze_dots():
    """A fixation is a white dot at its place, whatever the size of the picture."""
    bgr = np.zeros((64, 96, 3), np.uint8)
    shown = viewer_panels.gaze(bgr, np.zeros((16, 24)), np.array([[5.0, 3.0]]))
    assert (shown[14, 22] == 255).all()  # (5 + 0.5) * 4 - 0.5 = 21.5, (3 + 0.5) * 4 - 0.5 = 13.5
    rows, columns = np.nonzero(shown[..., 0] == 255)
    assert abs(rows.mean() - 13.5) < 0.6
    assert abs(columns.mean() - 21.5) < 0.6


def test_motion():
    """No motion is white; the direction decides the colour."""
    flow = np.zeros((8, 8, 2))
    assert (viewer_panels.motion(flow, 1.0, (16, 16)) == 255).all()
    flow[..., 0] = 1.0
    right = viewer_panels.motion(flow, 1.0, (16, 16))
    assert (right[..., 2] == 255).all()
    assert not (right == viewer_panels.motion(-flow, 1.0, (16, 16))).all()


# ---- the video ------------------------------------------------------------------------------------------------------


def test_encode_within(tmp_path):
    """As good as fits: a lower limit gives a smaller file with the same frames; none at all is an error."""
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (64, 96, 3), np.uint8) for _ in range(12)]
    best = viewer_panels.encode_within(tmp_path / "a.mp4", frames, 15, 10**7)
    size = (tmp_path / "a.mp4").stat().st_size
    worse = viewer_panels.encode_within(tmp_path / "b.mp4", frames, 15, size // 2)
    assert best < worse
    assert (tmp_path / "b.mp4").stat().st_size <= size // 2
    assert len(list(decode(tmp_path / "b.mp4"))) == len(frames)
    with pytest.raises(DataError, match="do not fit in 100 bytes"):
        viewer_panels.encode_within(tmp_path / "c.mp4", frames, 15, 100)
    assert not (tmp_path / "c.mp4").exists()


# ---- the page -------------------------------------------------------------------------------------------------------


def test_json_and_back():
    made = showing()
    assert Showing.from_json(made.to_json()) == made


def test_curve():
    scores = pd.Series({3: 0.25, 4: 0.12345, 6: np.nan})
    assert viewer.curve(scores, [4, 6, 8]) == [0.123, None, None]
    assert viewer.mean(scores) == 0.187
    assert viewer.mean(scores[scores.isna()]) is None


def test_page():
    """It carries every video byte for byte, and loads nothing."""
    page = viewer.page([showing(), showing(video="other")], [b"one", b"two"])
    data = embedded(page)
    assert [base64.b64decode(video["mp4"]) for video in data["videos"]] == [b"one", b"two"]
    assert [video["video"] for video in data["videos"]] == ["a_video", "other"]
    assert data["videos"][0]["curves"]["early"] == [0.5, None, 1.0]
    assert "Content-Security-Policy" in page
    assert "default-src 'none'" in page
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)""", page)
    assert page == viewer.page([showing(), showing(video="other")], [b"one", b"two"])
    with pytest.raises(ValueError, match="1 videos for 2"):
        viewer.page([showing(), showing()], [b"one"])


def test_names_cannot_break_the_page():
    name = "</script><script>alert('x')</script>"
    page = viewer.page([showing(video=name)], [b""])
    assert "alert('x')</script>" not in page
    assert embedded(page)["videos"][0]["video"] == name


def test_page_of_the_largest_video_fits_into_the_report():
    """Of 150 frames and 12 curves; Chromium shows addresses up to 2 MiB."""
    names = [f"model_{number}" for number in range(12)]
    panels = [Panel(name, name, "net") for name in names]
    frames = list(range(viewer_panels.MOST_FRAMES))
    full = showing(frames=frames, panels=panels, curves={name: [0.123] * len(frames) for name in names})
    page = viewer.page([full], [bytes(viewer.VIDEO_LIMIT)]).encode()
    assert len(page) <= viewer.PAGE_LIMIT
    address = (
        "data:text/html;charset=utf8;filename=" + "x" * 255 + ";base64," + base64.b64encode(page).decode()
    )
    assert len(address) <= 2**21


def test_fill():
    """Values are escaped unless they are markup, and are not looked through for places."""
    page = fill("page.html", title="<&>", body="{{text:title}}")
    assert "<title>&lt;&amp;&gt;</title>" in page
    assert "{{text:title}}" in page
    with pytest.raises(KeyError):
        fill("page.html", title="x")
