"""Training samples, against the same files read by hand."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsal.batches import BatchOrder, Failure, Loader, _Slots, in_order
from dynsal.clips import create, describe
from dynsal.config import GazeConfig
from dynsal.errors import DataError
from dynsal.gaze import Gaze, scale_points, sort_table, write_gaze
from dynsal.samples import ClipSamples, planes, sources

SIZE = (32, 16)
SOURCE = (64, 48)
FRAMES = (0, 2, 4, 6, 8)
FIXATED = {0: 3, 2: 1, 6: 2, 8: 2}
"""Frame -> viewers; nobody looks at frame 4."""
PX_PER_DEG = 6.0
BOTH = ("frame", "flow")


def write_clip(path: Path, size: tuple[int, int], frames=FRAMES, seed: int = 0, **kinds: bool) -> None:
    rng = np.random.default_rng(seed)
    quality, step = 95 if kinds.get("jpeg", True) else None, 1 / 16 if kinds.get("flow", True) else None
    with create(path, size, quality, step) as writer:
        for frame in frames:
            bgr = np.full((*size[::-1], 3), rng.integers(0, 255, 3), np.uint8)
            field = rng.normal(0, 2, (*size[::-1], 2)).astype(np.float32)
            writer.append(
                frame,
                frame / 30,
                bgr if kinds.get("jpeg", True) else None,
                field if kinds.get("flow", True) else None,
            )
        describe(writer, source_frames=10)


def write_points(path: Path, seed: int = 0, viewers=FIXATED) -> pd.DataFrame:
    """Write points anywhere in the source picture, borders included; return them in source pixels."""
    rng = np.random.default_rng(seed)
    frames = np.repeat(list(viewers), list(viewers.values()))
    x, y = (rng.uniform(-0.5, side - 0.5, len(frames)) for side in SOURCE)
    x[0], y[0] = -0.5, SOURCE[1] - 0.5 - 1e-9
    table = sort_table(frames, np.arange(len(frames)).astype(str), x, y)
    write_gaze(path, Gaze(table, {}, 10, SOURCE), SIZE, PX_PER_DEG, path.stem)
    return table


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for seed, video in enumerate(("a", "b")):
        write_points(folder / "gaze" / f"{video}.parquet", seed)
        write_clip(folder / "frames" / f"{video}.h5", SIZE, seed=seed, flow=False)
        write_clip(folder / "flow" / f"{video}.h5", SIZE, seed=seed, jpeg=False)
        for factor in (2, 4):
            size = (SIZE[0] // factor, SIZE[1] // factor)
            write_clip(folder / "augmented" / f"x{factor}" / f"{video}.h5", size, seed=10 * factor + seed)
    return folder


@pytest.fixture(scope="module")
def samples(results) -> ClipSamples:
    return ClipSamples(sources(results, ["a", "b"], [4, 1, 2]), GazeConfig(), BOTH)


def by_hand(results: Path, video: str, factor: int, position: int) -> dict[str, np.ndarray]:
    """Read a sample with h5py and pandas, and add up its Gaussians pixel by pixel."""
    copy = results / "augmented" / f"x{factor}" / f"{video}.h5"
    with h5py.File(results / "frames" / f"{video}.h5" if factor == 1 else copy) as file:
        bgr = cv2.imdecode(file["jpeg"][position], cv2.IMREAD_COLOR)
        frame = int(file["frame"][position])
    with h5py.File(results / "flow" / f"{video}.h5" if factor == 1 else copy) as file:
        flow = file["flow"][position]
    table = pd.read_parquet(results / "gaze" / f"{video}.parquet")
    points = table.loc[table["frame"] == frame, ["x", "y"]].to_numpy()
    width, height = SIZE[0] // factor, SIZE[1] // factor
    density, counts = np.zeros((height, width)), np.zeros((height, width))
    sx, sy = PX_PER_DEG * width / SOURCE[0], PX_PER_DEG * height / SOURCE[1]
    for x, y in points:
        # On the continuous picture of [0, 1) x [0, 1), whatever the resolution.
        u, v = (x + 0.5) / SIZE[0], (y + 0.5) / SIZE[1]
        counts[int(v * height), int(u * width)] += 1
        for row in range(height):
            for column in range(width):
                across, down = (column + 0.5 - u * width) / sx, (row + 0.5 - v * height) / sy
                density[row, column] += np.exp(-(across**2 + down**2) / 2)
    return {
        "frame": bgr.transpose(2, 0, 1),
        "flow": flow.transpose(2, 0, 1),
        "density": (density / density.sum())[None],
        "fixations": counts[None],
    }


def test_every_item_against_the_files(results, samples):
    """All resolutions, all videos, all usable frames, in the order of the sources."""
    item = 0
    for factor in (1, 2, 4):
        for video in ("a", "b"):
            for position, frame in enumerate(FRAMES):
                if frame not in FIXATED:
                    continue
                found, expected = samples[item], by_hand(results, video, factor, position)
                for name in (*BOTH, "fixations"):
                    np.testing.assert_array_equal(found[name].numpy(), expected[name], err_msg=name)
                np.testing.assert_allclose(
                    found["density"].numpy(), expected["density"], rtol=1e-4, atol=1e-9
                )
                assert found["fixations"].sum() == FIXATED[frame]
                item += 1
    assert item == len(samples)


def test_kinds_and_mass(samples):
    kinds = {"frame": torch.uint8, "flow": torch.float16, "density": torch.float32, "fixations": torch.uint8}
    for index in range(len(samples)):
        assert {name: value.dtype for name, value in samples[index].items()} == kinds
        assert float(samples[index]["density"].sum()) == pytest.approx(1, abs=1e-5)


def test_frames_without_fixation_are_counted(samples):
    """One frame of five, in two videos at three resolutions."""
    assert len(samples) == 2 * 3 * len(FIXATED)
    assert samples.without_fixation == 2 * 3


def test_groups_part_the_items_by_resolution(samples):
    """Largest first; each index in exactly one group."""
    assert [len(group) for group in samples.groups] == [2 * len(FIXATED)] * 3
    assert sorted(index for group in samples.groups for index in group) == list(range(len(samples)))
    for group, factor in zip(samples.groups, (1, 2, 4), strict=True):
        assert {tuple(samples[i]["density"].shape) for i in group} == {
            (1, SIZE[1] // factor, SIZE[0] // factor)
        }


@given(x=st.integers(0, 32 * 64 - 1), y=st.integers(0, 16 * 64 - 1), factor=st.sampled_from([1, 2, 4]))
@settings(max_examples=200, deadline=None)
def test_a_points_pixel_in_the_copy_contains_its_pixel(x, y, factor):
    """Shrinking by averaging merges blocks of pixels; a point must stay in its block, borders included."""
    point = np.array([[x / 64 - 0.5, y / 64 - 0.5]])
    pixel = np.floor(point + 0.5)
    np.testing.assert_array_equal(np.floor(scale_points(point, factor) + 0.5), pixel // factor)


@pytest.mark.parametrize("inputs", [("frame",), ("flow",), ()])
def test_only_what_the_net_looks_at(results, inputs):
    some = ClipSamples(sources(results, ["a"], [1, 2]), GazeConfig(), inputs)
    assert set(some[0]) == {"density", "fixations", *inputs}


def test_what_is_not_asked_for_is_not_read(results, tmp_path):
    """A net without flow trains even where the fields themselves are damaged."""
    copied = tmp_path / "flow.h5"
    copied.write_bytes((results / "flow" / "a.h5").read_bytes())
    with h5py.File(copied, "r+") as file:
        del file["flow"]
    source = sources(results, ["a"], [1])[0]
    broken = type(source)(source.frames, copied, source.gaze)
    assert "frame" in ClipSamples([broken], GazeConfig(), ["frame"])[0]


@pytest.mark.parametrize("kind", [np.uint8, np.float16])
@given(height=st.integers(1, 40), width=st.integers(1, 40), channels=st.integers(2, 3))
def test_planes_are_the_transposed_pixels(kind, height, width, channels):
    """Every bit, not-a-numbers included."""
    raw = np.random.default_rng(0).integers(
        0, 256, (height, width, channels * np.dtype(kind).itemsize), np.uint8
    )
    found = planes(raw.view(kind))
    assert found.dtype == kind
    assert found.flags.c_contiguous
    assert found.tobytes() == np.ascontiguousarray(raw.view(kind).transpose(2, 0, 1)).tobytes()


def test_sigma_of_the_configuration(results):
    """A wider Gaussian, or more pixels per degree, flattens the density alike."""
    files = sources(results, ["a"], [1])
    peak = [
        float(ClipSamples(files, GazeConfig(**keys), ())[1]["density"].max())
        for keys in ({}, {"sigma_deg": 2.0}, {"px_per_deg": 2 * PX_PER_DEG})
    ]
    assert peak[0] > 1.5 * peak[1]
    assert peak[1] == peak[2]


@pytest.mark.parametrize(
    ("size", "frames"), [((16, 16), FRAMES), (SIZE, FRAMES[:-1]), (SIZE, (0, 2, 4, 6, 9))]
)
def test_files_that_do_not_belong_together(results, tmp_path, size, frames):
    write_clip(tmp_path / "flow.h5", size, frames, jpeg=False)
    source = sources(results, ["a"], [1])[0]
    with pytest.raises(DataError, match=r"flow\.h5: does not match .*a\.h5"):
        ClipSamples([type(source)(source.frames, tmp_path / "flow.h5", source.gaze)], GazeConfig(), BOTH)


def test_nothing_to_train_on(results, tmp_path):
    """Fixations on skipped frames only."""
    write_points(tmp_path / "odd.parquet", viewers={1: 2, 3: 1})
    source = sources(results, ["a"], [1])[0]
    with pytest.raises(DataError, match=r"odd\.parquet: no kept frame"):
        ClipSamples([type(source)(source.frames, source.flow, tmp_path / "odd.parquet")], GazeConfig(), BOTH)


def test_sources(results):
    full, half = sources(results, ["a"], [2, 1])
    assert full.files() == [
        results / kind / f"a.{end}" for kind, end in (("flow", "h5"), ("frames", "h5"), ("gaze", "parquet"))
    ]
    assert half.files() == [results / "augmented" / "x2" / "a.h5", results / "gaze" / "a.parquet"]


def test_evenly_spaced(results):
    """First and last included, without repeats, in order; the data set itself stays whole."""
    whole = ClipSamples(sources(results, ["a", "b"], [1]), GazeConfig(), BOTH)
    assert len(whole) == 8
    for count, chosen in {1: [0], 2: [0, 7], 3: [0, 4, 7], 8: range(8), 100: range(8)}.items():
        view = whole.evenly_spaced(count)
        assert len(view) == len(chosen)
        assert view.groups == [list(range(len(chosen)))]
        for index, original in enumerate(chosen):
            for name, value in whole[original].items():
                assert torch.equal(view[index][name], value)
    assert len(whole) == 8
    assert whole.groups == [list(range(8))]


def batches_of(samples: ClipSamples, workers: int) -> list[dict[str, torch.Tensor]]:
    """Return copies: a worker's memory is used again."""
    lock = os.open(os.devnull, os.O_RDONLY)
    try:
        with Loader(samples, in_order(samples.groups, 3), workers, torch.device("cpu"), lock) as loader:
            return [{name: value.clone() for name, value in batch.items()} for batch in loader]
    finally:
        os.close(lock)


