"""The SALICON reader: both releases, on the official ten-image example and on small archives of the same structure."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers import environment
from hypothesis import given
from hypothesis import strategies as st
from salicon_files import annotation, mat, name, picture, write_json, write_zip

from dynsal import layout
from dynsal.config import DatasetConfig
from dynsal.datasets import open_dataset
from dynsal.datasets.salicon import Salicon, image_id, official_map, read_mat, shard_number
from dynsal.datasets.salicon_points import read_points, write_points
from dynsal.errors import DataError
from dynsal.gaze import density, fixation_counts, sigma_px


def opened(root, release="2015r1") -> Salicon:
    dataset = open_dataset(DatasetConfig(name="salicon", split="salicon", release=release), root)
    assert isinstance(dataset, Salicon)
    return dataset


def with_points(root, part="train") -> Salicon:
    """Sort the JSON of a folder, as the workflow does, and open the data set."""
    dataset = opened(root)
    write_points(
        root / f"fixations_{part}2014.json.zip", dataset.places(part), root / "points" / f"{part}.parquet"
    )
    return dataset


# ---- the official example -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def example(mirror, tmp_path_factory):
    """Return the ten official images and their JSON, packed as the release is, and the JSON itself."""
    root, source = tmp_path_factory.mktemp("salicon"), mirror / "salicon_examples"
    text = (source / "annotations" / "fixations_train2014examples.json").read_bytes()
    write_zip(
        root / "images.zip",
        {f"images/train/{path.name}": path.read_bytes() for path in (source / "images").glob("*.jpg")},
    )
    write_zip(root / "fixations_train2014.json.zip", {"fixations_train2014.json": text})
    return with_points(root), json.loads(text)


@pytest.mark.data
def test_the_official_example(example):
    """610 annotations, 73,630 positions, 55 to 67 workers on each of ten images; every position where the JSON has it."""
    dataset, official = example
    gaze = dataset.fixations("train_00")
    assert gaze.n_frames == 10
    assert gaze.source_size == (640, 480)
    assert len(official["annotations"]) == 610
    assert len(gaze.table) == 73_630
    assert gaze.dropped == {"outside_frame": 0}
    workers = gaze.table.groupby("frame")["subject"].nunique()
    assert (workers.min(), workers.max(), workers.sum()) == (55, 67, 610)
    ids = dataset.image_ids("train_00")
    expected = sorted(
        (ids.index(entry["image_id"]), str(entry["worker_id"]), column - 1.0, row - 1.0)
        for entry in official["annotations"]
        for row, column in entry["fixations"]
    )
    assert sorted(gaze.table.itertuples(index=False, name=None)) == expected
    assert {record["file_name"]: record["id"] for record in official["images"]} == dict(
        zip(dataset.names("train_00"), ids, strict=True)
    )


@pytest.mark.data
def test_frames_of_the_official_example(example, mirror):
    """In the order of the names, pixel for pixel what OpenCV reads from the loose file; None where not wanted."""
    import cv2

    dataset, _ = example
    frames = list(dataset.open_frames("train_00", lambda index: index != 3))
    assert [time for time, _ in frames] == list(range(10))
    names = dataset.names("train_00")
    assert names == sorted(names)
    for index, (_, picture_) in enumerate(frames):
        if index == 3:
            assert picture_ is None
        else:
            loose = cv2.imread(str(mirror / "salicon_examples" / "images" / names[index]))
            np.testing.assert_array_equal(picture_, loose)


# ---- JSON, release 2015r1 -------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    """Return a folder with three training images, numbers 5, 7 and 9."""
    write_zip(tmp_path / "images.zip", {f"images/train/{name('train', n)}": picture(n) for n in (9, 5, 7)})
    return tmp_path


def test_rows_come_first_and_count_from_one(small):
    """Row 1, column 640 is the upper right corner; swapped, it would lie outside."""
    write_json(
        small / "fixations_train2014.json.zip",
        [annotation(1, 9, 3, [(1, 640), (480, 1)]), annotation(2, 5, 4, [(2, 3), (2, 3)])],
    )
    table = with_points(small).fixations("train_00").table
    assert list(table.itertuples(index=False, name=None)) == [
        (0, "4", 2.0, 1.0),
        (0, "4", 2.0, 1.0),
        (2, "3", 639.0, 0.0),
        (2, "3", 0.0, 479.0),
    ]
    corner = table.loc[table["frame"] == 2, ["x", "y"]].to_numpy()
    assert fixation_counts(corner, (640, 480))[0, 639] == 1


def test_positions_outside_are_dropped_and_counted(small):
    write_json(
        small / "fixations_train2014.json.zip",
        [annotation(1, 5, 1, [(0, 1), (1, 0), (481, 1), (1, 641), (-70_000, 99_999), (480, 640)])],
    )
    gaze = with_points(small).fixations("train_00")
    assert gaze.table[["x", "y"]].to_numpy().tolist() == [[639.0, 479.0]]
    assert gaze.dropped == {"outside_frame": 5}


@given(seed=st.integers(0, 2**32 - 1), buffered=st.integers(1, 60))
def test_any_order_and_any_buffer(tmp_path_factory, seed, buffered):
    """Annotations of all images interleaved, in shards of any kind: every position ends in its shard, none is lost."""
    rng = np.random.default_rng(seed)
    places = {int(image): divmod(place, 3) for place, image in enumerate(rng.permutation(50)[:8])}
    annotations = [
        annotation(
            number,
            int(rng.choice(list(places))),
            int(rng.integers(5)),
            rng.integers(1, 481, (int(rng.integers(0, 9)), 2)).tolist(),
        )
        for number in range(20)
    ]
    folder = tmp_path_factory.mktemp("any")
    source = write_json(folder / "fixations_val2014.json.zip", annotations)
    count = write_points(source, places, folder / "val.parquet", buffered)
    expected = sorted(
        (*places[entry["image_id"]], entry["worker_id"], column - 1, row - 1)
        for entry in annotations
        for row, column in entry["fixations"]
    )
    found = []
    for shard in range(3):
        *columns, outside = read_points(folder / "val.parquet", shard)
        assert outside == 0
        found += [(shard, *map(int, row)) for row in zip(*columns, strict=True)]
    assert count == len(found)
    assert sorted(found) == expected


def test_a_shard_touches_its_own_row_groups_only(tmp_path):
    """Every row group is of one shard, however the annotations are mixed."""
    annotations = [annotation(n, n % 4, n, [(1, 1)] * 10) for n in range(40)]
    source = write_json(tmp_path / "a.json.zip", annotations)
    write_points(source, {n: (n, 0) for n in range(4)}, tmp_path / "a.parquet", 95)
    with pq.ParquetFile(tmp_path / "a.parquet") as file:
        groups = [file.metadata.row_group(n).column(0).statistics for n in range(file.num_row_groups)]
    assert len(groups) > 4
    assert all(group.min == group.max for group in groups)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([annotation(7, 5, 1, [(1, 2)]), annotation(8, 6, 1, [(1, 2)])], "annotation 8 is of image 6, which images.zip lacks"),
        ([annotation(7, 5, 1, [(1, 2, 3)])], "annotation 7 is malformed"),
        ([{"id": 7, "image_id": 5, "fixations": []}], "annotation 7 is malformed .*worker_id"),
        ([annotation(7, 5, 1, [(1.5, 2)])], "annotation 7 is malformed .*whole numbers"),
        ([annotation(7, 5, 1, [("a", "b")])], "annotation 7 is malformed"),
        ([annotation(7, 5, 2**31, [(1, 1)])], "annotation 7 is malformed .*worker_id"),
        (["text"], "annotation text is malformed"),
        ([], "has no annotations"),
    ],
)  # fmt: skip
def test_malformed_annotations(small, body, message):
    """Named with archive, member and annotation; nothing is left behind."""
    write_json(small / "fixations_train2014.json.zip", body)
    with pytest.raises(
        DataError, match=rf"fixations_train2014\.json\.zip:fixations_train2014\.json: {message}"
    ):
        with_points(small)
    assert not list((small / "points").iterdir())


def test_broken_json(small):
    """Cut short, no JSON, or more than one file."""
    path = small / "fixations_train2014.json.zip"
    for text in (
        b'{"annotations": [{"id": 1',
        b"\xff\xfe",
        b'{"annotations": []} more',
        b'{"annotations": [%d]}' % 10**30,
    ):
        write_zip(path, {"a.json": text})
        with pytest.raises(DataError, match=r"json\.zip:a\.json: is no valid JSON") as caught:
            with_points(small)
        assert "\n" not in str(caught.value)
    write_zip(path, {"a.json": b"{}", "b/b.json": b"{}"})
    with pytest.raises(DataError, match=r"should hold one \.json file, found a\.json, b\.json"):
        with_points(small)


def test_points_file_of_something_else(small):
    (small / "points").mkdir()
    (small / "points" / "train.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"train\.parquet: is no file of SALICON's points"):
        opened(small).fixations("train_00")


def test_shard_without_gaze(small):
    """All of it outside: an error that counts, not an empty table."""
    write_json(small / "fixations_train2014.json.zip", [annotation(1, 5, 1, [(0, 0)])])
    with pytest.raises(DataError, match=r"no valid fixation at all .*outside_frame 1"):
        with_points(small).fixations("train_00")


_SORT = """
import json, sys, zipfile
from pathlib import Path
from dynsal.datasets.salicon_points import write_points
import resource
folder = Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = write_points(folder / "a.json.zip", {n: divmod(n, 500) for n in range(10_000)}, folder / "a.parquet", 100_000)
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path):
    """2.4 million positions of 10,000 images, one image after the other in turn, in 60 MiB beyond the libraries."""
    points = json.dumps([[240, 320 + k] for k in range(120)]).encode()
    body = bytearray(b'{"annotations": [')
    for number in range(20_000):
        body += b'%s{"id": %d, "image_id": %d, "worker_id": 1, "fixations": %s}' % (
            b", " if number else b"", number, number % 10_000, points,
        )  # fmt: skip
    write_zip(tmp_path / "a.json.zip", {"a.json": bytes(body + b"]}")})
    done = subprocess.run(
        [sys.executable, "-c", _SORT, str(tmp_path)],
        env=environment(PYTHONPATH=":".join(sys.path)),
        capture_output=True,
        text=True,
        check=True,
    )
    count, kilobytes = map(int, done.stdout.split())
    assert count == 2_400_000
    assert kilobytes < 60 * 1024


