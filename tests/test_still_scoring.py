"""Scores of still images: negatives from all other images and never from one's own, one row per image, floors in order."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from still_files import PX_PER_DEG, SIZE, spots, write_clip, write_gaze_rows, write_shard

from dynsal.config import DatasetConfig, EvaluateConfig, GazeConfig
from dynsal.errors import DataError
from dynsal.evaluation import NO_FIXATION, NO_OTHER_HALF, constant, uniform_map
from dynsal.gaze import density, read_gaze
from dynsal.still_metrics import STILL_METRICS
from dynsal.still_scoring import (
    StillReference,
    expected_maps,
    load_still_references,
    mean_image_map,
    score_images,
    score_viewers,
)

OSIE, GAZE, EVALUATE = DatasetConfig(name="osie", split="osie"), GazeConfig(), EvaluateConfig(pool_frames=50)
EXACT = [name for name in STILL_METRICS if not name.startswith("salicon_")]
SHARDS = {"test_00": 4, "test_01": 3}


@pytest.fixture
def rows(tmp_path) -> dict[str, list]:
    """Write two shards; nobody looks at the last image of the first and the first of the second."""
    return {
        "test_00": write_shard(tmp_path, "test_00", 4, without=(3,)),
        "test_01": write_shard(tmp_path, "test_01", 3, without=(0,)),
    }


def load(results, dataset=OSIE, **evaluate) -> dict[str, StillReference]:
    chosen = EVALUATE.model_copy(update=evaluate)
    return load_still_references(results, list(SHARDS), dataset, GAZE, chosen)


def points(rows, shard: str, image: int) -> list[tuple[float, float]]:
    return [(x, y) for frame, _, x, y in rows[shard] if frame == image]


def bag(array) -> Counter:
    return Counter((round(x, 9), round(y, 9)) for x, y in np.asarray(array).tolist())


def test_negatives_are_the_fixations_of_all_other_images_of_all_shards(rows, tmp_path):
    references = load(tmp_path)
    for shard, n in SHARDS.items():
        for image in range(n):
            reference = references[shard]
            found = reference.pool.negatives(reference.first + image)
            others = [(x, y) for s in rows for f, _, x, y in rows[s] if (s, f) != (shard, image)]
            assert bag(found) == bag(others)


def test_pool_frames_limits_the_images_of_each_shard(rows, tmp_path):
    """One of each: an image gets the other shard's one, and its own shard's unless that is itself."""
    references = load(tmp_path, pool_frames=1)
    pool = references["test_00"].pool
    assert len(np.unique(pool.frames)) == 2
    assert [len(pool.negatives(number)) for number in pool.frames[[0, -1]]] == [6, 6]
    draws = {
        tuple(np.unique(load(tmp_path, pool_frames=1, pool_seed=s)["test_00"].pool.frames)) for s in range(9)
    }
    assert len(draws) > 1


def test_scores_by_hand(rows, tmp_path):
    """Of every image, from the rows of the gaze alone, by counting pairs and adding up Gaussians."""
    reference = load(tmp_path)["test_01"]
    maps = np.random.default_rng(0).random((3, *SIZE[::-1]))
    table = score_images(reference, zip(range(3), maps, strict=True)).set_index("image")
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]

    def value(image: int, point: tuple[float, float]) -> float:
        return maps[image][math.floor(point[1] + 0.5), math.floor(point[0] + 0.5)]

    for image in (1, 2):
        mine = points(rows, "test_01", image)
        others = [(px, py) for s in rows for f, _, px, py in rows[s] if (s, f) != ("test_01", image)]
        pairs = [(value(image, p), value(image, n)) for p in mine for n in others]
        found = table.loc[f"test_01-{image}.jpg"]
        assert found["sauc"] == pytest.approx(np.mean([(p > n) + 0.5 * (p == n) for p, n in pairs]))
        truth = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * PX_PER_DEG**2)) for px, py in mine)
        assert found["cc"] == pytest.approx(np.corrcoef(maps[image].ravel(), truth.ravel())[0, 1])
        assert found["n_fixations"] == 6


def test_the_form_of_a_table(rows, tmp_path):
    references = load(tmp_path)
    for shard, n in SHARDS.items():
        table = score_images(references[shard], constant(references[shard], uniform_map(SIZE)))
        assert list(table.columns) == ["frame", "image", "n_fixations", *STILL_METRICS, "skipped"]
        assert table["image"].tolist() == [f"{shard}-{image}.jpg" for image in range(n)]
        assert table["frame"].tolist() == list(range(n))
        unseen = {"test_00": 3, "test_01": 0}[shard]
        assert table.loc[table["skipped"] != "", ["frame", "skipped"]].to_numpy().tolist() == [
            [unseen, NO_FIXATION]
        ]
        assert table.loc[unseen, list(STILL_METRICS)].isna().all()
        assert (table.drop(index=unseen)["sauc"] == 0.5).all()


def test_an_incomplete_stream_is_refused(rows, tmp_path):
    reference = load(tmp_path)["test_00"]
    with pytest.raises(ValueError, match="test_00: no map for frame 3"):
        score_images(reference, [(image, uniform_map(SIZE)) for image in range(3)])


def test_what_is_about_videos_changes_nothing(rows, tmp_path):
    """Neither the published protocol nor a choice of frames."""
    tables = [
        score_viewers(
            reference, read_gaze(tmp_path / "gaze/test_00.parquet"), EVALUATE.model_copy(update=more)
        )
        for more in ({}, {"protocol": "published", "frames": "trim30"})
        for reference in [load(tmp_path, **more)["test_00"]]
    ]
    assert tables[0].equals(tables[1])


def test_floors_and_ceiling_are_in_order(rows, tmp_path):
    """Half the viewers tell much about the others; the centre of the picture does not."""
    reference = load(tmp_path)["test_00"]
    human = score_viewers(reference, read_gaze(tmp_path / "gaze/test_00.parquet"), EVALUATE)
    flat = score_images(reference, constant(reference, uniform_map(SIZE)))
    assert human["image"].tolist() == flat["image"].tolist()
    assert human["skipped"].tolist() == ["", "", "", NO_FIXATION]
    for name in ("sauc", "auc_borji", "salicon_sauc", "sim"):
        assert (human[name] > flat[name] + 0.1)[:3].all(), name
    again = score_viewers(reference, read_gaze(tmp_path / "gaze/test_00.parquet"), EVALUATE)
    assert human.equals(again)


def test_an_image_that_one_half_did_not_see(tmp_path):
    """One viewer alone has no other half."""
    rows = write_shard(tmp_path, "test_00", 2)
    alone = [row for row in rows if row[0] == 0 or row[1] == "s0"]
    write_gaze_rows(tmp_path, "test_00", 2, alone)
    write_shard(tmp_path, "test_01", 3)
    table = score_viewers(load(tmp_path)["test_00"], read_gaze(tmp_path / "gaze/test_00.parquet"), EVALUATE)
    assert table["skipped"].tolist() == ["", NO_OTHER_HALF]
    assert table["n_fixations"].tolist() == [6, 1]


def test_mouse_samples_are_filtered_for_salicons_columns_only(tmp_path):
    """Everybody's first point stands twice: those are what SALICON's code sees, of image and negatives alike."""
    rows = {shard: write_shard(tmp_path, shard, n) for shard, n in SHARDS.items()}
    doubled = {shard: given + [row for row in given if row[1] == "s0"] for shard, given in rows.items()}
    for shard, given in doubled.items():
        write_gaze_rows(tmp_path, shard, SHARDS[shard], given)
    salicon = DatasetConfig(name="salicon", split="salicon")
    mouse, eyes = load(tmp_path, salicon)["test_00"], load(tmp_path)["test_00"]
    assert len(mouse.salicon_pool.points) == 7  # one of each image
    assert len(eyes.salicon_pool.points) > 30  # pixels
    maps = list(enumerate(np.random.default_rng(0).random((4, *SIZE[::-1]))))
    filtered, plain = score_images(mouse, maps), score_images(eyes, maps)
    assert filtered[EXACT].equals(plain[EXACT])
    for image, saliency in maps:
        (x, y), *_ = points(rows, "test_00", image)
        value = saliency[math.floor(y + 0.5), math.floor(x + 0.5)]
        expected = (value - saliency.mean()) / saliency.std()
        assert filtered.loc[image, "salicon_nss"] == pytest.approx(expected)
        assert plain.loc[image, "salicon_nss"] == pytest.approx(plain.loc[image, "nss"])


def test_salicons_negatives_are_the_other_images_pixels_once_for_each_image(tmp_path, monkeypatch):
    """Where two images share a pixel it counts twice, where two viewers of one image do, once; one's own never."""
    given = {
        "test_00": [(0, "s0", 3.0, 3.0), (0, "s1", 3.2, 2.9), (1, "s0", 3.0, 3.0), (1, "s1", 9.0, 8.0)],
        "test_01": [(0, "s0", 3.1, 3.1), (0, "s1", 20.0, 5.0), (2, "s0", 30.0, 20.0)],
    }
    for shard, rows in given.items():
        write_clip(tmp_path, shard, SHARDS[shard])
        write_gaze_rows(tmp_path, shard, SHARDS[shard], rows)
    seen = []
    monkeypatch.setattr("dynsal.still_scoring.score_still", lambda _, truth, seed: seen.append(truth) or {})
    reference = load(tmp_path)["test_00"]
    score_images(reference, constant(reference, uniform_map(SIZE)))
    of_01 = [(3, 3), (20, 5), (30, 20)]
    assert [bag(truth.salicon_negatives) for truth in seen] == [
        Counter([(3, 3), (9, 8), *of_01]),
        Counter([(3, 3), *of_01]),
    ]
    assert [len(truth.salicon_fixations) for truth in seen] == [2, 2]
    seen.clear()
    score_viewers(reference, read_gaze(tmp_path / "gaze/test_00.parquet"), EVALUATE)
    assert {len(truth.salicon_negatives) for truth in seen} == {5, 4}  # of all viewers of all other images
    assert {len(truth.fixations) for truth in seen} == {1}


