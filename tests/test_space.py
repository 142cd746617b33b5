"""What a run will take on disk, told before it begins."""

from __future__ import annotations

import logging
from collections import namedtuple
from pathlib import Path

import pytest

from dynsal import space
from dynsal.config import parse
from dynsal.layout import diem_frames, registry_row
from dynsal.workflow import Plan

BROOKLYN = "50_people_brooklyn_1280x720"


@pytest.fixture
def diem():
    """Return a plan of the paper's size."""
    return Plan(parse({"dataset": {"name": "diem", "split": "borji20"}}))


def test_frames_and_flow_of_diem(diem):
    """By hand: 3669 frames of 640x480, 0.6 and 1 byte per pixel; copies at half and quarter size have 1/4 and 1/16."""
    pixels = 3669 * 640 * 480
    copies = [f"results/diem/augmented/x{factor}/{BROOKLYN}.h5" for factor in (2, 4)]
    found = space.needs(
        {diem.ds: diem}, [[diem.path("frames", BROOKLYN)], [diem.path("flow", BROOKLYN)], copies]
    )
    assert found == space.Needs(0, 0, round(pixels * (0.6 + 1.0 + 1.6 / 4 + 1.6 / 16)), 0)


def test_the_whole_of_diem_is_about_twice_the_measured_size(diem):
    """Measured: 88 kB for a frame and 157 kB for its flow, 59 GB in all; noisy videos need twice that."""
    jobs = [[diem.path(step, video)] for video in diem.videos for step in ("frames", "flow")]
    measured = sum(diem_frames()[video] for video in diem.videos) * (88e3 + 157e3)
    assert 1.8 * measured < space.needs({diem.ds: diem}, jobs).products < 2.2 * measured


def test_downloads():
    """Exact and estimated sizes count, unknown ones are counted apart; generated videos are no downloads."""
    plan = Plan(parse({"dataset": {"name": "hevc33", "split": "hevc33"}}))
    jobs = [
        ["results/hevc33/raw/video_database.mat"],
        ["results/weights/raw/final.caffemodel"],
        ["results/diem/raw/diem.tar.gz"],
        [f"results/diem/raw/{BROOKLYN}/video/{BROOKLYN}.mp4", f"results/diem/raw/{BROOKLYN}/manifest.json"],
        ["results/demo/raw/x/video/x.mp4", "results/demo/raw/x/manifest.json"],
        ["results/salicon/raw/points/train.parquet"],
        ["results/table1.csv"],
    ]
    known = (
        registry_row("hevc33", "video_database.mat").expected
        + registry_row("weights", "final.caffemodel").expected
    )
    assert space.needs({plan.ds: plan}, jobs) == space.Needs(known, 2, 0, 0)
    everything = space.needs({plan.ds: plan}, [["results/osie/raw/manifest.json"]])
    assert 50e6 < everything.downloads < 80e6


def test_steps_and_sizes_count(diem):
    small = Plan(
        parse(
            {
                "dataset": {"name": "diem", "split": "borji20"},
                "prepare": {"size": [320, 240], "frame_step": 3},
            }
        )
    )
    frames = [[diem.path("frames", BROOKLYN)]]
    assert (
        space.needs({small.ds: small}, frames).products == space.needs({diem.ds: diem}, frames).products // 12
    )


def test_one_archive_counts_once(diem):
    """All 84 videos, and both files of each, come out of the release."""
    jobs = [
        [f"results/diem/raw/{video}/video/{video}.mp4", f"results/diem/raw/{video}/manifest.json"]
        for video in diem.videos
    ]
    assert space.needs({diem.ds: diem}, jobs) == space.Needs(0, 1, 0, 0)


@pytest.mark.parametrize(
    ("known", "unknown", "text"),
    [
        ((0, 0), (0, 0), "Disk: downloads take at most 0.0 MB, frames and flow take at most 0.0 MB; "),
        ((2e9, 0), (1, 3), "take at most 2.0 GB (and files of unknown size besides: 1), frames and flow are of unknown "
                           "size (videos: 3); 1.0 GB are free in x"),
    ],
)  # fmt: skip
def test_nothing_unknown_is_called_zero(known, unknown, text):
    found = space.Needs(int(known[0]), unknown[0], int(known[1]), unknown[1])
    assert text in found.text(10**9, Path("x"))


@pytest.mark.parametrize(
    ("name", "release", "images"),
    [("osie", "2015r1", 700), ("salicon", "2015r1", 15_000), ("salicon", "2017", 15_000)],
)
def test_still_images_come_in_shards(name, release, images):
    """No shard is larger than it is taken for, and all together are not taken for many more than there are."""
    dataset = {"name": name, "split": name, "release": release}
    plan = Plan(parse({"dataset": dataset, "prepare": {"size": [48, 48]}}))
    found = space.needs({plan.ds: plan}, [[plan.path("frames", shard)] for shard in plan.videos])
    assert found.unknown_videos == 0
    assert images <= found.products / (48 * 48 * space.FRAME_BYTES) <= 1.2 * images


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("free", "level"), [(10**15, "INFO"), (10**6, "WARNING")])
def test_what_is_said(diem, monkeypatch, caplog, tmp_path, free, level):
    caplog.set_level(logging.INFO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: Usage(0, 0, free))
    space.tell(
        {"diem": diem},
        [[diem.path("frames", BROOKLYN)], ["results/diem/raw/diem.tar.gz"]],
        logging.getLogger("x"),
    )
    (record,) = caplog.records
    assert record.levelname == level
    assert (
        "Disk: downloads are of unknown size (files: 1), frames and flow take at most 0.7 GB; "
        in record.message
    )
    assert str(tmp_path) in record.message
    assert ("link results/ to a larger disk" in record.message) == (level == "WARNING")


def test_nothing_is_said_of_runs_that_take_nothing(diem, caplog):
    caplog.set_level(logging.INFO)
    space.tell(
        {"diem": diem},
        [["results/table1.csv"], ["results/diem/scores/centre/seed0/a.parquet"]],
        logging.getLogger("x"),
    )
    assert not caplog.records