def test_a_worker_gives_the_same(results):
    """Even when this process already holds the files open."""
    samples = ClipSamples(sources(results, ["a", "b"], [1, 2]), GazeConfig(), BOTH)
    here, there = batches_of(samples, 0), batches_of(samples, 1)
    assert len(here) == len(there) == 6
    for one, other in zip(here, there, strict=True):
        assert set(one) == set(other)
        for name in one:
            assert torch.equal(one[name], other[name])


class Numbered:
    """Samples that say which they are, of two sizes and kinds."""

    def __init__(self, count: int) -> None:
        self.groups = [list(range(0, count, 2)), list(range(1, count, 2))]
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        size = 3000 if index % 2 else 500
        return {
            "odd": torch.full((3,), index, dtype=torch.uint8),
            "large": torch.full((size, 7), index, dtype=torch.float32),
            "double": torch.tensor(index, dtype=torch.float64),
        }


@pytest.mark.parametrize("workers", [1, 2])
def test_a_batch_outlives_the_next(workers):
    """Its memory is used again only when the second next is asked for, however many workers run ahead."""
    samples = Numbered(240)
    order = BatchOrder(samples.groups, 4, 0)
    wanted = [order.batch(step) for step in range(90)]
    with Loader(samples, wanted, workers, torch.device("cpu"), None) as loader:
        before: dict[str, torch.Tensor] = {}
        for number, batch in enumerate(loader):
            time.sleep(0.002)  # so that workers get as far ahead as they may
            for found, at in ((batch, number), (before, number - 1)):
                for name, value in found.items():
                    expected = torch.stack([samples[index][name] for index in wanted[at]])
                    assert torch.equal(value, expected), (name, at)
                    assert value.dtype == expected.dtype
            before = batch
    assert number == 89


