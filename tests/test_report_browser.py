"""The report and the viewer in a real Chromium without a window: what a reader sees, clicks and plays.

Pages are opened as files. Nothing they do may ask a network for anything, or write an error to the console.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import browser
import cv2
import numpy as np
import pytest
from helpers import once, shared_base, snakemake
from test_reruns import RUN, run_chain

from dynsal import viewer, viewer_panels
from dynsal.viewer import Panel, Showing

PANELS = ("input", "motion", "gaze", "spatial", "early", "centre")
FRAMES = 60
PER_FRAME = 3
"""Grey levels from one frame of the painted video to the next."""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser.chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def driver(chromium):
    """Return the browser; whatever a test did, nothing was asked of a network and no error was written."""
    chromium.switch_to.default_content()
    browser.resize(chromium, 1280, 900)
    browser.requests(chromium)
    browser.problems(chromium)
    yield chromium
    assert browser.requests(chromium) == []
    assert browser.problems(chromium) == []


def until(driver: Any, script: str, seconds: float = 30, *arguments: Any) -> Any:
    """Return what a script returns as soon as that is true."""
    end = time.monotonic() + seconds
    while not (value := driver.execute_script(script, *arguments)):
        assert time.monotonic() < end, f"never true: {script}"
        time.sleep(0.05)
    return value


def picture(driver: Any, path: Path) -> np.ndarray:
    """Return a screenshot, which is also written to a file; more than a blank page is on it."""
    assert driver.save_screenshot(str(path))
    shown = cv2.imread(str(path))
    assert len(np.unique(shown.reshape(-1, 3)[::7], axis=0)) > 50
    assert shown.std() > 5
    return shown


# ---- the viewer, with frames that tell their number -----------------------------------------------------------------


@pytest.fixture(scope="module")
def painted(tmp_path_factory) -> Path:
    """Return a page of two videos; every panel of frame k is grey, 10 + 3 k, plus a few levels by the panel's place."""
    folder = tmp_path_factory.mktemp("viewer")
    videos = []
    for count in (FRAMES, 20):
        frames = [
            viewer_panels.mosaic(
                [np.full((64, 96, 3), level(k, tile), np.uint8) for tile in range(len(PANELS))]
            )
            for k in range(count)
        ]
        viewer_panels.encode_within(folder / "video.mp4", frames, 15, viewer.VIDEO_LIMIT)
        videos.append((folder / "video.mp4").read_bytes())
    roles = {"centre": "floor", "spatial": "net", "early": "net"}
    panels = [Panel(name, name.capitalize(), roles.get(name, name)) for name in PANELS]
    showings = [
        Showing(
            video=f"painted_{count}", dataset="paint", fps=15.0, frames=list(range(100, 100 + 2 * count, 2)), of=count,
            working=(96, 64), panel=(96, 64), columns=viewer_panels.columns(len(PANELS)), bound=2.0, seed=0,
            panels=[*panels, Panel("human", "Human halves", "ceiling")],
            curves={name: [0.5 + 0.4 * k / count for k in range(count)] for name in (*roles, "human")},
            means=dict.fromkeys((*roles, "human"), 0.7),
        )
        for count in (FRAMES, 20)
    ]  # fmt: skip
    page = folder / "viewer.html"
    page.write_text(viewer.page(showings, videos), encoding="utf-8")
    return page


def level(frame: int, tile: int) -> int:
    return 10 + PER_FRAME * frame + 4 * tile


SEEN = """
return [...document.querySelectorAll('.panel canvas')].map(canvas => {
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let at = 0; at < data.length; at += 4) sum += data[at + 1];
  return [sum / (data.length / 4), Number(canvas.dataset.frame)];
});
"""


def shown_frames(driver: Any) -> list[int]:
    """Return the frame that each panel shows, told from its pixels and not by the page."""
    seen = driver.execute_script(SEEN)
    found = [round((grey - level(0, tile)) / PER_FRAME) for tile, (grey, _) in enumerate(seen)]
    assert found == [said for _, said in seen]
    return found


def open_page(driver: Any, page: Path) -> None:
    driver.get(page.as_uri())
    until(driver, "return document.querySelector('canvas')?.dataset.frame === '0'")


def test_scrubbing_moves_all_panels_to_the_same_frame(driver, painted):
    """Pixel by pixel, for jumps back and forth; what is said about the frame fits."""
    open_page(driver, painted)
    jump = """
        const scrub = document.getElementById('scrub');
        scrub.value = arguments[0];
        scrub.dispatchEvent(new Event('input'));
    """
    for frame in (17, 59, 0, 31, 30, 58):
        driver.execute_script(jump, frame)
        until(
            driver,
            "return [...document.querySelectorAll('canvas')].every(c => c.dataset.frame == arguments[0])",
            30,
            frame,
        )
        assert shown_frames(driver) == [frame] * len(PANELS)
        text = driver.execute_script("return document.getElementById('time').textContent")
        assert text == f"frame {100 + 2 * frame} · {frame / 15:.2f} s"
        score = driver.execute_script("return document.querySelector('[data-key=early] output').textContent")
        assert float(score) == pytest.approx(0.5 + 0.4 * frame / FRAMES, abs=0.006)
    for frame in range(40, 50):  # faster than any decoder: the last wish wins
        driver.execute_script(jump, frame)
    until(driver, "return document.querySelector('canvas').dataset.frame == 49")
    assert shown_frames(driver) == [49] * len(PANELS)


