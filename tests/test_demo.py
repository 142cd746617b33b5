"""The demo data set: DIEM's format, determinism, and a world in which neither cue suffices alone."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import h5py
import numpy as np
import numpy.typing as npt
import pytest

from dynsal.config import DatasetConfig
from dynsal.datasets.demo import Demo, generate
from dynsal.datasets.demo_names import KINDS, VALIDATION, VIDEOS, parse_name
from dynsal.datasets.demo_paint import paint
from dynsal.datasets.demo_scene import GRID, Scene, density, make_scene, mixture
from dynsal.datasets.demo_viewers import N_VIEWERS, record
from dynsal.errors import DataError
from dynsal.metrics import sauc

Floats = npt.NDArray[np.float64]
SMALL = "demo_pan_91_160x120"
ROOT = Path(__file__).resolve().parents[1]


def digest(folder: Path) -> dict[str, str]:
    """Return the hash of every file under a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def table(text: str) -> Floats:
    """Read an event file, independently of the reader under test elsewhere."""
    return np.array([[float(cell) for cell in line.split("\t")] for line in text.split("\r\n")[:-1]])


def gaze(scene: Scene, texts: list[str]) -> list[Floats]:
    """Return the fixations of every frame in pixels of the density's grid (protocol 3.4)."""
    points: list[list[Floats]] = [[] for _ in range(scene.n_frames)]
    size = np.array([scene.width, scene.height])
    for text in texts:
        rows = table(text)
        for row in rows[(rows[:, 4] == 1) & (rows[:, 8] == 1)]:
            x = (row[1:3] + row[5:7]) / 2 - (np.array([1280, 960]) - size) / 2
            if (x >= 0).all() and (x < size).all():
                points[int(row[0]) - 1].append(x / size * GRID[::-1] - 0.5)
    return [np.array(each).reshape(-1, 2) for each in points]


def blobs(scene: Scene, frame: int, *roles: str) -> Floats:
    """Return a map with equal peaks on all things of the given roles."""
    ys = (np.arange(GRID[0]) + 0.5) * scene.height / GRID[0]
    xs = (np.arange(GRID[1]) + 0.5) * scene.width / GRID[1]
    total = np.zeros(GRID)
    for thing in scene.things:
        if thing.role in roles:
            x, y = thing.path[frame]
            sigma = np.hypot(0.6 * thing.radius, 15)
            total += np.exp(-((xs - x) ** 2 + (ys[:, None] - y) ** 2) / (2 * sigma**2))
    return total


def motion(scene: Scene, frame: int) -> Floats:
    """Return the speed of everything in the image, the panned background's included."""
    ys = (np.arange(GRID[0]) + 0.5) * scene.height / GRID[0]
    xs = (np.arange(GRID[1]) + 0.5) * scene.width / GRID[1]
    speed = np.full(GRID, np.hypot(*scene.pan))
    for thing in scene.things:
        if thing.role in ("mover", "target"):
            x, y = thing.path[frame]
            inside = (xs - x) ** 2 + (ys[:, None] - y) ** 2 < thing.radius**2
            speed[inside] = np.hypot(*(thing.path[frame] - thing.path[frame - 1]))
    return np.asarray(cv2.GaussianBlur(speed, (0, 0), 2), dtype=np.float64)