def test_slots_take_turns_and_grow():
    """The fifth batch lies where the first lay; a larger one gets more room."""
    slots, samples = _Slots(), Numbered(8)
    small, large = [samples[0], samples[2]], [samples[1], samples[3]]
    places = [slots(small).memory.data_ptr() for _ in range(8)]
    assert len(set(places[:4])) == 4
    assert places[4:] == places[:4]
    grown = slots(large)
    assert grown.memory.is_shared()
    assert grown.memory.nbytes > slots(small).memory.nbytes
    failure = Failure("there", "is broken", "mend it")
    assert slots([samples[0], failure]) is failure


class Offsets(torch.utils.data.Dataset):
    """Moves the read position of every file that a process's samples use, and tells which process it was."""

    def __init__(self, samples: ClipSamples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        self.samples[index]
        for descriptor in descriptors(self.samples):
            os.lseek(descriptor, 4321, os.SEEK_SET)
        return os.getpid()


def descriptors(samples: ClipSamples) -> list[int]:
    return [clip._handle.id.get_vfd_handle() for clip in samples.files._open.values()]


def test_no_open_file_is_shared_after_fork(results, tmp_path):
    """Two processes with one open file have one read position: moving it there must not move it here."""
    shutil.copytree(results, tmp_path / "own")  # no other test's samples hold these open
    samples = ClipSamples(sources(tmp_path / "own", ["a"], [1]), GazeConfig(), BOTH)
    samples[0]
    mine = descriptors(samples)
    assert len(mine) == 2
    for descriptor in mine:
        os.lseek(descriptor, 17, os.SEEK_SET)
    loader = torch.utils.data.DataLoader(Offsets(samples), num_workers=1, multiprocessing_context="fork")
    assert next(iter(loader)).item() != os.getpid()
    assert [os.lseek(descriptor, 0, os.SEEK_CUR) for descriptor in mine] == [17, 17]
    assert set(samples[0]) == {"frame", "flow", "density", "fixations"}