def test_playing(driver, painted):
    """Space plays and pauses; the panels go on together, the curve's cursor with them; speed and end are kept."""
    from selenium.webdriver.common.keys import Keys

    open_page(driver, painted)
    body = driver.find_element("tag name", "body")
    clock = "const clock = document.getElementById('clock');"
    body.send_keys(Keys.SPACE)
    until(driver, clock + "return clock.currentTime > 0.4")
    x = "return Number(document.querySelector('.cursor').getAttribute('x1'))"
    first = driver.execute_script(x)
    body.send_keys(Keys.SPACE)
    until(driver, clock + "return clock.paused && !clock.seeking")
    state = driver.execute_script(
        clock + "return [clock.readyState, clock.error, clock.videoWidth, clock.videoHeight]"
    )
    assert state[0] >= 2
    assert state[1] is None
    assert state[2:] == [288, 128]
    shown = shown_frames(driver)
    assert len(set(shown)) == 1
    assert shown[0] > 4
    assert driver.execute_script(x) >= first > 30

    body.send_keys(Keys.ARROW_LEFT)
    until(driver, "return document.querySelector('canvas').dataset.frame == arguments[0]", 30, shown[0] - 1)
    assert shown_frames(driver) == [shown[0] - 1] * len(PANELS)
    driver.execute_script(
        "const s = document.getElementById('speed'); s.value = '2'; s.dispatchEvent(new Event('change'))"
    )
    driver.find_element("id", "play").click()
    until(driver, clock + "return !clock.paused && clock.playbackRate === 2")
    before = driver.execute_script(clock + "return clock.currentTime")
    until(driver, clock + "return clock.currentTime < arguments[0]", 60, before)  # it starts again at the end


def test_choosing(driver, painted):
    """Models can be hidden, with their curves; another video comes with its own frames; a panel can be enlarged."""
    open_page(driver, painted)
    width = "return document.querySelector('.panel[data-key=early]').getBoundingClientRect().width"
    narrow = driver.execute_script(width)
    driver.find_element("css selector", ".panel[data-key=early]").click()
    assert driver.execute_script(width) > 1.9 * narrow
    driver.find_element("css selector", ".chip input[data-key=early]").click()
    assert driver.execute_script(width) == 0
    keys = "return [...document.querySelectorAll('.curve')].map(curve => curve.dataset.key).join()"
    assert driver.execute_script(keys) == "spatial,centre,human"
    driver.execute_script(
        "const s = document.getElementById('video'); s.value = '1'; s.dispatchEvent(new Event('change'))"
    )
    until(driver, "return document.getElementById('clock').readyState >= 2")
    assert driver.execute_script("return document.getElementById('scrub').max") == "19"
    assert driver.execute_script(keys) == "spatial,centre,human"
    driver.execute_script(
        "document.getElementById('scrub').value = 19; document.getElementById('scrub').dispatchEvent(new Event('input'))"
    )
    until(driver, "return document.querySelector('canvas').dataset.frame == 19")
    assert shown_frames(driver) == [19] * len(PANELS)


def test_small_and_dark(driver, painted, tmp_path):
    """A phone shows it without scrolling sideways; at night it is dark."""
    open_page(driver, painted)
    light = picture(driver, tmp_path / "light.png").mean()
    browser.resize(driver, 390, 844)
    assert driver.execute_script("return document.documentElement.scrollWidth") == 390
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.resize(driver, 1280, 900)
    assert picture(driver, tmp_path / "dark.png").mean() < light - 60
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_what_cannot_be_played_is_said(chromium, painted, tmp_path):
    """A browser without H.264 would show empty panels."""
    showing = Showing(
        video="broken", dataset="paint", fps=15.0, frames=[0, 1], of=2, working=(96, 64), panel=(96, 64), columns=1, bound=2.0,
        seed=0, panels=[Panel("input", "Input", "input")], curves={}, means={},
    )  # fmt: skip
    page = tmp_path / "broken.html"
    page.write_text(viewer.page([showing], [b"no video"]), encoding="utf-8")
    chromium.get(page.as_uri())
    until(chromium, "return !document.getElementById('problem').hidden")
    assert "cannot play" in chromium.find_element("id", "problem").text


# ---- the report of a real run ---------------------------------------------------------------------------------------