# ---- MATLAB, release 2017 -------------------------------------------------------------------------------------------


def test_release_2017(small):
    """Of a row, x comes first and counts from 1; positions outside are dropped and counted; `location` is not read."""
    gaze = {
        5: [np.array([[640, 1], [1, 480]], np.uint16), np.empty((0, 2))],
        7: [np.array([[0, 5], [641, 5], [5, 0], [5, 481], [-3, 7]], np.int16)],
        9: [np.array([[2.0, 3.0]]), np.array([[4, 5]], np.uint8), np.array([[math.nan, 5.0]])],
    }
    members = {f"train/COCO_train2014_{n:012d}.mat": mat(workers) for n, workers in gaze.items()}
    write_zip(small / "fixations_2017.zip", members)
    found = opened(small, "2017").fixations("train_00")
    assert list(found.table.itertuples(index=False, name=None)) == [
        (0, "1", 639.0, 0.0),
        (0, "1", 0.0, 479.0),
        (2, "1", 1.0, 2.0),
        (2, "2", 3.0, 4.0),
    ]
    assert found.dropped == {"outside_frame": 6}
    assert found.n_frames == 3


def test_release_2017_lacks_an_image(small):
    write_zip(
        small / "fixations_2017.zip",
        {f"train/{name('train', n)[:-4]}.mat": mat([np.ones((1, 2))]) for n in (5, 9)},
    )
    with pytest.raises(DataError, match=r"fixations_2017\.zip: has no train/COCO_train2014_0*7\.mat"):
        opened(small, "2017").fixations("train_00")


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_workers_without_fixations(workers):
    """However MATLAB saves an empty matrix."""
    for empty in (np.empty((0, 2)), np.empty((0, 0)), np.empty((1, 0))):
        assert [len(points) for points in read_mat(mat([empty] * workers), "x")] == [0] * workers


