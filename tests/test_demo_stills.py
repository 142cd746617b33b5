"""demo_stills: OSIE's form, the same bytes again, scenes of their own, and viewers who look where the truth says."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
from helpers import call
from scipy.stats import chi2, norm

from dynsal import layout
from dynsal.config import DatasetConfig
from dynsal.datasets import demo_stills, open_dataset
from dynsal.datasets.demo_names import KINDS, VIDEOS, parse_name
from dynsal.datasets.demo_paint import paint
from dynsal.datasets.demo_scene import GRID, make_scene, mixture
from dynsal.datasets.demo_stills import DemoStills, generate, scenes
from dynsal.errors import DataError
from dynsal.manifests import files, verify_manifest
from dynsal.metrics import sauc
from dynsal.originals import fetched
from dynsal.still_scoring import KnowsTruth

CONFIG = DatasetConfig(name="demo_stills", split="demo_stills")
SHARDS = ("train_00", "train_01", "train_02", "test_00")
SHARD = "test_00"
MIDDLE = 6


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> DemoStills:
    """Write a whole shard once."""
    root = tmp_path_factory.mktemp("demo_stills")
    generate(SHARD, root, 0)
    dataset = open_dataset(CONFIG, root)
    assert isinstance(dataset, DemoStills)
    return dataset


@pytest.fixture
def three(monkeypatch) -> None:
    """Let every shard hold three images."""
    monkeypatch.setattr(demo_stills, "IMAGES", 3)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files(folder).items()}


def grid_points(dataset: DemoStills) -> list[np.ndarray]:
    """Return each image's fixations in pixels of the true density."""
    table = dataset.fixations(SHARD).table
    scale = GRID[1] / dataset.size[0]
    return [
        (table.loc[table["frame"] == image, ["x", "y"]].to_numpy() + 0.5) * scale - 0.5 for image in range(40)
    ]


# Which images


def test_split():
    """Three shards of 40 images to learn from and one to test on, kinds in turn, all of one size."""
    assert layout.split("demo_stills") == dict(zip(SHARDS, ["train"] * 3 + ["test"], strict=True))
    for shard in SHARDS:
        names = scenes(shard)
        assert len(names) == 40
        assert {parse_name(name)[1:] for name in names} == {DemoStills.size}
        counts = [sum(parse_name(name).kind == kind for name in names) for kind in KINDS]
        assert sorted(counts) == [13, 13, 14]


def test_first_names():
    """Still, pan and crowd in turn; scenes are numbered on from shard to shard."""
    assert scenes("train_00")[:2] == ["demo_crowd_101_640x480", "demo_still_102_640x480"]
    assert scenes("train_02")[-1] == "demo_pan_220_640x480"
    assert scenes("test_00")[0] == "demo_pan_601_640x480"


def test_no_scene_is_shown_twice():
    """Neither in two shards, known or possible ones, nor in a video of the demo, whose numbers are below 100."""
    every = [name for part in ("train", "test") for n in range(10) for name in scenes(f"{part}_0{n}")]
    assert len(set(every)) == len(every) == 800
    assert not set(every) & set(VIDEOS)
    assert min(int(name.split("_")[2]) for name in every) > max(int(name.split("_")[2]) for name in VIDEOS)


@pytest.mark.parametrize(
    "shard", ["val_00", "train", "train_0", "train_10", "train_0x", "test_\u0660\u0661", ""]
)
def test_unknown_shards(tmp_path, shard):
    with pytest.raises(DataError, match="is no shard of demo_stills"):
        generate(shard, tmp_path, 0)
    assert not list(tmp_path.iterdir())


# Files