def centre(scene: Scene, frame: int) -> Floats:
    """Return the centre prior."""
    y, x = np.mgrid[: GRID[0], : GRID[1]]
    return np.exp(-0.5 * (((x - 39.5) / 13) ** 2 + ((y - 29.5) / 10) ** 2))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small video once."""
    root = tmp_path_factory.mktemp("demo")
    generate(SMALL, root, 0, n_frames=40)
    return root


def test_split_file_repeats_the_list() -> None:
    """The workflow reads the file, the code the constant."""
    with (ROOT / "resources/splits/demo.csv").open(encoding="utf-8") as file:
        assert {row["video"]: row["split"] for row in csv.DictReader(file)} == VIDEOS
    assert list(VIDEOS.values()).count("test") == 6
    assert all(VIDEOS[video] == "train" for video in VALIDATION)
    for split in ("train", "test"):
        assert {parse_name(v).kind for v, s in VIDEOS.items() if s == split} == set(KINDS)  # type: ignore[union-attr]


def test_names_are_readable_without_numpy() -> None:
    """Every job of the workflow parses the list."""
    code = (
        "import importlib.util as u, sys; s = u.spec_from_file_location('names', sys.argv[1]); "
        "m = u.module_from_spec(s); s.loader.exec_module(m); assert 'numpy' not in sys.modules; assert m.VIDEOS"
    )
    subprocess.run([sys.executable, "-c", code, ROOT / "src/dynsal/datasets/demo_names.py"], check=True)


@pytest.mark.parametrize(
    "name", ["bees_640x480", "demo_pan_01_641x480", "demo_zoom_01_640x480", "demo_pan_01_1400x480"]
)
def test_other_names_are_refused(name: str, tmp_path: Path) -> None:
    """An odd side, an unknown kind, or more than the screen."""
    with pytest.raises(DataError, match="no demo video"):
        generate(name, tmp_path, 0)
    assert not list(tmp_path.iterdir())


def test_same_seed_same_bytes(small: Path, tmp_path: Path) -> None:
    """In another process, and after another video."""
    code = (
        "import sys; from pathlib import Path; from dynsal.datasets.demo import generate\n"
        "generate('demo_still_92_160x120', Path(sys.argv[1]), 0, n_frames=40, n_viewers=2)\n"
        "generate(sys.argv[2], Path(sys.argv[1]), 0, n_frames=40)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path, SMALL], check=True)
    assert digest(tmp_path / SMALL) == digest(small / SMALL)
    for _ in range(5):  # x264's macroblock tree gives other bytes now and then
        generate(SMALL, tmp_path, 0, n_frames=40)
        assert digest(tmp_path / SMALL) == digest(small / SMALL)


def test_seed_and_name_matter() -> None:
    """Videos differ from each other, and seeds do."""
    one = make_scene(SMALL, 0, 40)
    assert not np.array_equal(one.origin, make_scene(SMALL, 1, 40).origin)
    assert not np.array_equal(one.origin, make_scene("demo_pan_93_160x120", 0, 40).origin)
    assert next(paint(one, 0)).shape == (120, 160, 3)


def test_manifest_lists_every_file(small: Path) -> None:
    """Bytes and hashes are those on disk, and nothing is left out."""
    files = digest(small / SMALL)
    files.pop("manifest.json")
    manifest = json.loads((small / SMALL / "manifest.json").read_text())
    assert {name: entry["sha256"] for name, entry in manifest.items()} == files
    assert all((small / SMALL / name).stat().st_size == entry["bytes"] for name, entry in manifest.items())
    assert len(manifest) == N_VIEWERS + 2


def test_generating_again_leaves_no_stale_recordings(tmp_path: Path) -> None:
    """Fewer viewers the second time."""
    for n in (5, 3):
        generate(SMALL, tmp_path, 0, n_frames=32, n_viewers=n)
    assert len(list((tmp_path / SMALL / "event_data").iterdir())) == 3


def test_video_is_h264_of_the_native_size(small: Path) -> None:
    """And as long as it should be."""
    capture = cv2.VideoCapture(str(small / SMALL / "video" / f"{SMALL}.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_WIDTH) == 160
    assert capture.get(cv2.CAP_PROP_FRAME_HEIGHT) == 120
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(30)
    n = 0
    while capture.read()[0]:
        n += 1
    assert n == 40


def test_truth_sums_to_one(small: Path) -> None:
    """Per frame, over the movie's area, and says what it is."""
    with h5py.File(small / SMALL / "truth.h5") as file:
        data = file["density"]
        assert data.shape == (40, *GRID)
        assert data.dtype == np.float32
        np.testing.assert_allclose(data[()].sum((1, 2), dtype=float), 1, atol=1e-5)
        assert (data[()] >= 0).all()
        assert data.attrs["description"].startswith("synthetic")
        assert file.attrs["kind"] == "pan"