def test_mean_map_counts_every_image_once(rows, tmp_path):
    """Shards differ in size, images in viewers; the unseen ones have no density."""
    files = [read_gaze(tmp_path / "gaze" / f"{shard}.parquet") for shard in SHARDS]
    found = mean_image_map(files, GAZE, SIZE)
    seen = [(shard, image) for shard, n in SHARDS.items() for image in range(n) if points(rows, shard, image)]
    assert len(seen) == 5
    densities = [density(np.array(points(rows, *key)), SIZE, (PX_PER_DEG, PX_PER_DEG)) for key in seen]
    np.testing.assert_allclose(found, np.mean(densities, axis=0), atol=1e-12)
    with pytest.raises(DataError, match=r"test_00: its gaze is for 32x24\. Prepare it at 16x12"):
        mean_image_map(files, GAZE, (16, 12))


def test_the_known_density_is_blurred_as_fixations_are(rows, tmp_path):
    """A single possible point becomes its Gaussian; of a coarser grid, the same place."""
    reference = load(tmp_path)["test_00"]
    truth = np.zeros((4, *SIZE[::-1]), np.float32)
    truth[:, 10, 20] = 1
    for image, blurred in expected_maps(reference, truth):
        expected = density(np.array([[20.0, 10.0]]), SIZE, reference.sigma)
        np.testing.assert_allclose(blurred, expected, atol=2e-4)
        assert image in range(4)
    coarse = truth.reshape(4, SIZE[1] // 2, 2, SIZE[0] // 2, 2).mean((2, 4))
    (_, blurred), *_ = expected_maps(reference, coarse)
    assert blurred.shape == SIZE[::-1]
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    assert (blurred * x).sum() / blurred.sum() == pytest.approx(20.5, abs=0.05)
    assert (blurred * y).sum() / blurred.sum() == pytest.approx(10.5, abs=0.05)


def test_the_map_at_the_spot_beats_the_one_at_another_images(rows, tmp_path):
    """The right image meets the right gaze."""
    reference = load(tmp_path)["test_00"]
    maps = [density(spot[None], SIZE, (3.0, 3.0)) for spot in spots("test_00", 4)]
    right = score_images(reference, enumerate(maps))
    wrong = score_images(reference, enumerate(maps[1:] + maps[:1]))
    assert (right["sauc"] > wrong["sauc"])[:3].all()
    assert (right["nss"] > wrong["nss"] + 1)[:3].all()


def test_bad_results_are_named(rows, tmp_path):
    write_clip(tmp_path, "test_01", 3, named=False)
    with pytest.raises(DataError, match=r"test_01\.h5: does not name its images"):
        load(tmp_path)
    (tmp_path / "gaze/test_00.parquet").unlink()
    with pytest.raises(DataError, match=r"test_00\.parquet: is no gaze file"):
        load(tmp_path)


def test_shards_of_different_sizes_are_refused(rows, tmp_path, monkeypatch):
    monkeypatch.setattr("still_files.SIZE", (16, 12))
    write_gaze_rows(tmp_path, "test_01", 3, [(1, "s0", 3.0, 3.0)])
    with pytest.raises(DataError, match="have different sizes: test_00 32x24, test_01 16x12"):
        load(tmp_path)