@pytest.mark.usefixtures("three")
def test_same_arguments_same_bytes(tmp_path):
    """Whatever else was generated before, and over what was there."""
    generate("train_01", tmp_path / "one", 0)
    generate("train_00", tmp_path / "two", 0)
    generate("train_01", tmp_path / "two", 1)
    other = contents(tmp_path / "two" / "train_01")
    generate("train_01", tmp_path / "two", 0)
    one, two = (contents(tmp_path / run / "train_01") for run in ("one", "two"))
    assert one == two
    assert set(one) == {"fixations.mat", "truth.h5", *(f"stimuli/{name}.jpg" for name in scenes("train_01"))}
    assert set(other) == set(one)
    assert all(other[name] != one[name] for name in one)
    verify_manifest(tmp_path / "one", "train_01", full=True)


@pytest.mark.usefixtures("three")
def test_no_time_of_day_in_the_matlab_file(tmp_path):
    """Where it stood, the file says that it is made up."""
    generate("test_00", tmp_path, 0)
    head = (tmp_path / "test_00" / "fixations.mat").read_bytes()[:128]
    assert head[:116].rstrip() == b"MATLAB 5.0 MAT-file, synthetic: made-up viewers of made-up images"
    assert head[124:] == b"\x00\x01IM"  # version 5, little-endian


@pytest.mark.usefixtures("three")
def test_without_a_manifest_until_all_is_written(tmp_path, monkeypatch):
    """An interruption leaves no shard that looks complete, even where one was."""
    generate("test_00", tmp_path, 0)
    monkeypatch.setattr(demo_stills, "paint", lambda *_: iter(()))
    with pytest.raises(StopIteration):
        generate("test_00", tmp_path, 0)
    assert not (tmp_path / "test_00" / "manifest.json").exists()


@pytest.mark.usefixtures("three")
def test_the_script(tmp_path):
    call("demo_stills", shard="test_00", root=tmp_path / "script", seed=2)
    generate("test_00", tmp_path / "function", 2)
    assert contents(tmp_path / "script") == contents(tmp_path / "function")


# Through the reader


def test_images_are_the_middle_frames_of_their_scenes(whole):
    """As painted, but for JPEG."""
    frames = list(whole.open_frames(SHARD, lambda index: index in (0, 1, 2)))
    assert [index for index, _ in frames] == list(range(40))
    assert whole.info(SHARD).container_frames == 40
    for (_, picture), name in zip(frames[:3], scenes(SHARD), strict=False):
        painted = list(paint(make_scene(name, 0, 12), 0))[MIDDLE]
        assert picture.shape == painted.shape == (480, 640, 3)
        assert cv2.PSNR(picture, painted) > 32
    assert frames[3][1] is None


def test_fixations_are_those_of_the_matlab_file(whole):
    """Frame, viewer and position, half a pixel less, read by another path; what is outside the image is dropped."""
    cells = scipy.io.loadmat(whole.root / SHARD / "fixations.mat", squeeze_me=True)["fixations"]
    assert [cell["img"].item() for cell in cells] == whole.names(SHARD)
    recorded, durations = [], []
    for image, cell in enumerate(cells):
        viewers = cell["subjects"].item()
        assert len(viewers) == 15
        for number, viewer in enumerate(viewers, 1):
            xs, ys, ms = (viewer[field].item() for field in ("fix_x", "fix_y", "fix_duration"))
            assert 6 <= len(xs) == len(ys) == len(ms) <= 9
            recorded += [(image, str(number), x - 0.5, y - 0.5) for x, y in zip(xs, ys, strict=True)]
            durations += ms.tolist()
    kept = [row for row in recorded if -0.5 <= row[2] < 639.5 and -0.5 <= row[3] < 479.5]
    gaze = whole.fixations(SHARD)
    assert sorted(gaze.table.itertuples(index=False, name=None)) == sorted(kept)
    assert gaze.dropped == {"outside_frame": len(recorded) - len(kept)}
    assert 0 < len(recorded) - len(kept) < 0.03 * len(recorded)
    assert 200 < np.mean(durations) < 280
    assert min(durations) > 0