def test_real_reader_takes_it_for_diem(small: Path) -> None:
    """Frames, true density, and exactly the fixations that an independent reading of the text finds."""
    demo = Demo(small, DatasetConfig())
    scene = make_scene(SMALL, 0, 40)
    np.testing.assert_array_equal(demo.truth(SMALL), density(scene))
    frames = [frame for _, frame in demo.open_frames(SMALL)]
    assert len(frames) == 40
    for frame, painted in zip(frames, paint(scene, 0), strict=True):
        assert np.abs(frame.astype(float) - painted).mean() < 8  # the codec, no shift in time or place
    found = demo.fixations(SMALL)
    mine = gaze(scene, [item.text for item in record(scene, 0)])
    table_ = found.table
    assert len(table_) == sum(map(len, mine)) > 0
    for index in (0, 17, 30):
        rows = table_[table_["frame"] == index]
        points = (rows[["x", "y"]].to_numpy() + 0.5) * GRID[::-1] / (160, 120) - 0.5
        np.testing.assert_allclose(np.sort(points, axis=0), np.sort(mine[index], axis=0), atol=1e-3)


def test_missing_truth_is_one_clear_line(tmp_path: Path) -> None:
    """With the path and the remedy."""
    with pytest.raises(DataError, match=r"truth\.h5.*generate it again"):
        Demo(tmp_path, DatasetConfig()).truth(SMALL)


def test_event_files_follow_the_release(small: Path) -> None:
    """Names, bytes and columns as in protocol 3.2."""
    pattern = re.compile(r"^diem(\d+)s(\d+[a-z]?)\.asc_(\d+)_(.+)\.txt$")
    names = [pattern.fullmatch(path.name) for path in sorted((small / SMALL / "event_data").iterdir())]
    assert all(name is not None and name[4] == SMALL for name in names)
    subjects = [(name[1], name[2]) for name in names if name is not None]
    assert {experiment for experiment, _ in subjects} == {"1", "2"}
    assert any(subject[-1].isalpha() for _, subject in subjects)
    assert len(set(subjects)) == N_VIEWERS
    lengths = set()
    for path in (small / SMALL / "event_data").iterdir():
        text = path.read_bytes().decode("ascii")
        assert text.endswith("\r\n")
        assert text.count("\r\n") == text.count("\n")
        rows = table(text)
        assert rows.shape[1] == 9
        np.testing.assert_array_equal(rows[:, 0], np.arange(1, len(rows) + 1))
        lengths.add(len(rows))
    assert len(lengths) == 1
    assert lengths <= {38, 39}


def test_event_statistics_resemble_real_files() -> None:
    """Proportions measured on 100 real recordings (protocol 3.3), on all demo videos together."""
    rows = np.concatenate([table(item.text) for video in VIDEOS for item in record(make_scene(video, 0), 0)])
    share = {
        (left, right): float(((rows[:, 4] == left) & (rows[:, 8] == right)).mean())
        for left in (-1, 0, 1, 2)
        for right in (-1, 0, 1, 2)
    }
    assert share[1, 1] == pytest.approx(0.83, abs=0.04)
    assert share[2, 1] == pytest.approx(0.104, abs=0.03)
    assert share[0, 0] == pytest.approx(0.039, abs=0.02)
    assert 0.002 < share[0, 1] + share[1, 0] < 0.03
    assert 0 < share[-1, -1] < 0.005
    assert not (rows[:, 8] == 2).any()
    assert not rows[rows[:, 4] == -1][:, 1:4].any()
    assert (np.abs(rows[:, [1, 5]]) > 1280).any()
    started = rows[(rows[:, 4] == 0) & (rows[:, 1] != 0)]
    assert len(started) > 0  # a blink may still carry a position


def test_things_move_against_the_background() -> None:
    """Visibly at the smallest working size, targets and movers alike; look-alikes not at all."""
    for video in VIDEOS:
        scene = make_scene(video, 0)
        for thing in scene.things:
            steps = np.diff(thing.path + scene.origin, axis=0)
            speed = np.median(np.hypot(*steps.T)) * 640 / scene.width
            if thing.role in ("target", "mover"):
                assert 1.5 < speed < 11
                assert (thing.path.min(0) >= 0).all()
                assert (thing.path.max(0) <= (scene.width, scene.height)).all()
            else:
                assert speed < 1e-9
            assert 2 * thing.radius >= scene.width / 12