def test_damaged_mat():
    good = mat([np.ones((3, 2))])
    for data in (b"", b"junk" * 50, good[: len(good) // 2]):
        with pytest.raises(DataError, match=r"here: cannot be read as SALICON's gaze"):
            read_mat(data, "here")
    with pytest.raises(DataError, match="worker 1 are 2x3 numbers"):
        read_mat(mat([np.ones((2, 3))]), "here")


# ---- images and shards ----------------------------------------------------------------------------------------------


def test_shards_of_the_whole_release(tmp_path):
    """20, 10 and 10 shards of 500 images each, in the order of the names, every image once."""
    sizes = {"train": 10_000, "val": 5_000, "test": 5_000}
    rng = np.random.default_rng(0)
    names = {
        part: [name(part, int(number)) for number in rng.permutation(3 * size)[:size]]
        for part, size in sizes.items()
    }
    write_zip(tmp_path / "images.zip", {f"images/{part}/{n}": b"" for part in names for n in names[part]})
    dataset = opened(tmp_path)
    shards = [*layout.split("salicon"), *layout.blind("salicon")]
    for part, count in (("train", 20), ("val", 10), ("test", 10)):
        own = [shard for shard in shards if shard.startswith(part)]
        assert own == [f"{part}_{number:02d}" for number in range(count)]
        assert {len(dataset.names(shard)) for shard in own} == {500}
        assert [n for shard in own for n in dataset.names(shard)] == sorted(names[part])
        places = dataset.places(part)
        for shard in own:
            assert [places[image] for image in dataset.image_ids(shard)] == [
                (shard_number(shard)[1], index) for index in range(500)
            ]
    with pytest.raises(DataError, match="only 5000 images in a folder val, none for shard val_10"):
        dataset.names("val_10")


def test_last_shard_may_be_short(small):
    assert len(opened(small).names("train_00")) == 3
    info = opened(small).info("train_00")
    assert (info.width, info.height, info.fps, info.container_frames) == (640, 480, 1.0, 3)


def test_names_and_numbers():
    assert image_id("COCO_train2014_000000123067.jpg") == 123_067
    assert image_id("COCO_test2015_000000000001.jpg") == 1
    assert shard_number("train_07") == ("train", 7)
    with pytest.raises(ValueError, match="no name of a COCO image"):
        image_id("COCO_train2014_123067.jpg")
    for wrong in ("train", "train_7", "training_07", "_07", "train_xx"):
        with pytest.raises(DataError, match="is no shard of SALICON"):
            shard_number(wrong)


def test_strange_image_name(tmp_path):
    write_zip(tmp_path / "images.zip", {"images/train/holiday.jpg": b""})
    with pytest.raises(DataError, match=r"has holiday\.jpg, which is no name of a COCO image"):
        opened(tmp_path).names("train_00")


def test_damaged_images(tmp_path):
    """Named: one that does not decode, one of another size."""
    for data, message in ((b"no jpeg", "does not decode"), (b"", "does not decode"), (picture(0, (640, 479)), "is 640x479")):  # fmt: skip
        write_zip(tmp_path / "images.zip", {f"images/train/{name('train', 5)}": data})
        with pytest.raises(DataError, match=rf"COCO_train2014_0*5\.jpg: {message}"):
            list(opened(tmp_path).open_frames("train_00"))


def test_test_images_have_no_gaze(tmp_path):
    write_zip(tmp_path / "images.zip", {f"images/test/{name('test', 5)}": picture(5)})
    dataset = opened(tmp_path)
    assert len(list(dataset.open_frames("test_00"))) == 1
    with pytest.raises(DataError, match="test_00: the gaze of SALICON's test images is secret"):
        dataset.fixations("test_00")


# ---- maps -----------------------------------------------------------------------------------------------------------


def test_official_map_against_a_direct_sum():
    """Binary whatever the multiplicity; Gaussian cut at four sigma; mirrored at the edges; from 0 to 1."""
    size, sigma = (41, 29), 3.0
    points = np.array([[0, 0], [0, 0], [0, 0], [40, 3], [20.4, 27.6], [20, 28]], float)
    found = official_map(points, size, sigma)
    radius = int(4 * sigma + 0.5)
    kernel = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(-radius, radius + 1)]
    lit = {(0, 0), (40, 3), (20, 28)}

    def mirrored(place: int, length: int) -> int:
        place %= 2 * length
        return place if place < length else 2 * length - 1 - place

    naive = np.zeros(size[::-1])
    for y in range(size[1]):
        for x in range(size[0]):
            naive[y, x] = sum(
                kernel[dx + radius] * kernel[dy + radius]
                for dx in range(-radius, radius + 1)
                for dy in range(-radius, radius + 1)
                if (mirrored(x + dx, size[0]), mirrored(y + dy, size[1])) in lit
            )
    naive = (naive - naive.min()) / (naive.max() - naive.min())
    np.testing.assert_allclose(found, naive, atol=1e-12)
    assert (found.min(), found.max()) == (0.0, 1.0)


def test_official_sigma_is_one_degree():
    """sigma_deg 1 with the data set's own px_per_deg is the official width: the maps of one point agree inside."""
    sigma = sigma_px(1.0, Salicon.px_per_deg, (640, 480), (640, 480))
    assert sigma == (19.0, 19.0)
    point = np.array([[320.0, 240.0]])
    ours = density(point, (640, 480), sigma)
    np.testing.assert_allclose(official_map(point, (640, 480)), ours / ours.max(), atol=4e-4)