def test_truth_is_the_density_of_the_middle_frame(whole):
    """Against the sum of the scene's Gaussians at some pixels."""
    truth = whole.truth(SHARD)
    assert isinstance(whole, KnowsTruth)
    assert (truth.shape, truth.dtype) == ((40, *GRID), np.float32)
    np.testing.assert_allclose(truth.sum((1, 2)), 1, rtol=1e-5)
    for image in (0, 21, 39):
        parts = mixture(make_scene(scenes(SHARD)[image], 0, 12))
        y, x = np.indices(GRID) * 8.0 + 4
        expected = sum(
            weight * norm.pdf(x, mean[0], sigma[0]) * norm.pdf(y, mean[1], sigma[1])
            for weight, mean, sigma in zip(
                parts.weights[MIDDLE], parts.means[MIDDLE], parts.sigmas, strict=True
            )
        )
        np.testing.assert_allclose(truth[image], expected / expected.sum(), atol=1e-7)


def misfit(truth: np.ndarray, points: list[np.ndarray], classes: int = 8) -> float:
    """Return the probability of a worse fit, by Pearson's chi-square over classes of pixels with like density."""
    observed, expected = np.zeros(classes), np.zeros(classes)
    for density, seen in zip(truth, points, strict=True):
        order = np.argsort(-density, axis=None)
        share = np.cumsum(density.ravel()[order])
        member = np.empty(density.size, int)
        member[order] = np.minimum((share * classes).astype(int), classes - 1)
        column, row = np.clip(np.rint(seen).astype(int), 0, [GRID[1] - 1, GRID[0] - 1]).T
        observed += np.bincount(member[row * GRID[1] + column], minlength=classes)
        expected += len(seen) * np.bincount(member, weights=density.ravel(), minlength=classes)
    return float(chi2.sf(((observed - expected) ** 2 / expected).sum(), classes - 1))


def test_viewers_look_where_the_truth_says(whole):
    """All fixations fit the densities in shares, the neighbours' densities not at all."""
    truth, points = whole.truth(SHARD), grid_points(whole)
    assert sum(map(len, points)) > 4000
    assert misfit(truth, points) > 0.001
    assert misfit(np.roll(truth, 1, axis=0), points) < 1e-100


def test_truth_tells_an_image_from_the_others(whole):
    """The truth is a far better guess than the mean of all images, for which shuffled AUC gives nothing."""
    truth, points = whole.truth(SHARD), grid_points(whole)
    scores = []
    for image, seen in enumerate(points):
        others = np.concatenate([other for number, other in enumerate(points) if number != image])
        scores.append(
            [sauc(guess.astype(float), seen, others) for guess in (truth[image], truth.mean(axis=0))]
        )
    of_truth, of_mean = np.mean(scores, axis=0)
    assert of_truth > 0.85
    assert of_mean < 0.65


def test_nothing_is_fetched():
    """Its manifest is generated, as the demo's is."""
    assert fetched(CONFIG, SHARD, with_gaze=True) == [f"{SHARD}/manifest.json"] * 2


# Damage


@pytest.mark.usefixtures("three")
def test_damage_is_named(tmp_path):
    """Each file of a shard missing and damaged; and what is put right is read anew by the same reader."""
    generate(SHARD, tmp_path, 0)
    dataset = open_dataset(CONFIG, tmp_path)
    before = dataset.fixations(SHARD).table
    reads = {
        "truth.h5": (dataset.truth, "truth.h5: cannot be read as a true density"),
        "fixations.mat": (dataset.fixations, "fixations.mat: (there is no such|cannot be read as OSIE's)"),
        f"stimuli/{scenes(SHARD)[1]}.jpg": (
            lambda shard: list(dataset.open_frames(shard)),
            f"{scenes(SHARD)[1]}.jpg: (cannot be read|is no JPEG, or one cut short)",
        ),
    }
    for name, (read, message) in reads.items():
        path = tmp_path / SHARD / name
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(DataError, match=message):
            read(SHARD)
        path.unlink()
        with pytest.raises(DataError, match=message):
            read(SHARD)
    generate(SHARD, tmp_path, 1)
    assert len(list(dataset.open_frames(SHARD))) == 3
    assert not dataset.fixations(SHARD).table.equals(before)
