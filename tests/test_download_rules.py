"""The rules around downloads, through Snakemake itself."""

from __future__ import annotations

import csv
import stat

import pytest
from helpers import copy_checkout, run_script, snakemake

WEIGHTS = "results/weights/raw/final.caffemodel"


@pytest.fixture
def checkout(tmp_path):
    """Return a checkout of its own, where lock files may be written."""
    return copy_checkout(tmp_path / "checkout")


def test_plan_of_downloads(checkout):
    """Weights and baselines come with any data set, OSIE's 701 files are one job, and nothing is touched or told yet."""
    targets = [
        WEIGHTS,
        "results/baselines/raw/AW.mat",
        "results/osie/raw/manifest.json",
        "results/salicon/raw/images.zip",
    ]
    done = snakemake(checkout, "-n", "--quiet", "rules", "--", *targets)
    assert done.rc == 0, done.text
    assert done.text.split("Job stats:")[1].split()[4:10] == [
        "download",
        "3",
        "download_all",
        "1",
        "total",
        "4",
    ]
    assert "Disk:" not in done.text
    assert not (checkout / "results" / "weights").exists()


def test_a_file_put_there_by_hand(checkout):
    """Disk needs first; then the file of `downloads` is taken, sealed and written down; and nothing runs again."""
    folder = checkout / "downloads" / "weights"
    folder.mkdir(parents=True)
    (folder / "final.caffemodel").write_bytes(b"layers")
    done = snakemake(checkout, "--cores", "1", "--", WEIGHTS)
    assert done.rc == 0, done.text
    assert 0 < done.text.index("Disk: downloads take at most 0.5 GB") < done.text.index("rule download:")
    assert (checkout / WEIGHTS).read_bytes() == b"layers"
    assert not stat.S_IMODE((checkout / WEIGHTS).stat().st_mode) & 0o222
    with (checkout / "resources" / "datasets" / "downloads.lock.csv").open() as stream:
        (line,) = csv.DictReader(stream)
    assert (line["dataset"], line["file"], line["bytes"]) == ("weights", "final.caffemodel", "6")
    again = snakemake(checkout, "--cores", "1", "--", WEIGHTS)
    assert "Nothing to be done" in again.text, again.text


def test_the_script_by_hand(checkout, tmp_path):
    """No configuration is needed; a wrong name and a missing file are told in one line."""
    words = ["--dataset", "baselines", "--out", tmp_path / "out" / "x"]
    scripts = checkout / "workflow" / "scripts"
    done = run_script("download", *words, "--file", "nosuch.mat", cwd=tmp_path, scripts=scripts)
    assert done.rc == 1
    assert "baselines.csv: does not list nosuch.mat" in done.log
    done = run_script("download", *words, "--file", "walker_codebook.mat", cwd=tmp_path, scripts=scripts)
    assert done.rc == 1
    assert f"put the file at {tmp_path}/downloads/baselines/walker_codebook.mat" in done.log
    assert "Traceback" not in done.log
