"""The rules around downloads, through Snakemake itself."""

from __future__ import annotations

import csv
import stat

import pytest
import yaml
from helpers import copy_checkout, run_script, snakemake

WEIGHTS = "results/weights/raw/final.caffemodel"


@pytest.fixture
def checkout(tmp_path):
    """Return a checkout of its own, where lock files may be written; a few bytes pass for the weights."""
    folder = copy_checkout(tmp_path / "checkout")
    registry = folder / "resources" / "datasets" / "weights.csv"
    registry.write_text(registry.read_text().replace("final.caffemodel,~490000000", "final.caffemodel,~10"))
    return folder


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
    assert 0 < done.text.index("Disk: downloads take at most 0.0 MB") < done.text.index("rule download:")
    assert (checkout / WEIGHTS).read_bytes() == b"layers"
    assert not stat.S_IMODE((checkout / WEIGHTS).stat().st_mode) & 0o222
    with (checkout / "resources" / "datasets" / "downloads.lock.csv").open() as stream:
        (line,) = csv.DictReader(stream)
    assert (line["dataset"], line["file"], line["bytes"]) == ("weights", "final.caffemodel", "6")
    again = snakemake(checkout, "--cores", "1", "--", WEIGHTS)
    assert "Nothing to be done" in again.text, again.text


def test_another_mirror_or_newer_code_reruns_no_finished_download(checkout, tmp_path):
    """Editing the key `mirrors` must not delete what took days; nor must an edited script."""
    video = "advert_iphone_1272x720"
    mirror = tmp_path / "mirror"
    for name in (
        "weights/final.caffemodel",
        f"diem/{video}/video/{video}.mp4",
        f"diem/{video}/event_data/diem2s1.asc_1_{video}.txt",
    ):
        (mirror / name).parent.mkdir(parents=True)
        (mirror / name).write_bytes(b"layers")
    targets = [WEIGHTS, f"results/diem/raw/{video}/manifest.json"]

    def run(mirrors, *words):
        (checkout / "mirrors.yaml").write_text(yaml.safe_dump({"mirrors": mirrors}))
        given = ["--cores", 1, "--configfile", "config/diem.yaml", "mirrors.yaml", *words]
        return snakemake(checkout, *given, "--", *targets)

    done = run([str(mirror)])
    assert done.rc == 0, done.text
    with (checkout / "workflow/scripts/download.py").open("a") as stream:
        stream.write("# edited\n")
    for mirrors in ([], [str(tmp_path / "other"), str(mirror)]):
        planned = run(mirrors, "-n")
        assert planned.rc == 0, planned.text
        assert "Nothing to be done" in planned.text, planned.text


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