def run_report(folder: Path, chain: Path) -> None:
    """Go on from the chain of `test_reruns`, which others use too."""
    with (chain / "test.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.copytree(chain, folder)
    done = snakemake(
        folder, *RUN, "--report", "results/report.html", "--report-after-run", "--", "report1", timeout=580
    )
    assert done.rc == 0, done.text


@pytest.fixture(scope="session")
def reported(tmp_path_factory) -> Path:
    """Return a folder in which a small chain and its report ran."""
    base = shared_base(tmp_path_factory)
    chain = once(base, "chain", run_chain)
    return once(base, "report", lambda folder: run_report(folder, chain))


@pytest.fixture
def report(driver, reported) -> Callable[..., Any]:
    """Open the report, and return a function that opens items by category and label and steps into their frame."""
    driver.get((reported / "results" / "report.html").as_uri())
    until(driver, "return document.querySelector('nav')?.textContent.includes('Viewer')")

    def click(words: str) -> None:
        found = until(
            driver,
            "return [...document.querySelectorAll('nav li, nav li *')].find(e => e.textContent.trim() === arguments[0])",
            30,
            words,
        )
        found.click()

    def show(category: str, label: str) -> Any:
        driver.switch_to.default_content()
        until(driver, "return document.querySelector('nav a')")
        driver.execute_script("app.setView({navbarMode: 'menu'})")
        click(category)
        eye = """
            const row = [...document.querySelectorAll('nav tbody tr')].find(e => e.textContent.includes(arguments[0]));
            return row?.querySelector('a[type=button]');
        """
        until(driver, eye, 30, label).click()
        return driver

    return show


@pytest.mark.slow
def test_report_opens(driver, report, tmp_path):
    """The first page says what this is, and shows the graph of the steps."""
    text = driver.find_element("id", "app").text
    assert "where people look in videos" in text
    assert all(name in text for name in ("1 Tables", "2 Viewer", "3 Figures", "4 Runtimes", "5 Provenance"))
    until(driver, "return document.querySelector('canvas, svg.marks')")
    picture(driver, tmp_path / "report.png")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("category", "label", "words"),
    [
        ("1 Tables", "Table 1", ["sAUC", "early", "centre", "bootstrap"]),
        ("4 Runtimes", "demo", ["train", "peak memory", "MiB"]),
        ("5 Provenance", "Table 1", ["commit", "snakemake", "max_iters: 30"]),
    ],
)
def test_report_pages(driver, report, tmp_path, category, label, words):
    """A click in the menu and on the eye shows the page, in a frame; a click on a heading sorts."""
    report(category, label)
    driver.switch_to.frame(until(driver, "return document.querySelector('iframe')"))
    text = until(driver, "return document.body?.innerText.length > 300 && document.body.innerText")
    assert all(word in text for word in words)
    first = "return document.querySelector('tbody').rows[0].cells[0].textContent"
    names = driver.execute_script(
        "return [...document.querySelector('tbody').rows].map(row => row.cells[0].textContent)"
    )
    driver.find_element("css selector", "thead button").click()
    assert driver.execute_script(first) == min(names)
    driver.switch_to.default_content()
    picture(driver, tmp_path / "page.png")


@pytest.mark.slow
def test_report_figures(driver, report, tmp_path):
    report("3 Figures", "Learning curves")
    width = until(
        driver, "const i = document.querySelector('.grow img'); return i?.complete && i.naturalWidth"
    )
    assert width > 100
    picture(driver, tmp_path / "figure.png")


@pytest.mark.slow
def test_report_plays_a_video(driver, report, reported, tmp_path):
    """Inside the report, as a page within a page; Chromium refuses those that are too large."""
    report("2 Viewer", "demo_pan_06")
    driver.switch_to.frame(until(driver, "return document.querySelector('iframe')"))
    until(driver, "return document.querySelector('canvas')?.dataset.frame === '0'")
    assert driver.execute_script("return location.protocol") == "data:"
    labels = driver.execute_script(
        "return [...document.querySelectorAll('.panel .name')].map(e => e.textContent)"
    )
    assert labels == ["Input", "Optical flow", "Gaze (truth)", "Early fusion", "Centre"]
    driver.find_element("id", "play").click()
    until(driver, "return document.getElementById('clock').currentTime > 0.3")
    frames = driver.execute_script(
        "return [...document.querySelectorAll('canvas')].map(c => c.dataset.frame)"
    )
    assert len(set(frames)) == 1
    assert int(frames[0]) > 0
    assert driver.execute_script("return document.getElementById('clock').error") is None
    driver.switch_to.default_content()
    picture(driver, tmp_path / "viewer.png")


@pytest.mark.slow
def test_all_videos_on_one_page(driver, reported, tmp_path):
    driver.get((reported / "results" / "demo" / "viewer.html").as_uri())
    until(driver, "return document.querySelector('canvas')?.dataset.frame === '0'")
    videos = driver.execute_script(
        "return [...document.querySelectorAll('#video option')].map(e => e.textContent)"
    )
    assert videos == ["demo_crowd_05_480x360", "demo_pan_06_640x360"]
    assert len(list((reported / "results" / "demo" / "viewer").glob("*.html"))) == 2
    picture(driver, tmp_path / "viewer.png")
