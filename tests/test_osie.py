"""The OSIE reader, on the original 700 images and fixations, and on broken copies of them."""

from __future__ import annotations

import random
from collections import Counter

import cv2
import numpy as np
import pytest
import scipy.io

from dynsal import layout
from dynsal.config import DatasetConfig
from dynsal.datasets import open_dataset
from dynsal.datasets.osie import Osie, read_fixations
from dynsal.errors import DataError
from dynsal.gaze import fixation_counts, to_working

CONFIG = DatasetConfig(name="osie", split="osie")
SHARDS = [*(f"train_{number:02d}" for number in range(7)), "test_00", "test_01"]


@pytest.fixture(scope="module")
def real(mirror) -> Osie:
    """Return the data set, read straight from the mirror folder, which has the same layout."""
    dataset = open_dataset(CONFIG, mirror / "osie")
    assert isinstance(dataset, Osie)
    return dataset


def test_split():
    """560 and 140 images, drawn with seed 0 as documented, every image once; within a shard in order."""
    assert list(layout.split("osie")) == SHARDS
    assert {shard: role for shard, role in layout.split("osie").items() if role == "test"} == dict.fromkeys(
        SHARDS[7:], "test"
    )
    drawn = random.Random(0).sample([f"{number}.jpg" for number in range(1001, 1701)], 700)
    starts = [*range(0, 561, 80), 630, 700]  # 7 shards of 80, 2 of 70
    for shard, start, stop in zip(SHARDS, starts[:-1], starts[1:], strict=True):
        assert layout.osie_images(shard) == sorted(drawn[start:stop])
    with pytest.raises(DataError, match=r"osie_images\.csv: has no shard train_07"):
        layout.osie_images("train_07")


@pytest.mark.data
def test_the_whole_file(real):
    """98,321 fixations: 15 viewers on each of 700 images, none without, 111 at least and 140.5 on average; all inside."""
    recorded = real.recorded
    assert list(recorded) == [f"{number}.jpg" for number in range(1001, 1701)]
    assert {tuple(viewers) for viewers in recorded.values()} == {tuple(map(str, range(1, 16)))}
    assert min(len(points) for viewers in recorded.values() for points in viewers.values()) > 0
    gazes = {shard: real.fixations(shard) for shard in SHARDS}
    assert sum(len(gaze.table) for gaze in gazes.values()) == 98_321
    counts = np.concatenate(
        [np.bincount(gaze.table["frame"], minlength=gaze.n_frames) for gaze in gazes.values()]
    )
    assert (len(counts), counts.min()) == (700, 111)
    assert counts.mean() == pytest.approx(140.46, abs=0.005)
    for gaze in gazes.values():
        assert gaze.dropped == {"outside_frame": 0}
        working = to_working(gaze.table, gaze.source_size, (160, 120))
        assert fixation_counts(working[["x", "y"]].to_numpy(), (160, 120)).sum() == len(gaze.table)


@pytest.mark.data
def test_one_image_against_the_matlab_file(real, mirror):
    """Frame, viewer and position of every fixation of an image in the middle of a shard, read by another path."""
    name = layout.osie_images("test_01")[33]
    cells = scipy.io.loadmat(mirror / "osie" / "fixations.mat", squeeze_me=True)["fixations"]
    cell = next(cell for cell in cells if cell["img"].item() == name)
    expected = [
        (33, str(number), x - 0.5, y - 0.5)
        for number, viewer in enumerate(cell["subjects"].item(), 1)
        for x, y in zip(
            np.atleast_1d(viewer["fix_x"].item()), np.atleast_1d(viewer["fix_y"].item()), strict=True
        )
    ]
    table = real.fixations("test_01").table
    found = table[table["frame"] == 33]
    assert list(found.itertuples(index=False, name=None)) == expected


