"""Synthetic still images: reproducible, apart from the demo's videos, and their viewers follow the known density."""

from __future__ import annotations

import filecmp

import numpy as np
import pytest

from dynsal import layout, metrics
from dynsal.config import DatasetConfig
from dynsal.datasets.demo_names import VIDEOS
from dynsal.datasets.demo_stills import IMAGES, N_VIEWERS, DemoStills, generate, scenes
from dynsal.datasets.osie import read_fixations
from dynsal.errors import DataError
from dynsal.originals import fetched

CONFIG = DatasetConfig(name="demo_stills", split="demo_stills")
SHARD = "test_00"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo_stills")
    generate(SHARD, folder, 0)
    return folder


@pytest.fixture
def data(root) -> DemoStills:
    return DemoStills(root, CONFIG)


def test_no_scene_comes_twice():
    """Neither in two shards, nor in the demo's videos."""
    shards = layout.split("demo_stills")
    names = [name for shard in shards for name in scenes(shard)]
    assert len(set(names)) == len(names) == IMAGES * len(shards)
    numbers = {name.rsplit("_", 2)[1] for name in names}
    assert not numbers & {video.rsplit("_", 2)[1] for video in VIDEOS}


@pytest.mark.parametrize("shard", ["train_", "val_00", "train_99", "train", "test_x"])
def test_other_names_are_refused(shard, tmp_path):
    with pytest.raises(DataError, match="no shard"):
        generate(shard, tmp_path, 0)


def test_images(data):
    frames = [bgr for _, bgr in data.open_frames(SHARD)]
    assert [frame.shape for frame in frames] == [(480, 640, 3)] * IMAGES
    assert len({frame.tobytes() for frame in frames}) == IMAGES
    assert data.info(SHARD).container_frames == IMAGES


def test_gaze_is_in_osies_form(root, data):
    """Its reader reads the file, and every fixation within the image comes back where it was written."""
    recorded = read_fixations(root / SHARD / "fixations.mat")
    assert set(recorded) == set(data.names(SHARD))
    assert {len(viewers) for viewers in recorded.values()} == {N_VIEWERS}
    gaze = data.fixations(SHARD)
    written = np.concatenate([points for name in data.names(SHARD) for points in recorded[name].values()])
    inside = (written >= 0).all(1) & (written < [640, 480]).all(1)
    assert len(gaze.table) == inside.sum()
    assert gaze.dropped["outside_frame"] == (~inside).sum()
    np.testing.assert_allclose(
        np.sort(gaze.table["x"].to_numpy()), np.sort(written[inside, 0] - 0.5), atol=1e-9
    )


def test_viewers_follow_the_density(data):
    """The true density predicts them well, that of another image no better than chance."""
    truth, gaze = data.truth(SHARD), data.fixations(SHARD).table
    assert truth.shape == (IMAGES, 60, 80)
    np.testing.assert_allclose(truth.sum((1, 2)), 1, rtol=1e-5)
    own, other = [], []
    for index, points in gaze.groupby("frame"):
        cells = np.column_stack([(points["x"] + 0.5) / 8 - 0.5, (points["y"] + 0.5) / 8 - 0.5]).clip(
            0, [79, 59]
        )
        own.append(metrics.auc_judd(truth[index], cells))
        other.append(metrics.auc_judd(truth[(index + 1) % IMAGES], cells))
    assert np.mean(own) > 0.9
    assert np.mean(other) < 0.75


@pytest.mark.slow
def test_equal_arguments_give_equal_bytes(root, tmp_path):
    generate(SHARD, tmp_path, 0)
    names = [str(path.relative_to(root)) for path in sorted(root.rglob("*")) if path.is_file()]
    assert len(names) == IMAGES + 3
    assert filecmp.cmpfiles(root, tmp_path, names, shallow=False) == (names, [], [])


def test_damage_is_told(root, data, tmp_path):
    broken = DemoStills(tmp_path, CONFIG)
    with pytest.raises(DataError, match="fixations"):
        broken.fixations(SHARD)
    with pytest.raises(DataError, match="truth"):
        broken.truth(SHARD)
    with pytest.raises(DataError, match="cannot be read"):
        list(broken.open_frames(SHARD))


def test_nothing_is_fetched():
    """Its manifest is generated, as the demo's is."""
    assert fetched(CONFIG, SHARD, with_gaze=True) == [f"{SHARD}/manifest.json"] * 2
