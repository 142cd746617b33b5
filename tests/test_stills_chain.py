"""`snakemake data` on still images, end to end: SALICON in small, both releases, with a submission; two shards of OSIE."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from helpers import copy_checkout, snakemake
from salicon_files import annotation, mat, name, picture, sent, write_json, write_zip

from dynsal import layout
from dynsal.baselines.spectral import SpectralResidual
from dynsal.clips import Clip
from dynsal.config_baselines import SpectralOptions
from dynsal.datasets.osie import read_fixations
from dynsal.gaze import read_gaze
from dynsal.prepare import Frame

NUMBERS = {"train": (30, 10, 20), "val": (50, 40), "test": (60,)}
"""COCO numbers of the images, in the order in which they lie in the archive."""


def put_salicon(raw) -> None:
    """Write the archives as they are published, with six images; gaze 2015r1 at (n, 2n) and 2017 at (2n, n), n from 1."""
    write_zip(
        raw / "images.zip",
        {f"images/{part}/{name(part, n)}": picture(n) for part, numbers in NUMBERS.items() for n in numbers},
    )
    for part in ("train", "val"):
        marks = [annotation(n, n, 1, [(2 * n, n), (2 * n, n)]) for n in NUMBERS[part]]
        write_json(raw / f"fixations_{part}2014.json.zip", marks)
    members = {
        f"{part}/{name(part, n)[:-4]}.mat": mat([np.array([[2 * n, n], [700, 1]])])
        for part in ("train", "val")
        for n in NUMBERS[part]
    }
    write_zip(raw / "fixations_2017.zip", members)


def points(path) -> list[tuple]:
    """Return frame, x and y of a gaze file."""
    return list(read_gaze(path).table[["frame", "x", "y"]].itertuples(index=False, name=None))


@pytest.mark.slow
def test_salicon(tmp_path):
    """Archives stay packed; one file per shard and step; releases stay apart; the blind shard has frames, maps and no gaze."""
    folder = copy_checkout(tmp_path / "checkout")
    put_salicon(folder / "results/salicon/raw")
    small = {"dataset": {"only": ["train_00", "val_00", "test_00"]}}
    (folder / "small.yaml").write_text(yaml.safe_dump(small))
    words = ("--cores", 1, "--configfile", "config/salicon.yaml", "small.yaml")
    done = snakemake(folder, *words, "--", "data")
    assert done.rc == 0, done.text[-3000:]
    results = folder / "results/salicon"
    assert {path.name for path in (results / "frames").iterdir()} == {
        "train_00.h5",
        "val_00.h5",
        "test_00.h5",
    }
    assert {path.name for path in results.iterdir()} == {"raw", "frames", "gaze", "benchmarks"}
    assert points(results / "gaze/train_00.parquet") == [
        (index, n - 1.0, 2 * n - 1.0) for index, n in enumerate((10, 20, 30)) for _ in range(2)
    ]
    assert not (results / "gaze/test_00.parquet").exists()
    with Clip(results / "frames/train_00.h5") as clip:
        assert clip.names == [name("train", n) for n in (10, 20, 30)]
        assert clip.frames.tolist() == [0, 1, 2]
        assert clip.size == (640, 480)

    (folder / "2017.yaml").write_text(yaml.safe_dump({"dataset": {"release": "2017"}}))
    before = (results / "gaze/val_00.parquet").read_bytes()
    later = folder / "results/salicon2017"
    done = snakemake(folder, *words, "2017.yaml", "--", "results/salicon2017/gaze/val_00.parquet")
    assert done.rc == 0, done.text[-3000:]
    assert points(later / "gaze/val_00.parquet") == [
        (index, 2 * n - 1.0, n - 1.0) for index, n in enumerate((40, 50))
    ]
    assert read_gaze(later / "gaze/val_00.parquet").dropped["outside_frame"] == 2
    assert (results / "gaze/val_00.parquet").read_bytes() == before
    assert not (later / "raw").exists()

    submission = "results/salicon/submission/spectral_residual/results.zip"
    done = snakemake(folder, *words, "--", submission)
    assert done.rc == 0, done.text[-3000:]
    assert [path.name for path in (folder / submission).parent.iterdir()] == ["results.zip"]
    assert "test: 1 images of 5000: the server takes whole splits" in done.text
    assert "spectral_residual: 0 blank maps sent as uniform" in done.text
    model = SpectralResidual(SpectralOptions(), {})
    for part, shard in (("val", "val_00"), ("test", "test_00")):
        found = sent(folder / submission, f"fixations_{part}2014_spectral-residual_results.json")
        assert list(found) == sorted(NUMBERS[part])
        with Clip(results / f"frames/{shard}.h5") as clip:
            for k, number in enumerate(found):
                [(_, wanted)] = model.maps([Frame(0, 0.0, clip.bgr(k), kept=True)])
                np.testing.assert_allclose(found[number], wanted * (255 / wanted.max()), atol=0.501)

    done = snakemake(folder, *words, "--", "data")
    assert "Nothing to be done" in done.text


@pytest.mark.data
@pytest.mark.slow
def test_osie(tmp_path, mirror):
    """Two shards of the real images, at a quarter of their size: every fixation lands where it was recorded."""
    folder = copy_checkout(tmp_path / "checkout")
    raw = folder / "results/osie/raw"
    raw.mkdir(parents=True)
    for part in ("stimuli", "fixations.mat"):
        (raw / part).symlink_to(mirror / "osie" / part)
    (raw / "manifest.json").write_text("{}\n")
    shards = ["train_06", "test_01"]
    small = {"dataset": {"only": shards}, "prepare": {"size": [192, 144]}}
    (folder / "small.yaml").write_text(yaml.safe_dump(small))
    done = snakemake(folder, "--cores", 1, "--configfile", "config/osie.yaml", "small.yaml", "--", "data")
    assert done.rc == 0, done.text[-3000:]
    recorded = read_fixations(mirror / "osie" / "fixations.mat")
    for shard in shards:
        images = layout.osie_images(shard)
        with Clip(folder / f"results/osie/frames/{shard}.h5") as clip:
            assert clip.names == images
            assert (clip.attrs["source_width"], clip.attrs["source_height"]) == (800, 600)
        gaze = read_gaze(folder / f"results/osie/gaze/{shard}.parquet")
        assert (gaze.n_frames, gaze.px_per_deg) == (len(images), 24.0)
        for index, image in enumerate(images):
            scaled = np.concatenate(list(recorded[image].values())) * [192 / 800, 144 / 600] - 0.5
            np.testing.assert_allclose(gaze.points[index], scaled, atol=1e-9)