@pytest.mark.data
def test_frames(real, mirror):
    """The named file of each index, 800x600."""
    frames = list(real.open_frames("train_03", lambda index: index in (0, 79)))
    assert len(frames) == 80 == real.fixations("train_03").n_frames
    names = real.names("train_03")
    for index in (0, 79):
        picture = frames[index][1]
        assert picture is not None
        assert picture.shape == (600, 800, 3)
        np.testing.assert_array_equal(picture, cv2.imread(str(mirror / "osie/stimuli" / names[index])))
    assert Counter(picture is None for _, picture in frames) == {True: 78, False: 2}


def write_mat(path, images) -> None:
    """Write a fixations.mat of the published structure: image -> viewers -> (xs, ys)."""

    def one(**fields):
        record = np.empty((1, 1), dtype=[(name, "O") for name in fields])
        record[0, 0] = tuple(fields.values())
        return record

    cells = np.empty((len(images), 1), object)
    for row, (image, viewers) in enumerate(images.items()):
        subjects = np.empty((len(viewers), 1), object)
        for number, (xs, ys) in enumerate(viewers):
            subjects[number, 0] = one(
                fix_x=np.array([xs], float), fix_y=np.array([ys], float), fix_duration=np.array([[200]])
            )
        cells[row, 0] = one(img=image, subjects=subjects)
    scipy.io.savemat(path, {"fixations": cells})


@pytest.fixture
def shard(monkeypatch):
    """Let the shard hold two images."""
    monkeypatch.setattr(layout, "osie_images", lambda _: ["1001.jpg", "1002.jpg"])


def test_coordinates_and_what_is_dropped(tmp_path, shard):
    """Half a pixel less than recorded; x is the long side; what is outside is counted."""
    write_mat(
        tmp_path / "fixations.mat",
        {
            "1002.jpg": [([700.0, 5.0], [20.0, 600.0])],
            "1001.jpg": [([0.0], [0.0]), ([-0.1, 800.0], [3.0, 3.0])],
        },
    )
    gaze = open_dataset(CONFIG, tmp_path).fixations("train_00")
    assert list(gaze.table.itertuples(index=False, name=None)) == [
        (0, "1", -0.5, -0.5),
        (1, "1", 699.5, 19.5),
    ]
    assert gaze.dropped == {"outside_frame": 3}
    assert (gaze.n_frames, gaze.source_size) == (2, (800, 600))


def test_broken_fixations(tmp_path, shard):
    path = tmp_path / "fixations.mat"
    with pytest.raises(DataError, match=r"fixations\.mat: there is no such file"):
        read_fixations(path)
    for data in (b"", b"<html>" * 100):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"fixations\.mat: cannot be read as OSIE's fixations"):
            read_fixations(path)
    scipy.io.savemat(path, {"fixations": np.ones((3, 3))})
    with pytest.raises(DataError, match="cannot be read as OSIE's fixations"):
        read_fixations(path)
    write_mat(path, {"1001.jpg": [([1.0], [1.0])]})
    with pytest.raises(DataError, match=r"fixations\.mat: has no image 1002\.jpg"):
        open_dataset(CONFIG, tmp_path).fixations("train_00")


def test_broken_images(tmp_path, shard):
    """Missing, cut short (OpenCV would paint the rest grey), of another size."""
    dataset, path = open_dataset(CONFIG, tmp_path), tmp_path / "stimuli" / "1001.jpg"
    with pytest.raises(DataError, match=r"1001\.jpg: cannot be read"):
        next(dataset.open_frames("train_00"))
    path.parent.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (600, 800, 3), np.uint8)
    cv2.imwrite(str(path), noise)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"1001\.jpg: is no JPEG, or one cut short"):
        next(dataset.open_frames("train_00"))
    cv2.imwrite(str(path), noise[:, :799])
    with pytest.raises(DataError, match=r"1001\.jpg: is 799x600, but the gaze refers to 800x600"):
        next(dataset.open_frames("train_00"))