def test_viewers_follow_the_density() -> None:
    """The true density is as high at their fixations as draws from it expect: no bias, no extra spread."""
    at_gaze, expected = [], []
    for video in ("demo_pan_01_640x480", "demo_still_01_640x480", "demo_crowd_02_640x360"):
        scene = make_scene(video, 0, 60)
        maps = density(scene)
        points = gaze(scene, [item.text for item in record(scene, 0, 200)])
        for frame in range(0, 58, 4):
            columns, rows = np.floor(points[frame] + 0.5).astype(int).T
            at_gaze.append(maps[frame][rows, columns].mean())
            expected.append((maps[frame] ** 2).sum())
    assert np.mean(at_gaze) == pytest.approx(np.mean(expected), rel=0.04)


def test_mixture_weights_sum_to_one() -> None:
    """In every frame, also when a role has nothing in view."""
    for video in ("demo_pan_01_640x480", "demo_crowd_01_640x480"):
        np.testing.assert_allclose(mixture(make_scene(video, 0)).weights.sum(1), 1)


@pytest.fixture(scope="module")
def ranking() -> dict[str, float]:
    """Mean sAUC of hand-made predictors over the test videos, negatives from the other videos."""
    scenes = {video: make_scene(video, 0) for video, split in VIDEOS.items() if split == "test"}
    texts = {video: [item.text for item in record(scene, 0)] for video, scene in scenes.items()}
    points = {video: gaze(scene, texts[video]) for video, scene in scenes.items()}
    halves = {video: gaze(scene, texts[video][::2]) for video, scene in scenes.items()}
    others = {video: gaze(scene, texts[video][1::2]) for video, scene in scenes.items()}
    scores: dict[str, list[float]] = {}
    for video, scene in scenes.items():
        negatives = np.concatenate([np.concatenate(points[other]) for other in scenes if other != video])
        maps = density(scene)
        for frame in range(6, scene.n_frames - 3, 6):
            predictions = {
                "centre": centre(scene, frame),
                "appearance": blobs(scene, frame, "target", "lookalike"),
                "motion": motion(scene, frame),
                "relative motion": blobs(scene, frame, "target", "mover"),
                "both": blobs(scene, frame, "target") + 1e-3 * centre(scene, frame),
                "truth": maps[frame],
            }
            for name, prediction in predictions.items():
                score = sauc(prediction, points[video][frame], negatives)
                scores.setdefault(name, []).append(score)
            human = np.zeros(GRID)
            for x, y in np.floor(halves[video][frame] + 0.5).astype(int):
                human[y, x] += 1
            degree = (50 * GRID[1] / scene.width, 50 * GRID[0] / scene.height)
            human = cv2.GaussianBlur(human, (0, 0), sigmaX=degree[0], sigmaY=degree[1])
            scores.setdefault("human", []).append(sauc(human, others[video][frame], negatives))
    return {name: float(np.nanmean(values)) for name, values in scores.items()}


def test_neither_cue_suffices_alone(ranking: dict[str, float]) -> None:
    """Appearance falls for look-alikes, motion for movers and pans; both together do best."""
    single = max(ranking["appearance"], ranking["motion"], ranking["relative motion"])
    assert ranking["centre"] < min(ranking["appearance"], ranking["motion"]) - 0.05
    assert ranking["motion"] <= ranking["relative motion"]
    assert single < ranking["both"] - 0.06


def test_truth_is_the_ceiling(ranking: dict[str, float]) -> None:
    """Nothing beats the density that the viewers were drawn from, and humans come close."""
    assert ranking["truth"] == max(ranking.values())
    assert 0.85 < ranking["truth"] < 0.93
    assert ranking["truth"] - 0.08 < ranking["human"] < ranking["truth"]
