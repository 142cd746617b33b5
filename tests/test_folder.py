"""A user's own videos and gaze: where rows fall, what is refused, names that must survive Snakemake, and reruns."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers import ROOT, TINY, copy_checkout, facts, run_script, snakemake
from hypothesis import given
from hypothesis import strategies as st
from own_folder import FRAMES, POINTS, SIZE, VIDEOS, copy_folder, make_folder, rows, write_gaze

from dynsal import folder_files, originals, workflow
from dynsal.config import ConfigError, DatasetConfig, parse
from dynsal.datasets import open_dataset
from dynsal.errors import DataError
from dynsal.findings import Findings
from dynsal.gaze_placement import place, to_gaze
from dynsal.gaze_table import Rows, read_rows
from dynsal.video import packet_times


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("own") / "sound")


@pytest.fixture
def folder(sound, tmp_path):
    return copy_folder(sound, tmp_path / "mine")


def opened(folder):
    return open_dataset(DatasetConfig(name="folder", folder=str(folder)), folder)


# ---- where rows fall ------------------------------------------------------------------------------------------------


def made(when, duration, by_frame=False, x=10.0, y=10.0):
    """Return a table of one row."""
    cells = {"line": 2, "video": "v", "subject": "s", "when": when, "duration": duration, "x": x, "y": y}
    return Rows(pd.DataFrame({name: [value] for name, value in cells.items()}), by_frame)


def covered(rows, fps, frames, size=(100, 100), origin=(0.0, 0.0)):
    """Return the frames with a point."""
    return to_gaze(rows, place(rows, fps, frames, size, origin), frames, size).table["frame"].tolist()


RATES = st.sampled_from([Fraction(24), Fraction(25), Fraction(30), Fraction(60), Fraction(30000, 1001)])


@given(st.integers(-2000, 9000), st.integers(0, 3000), RATES, st.integers(1, 200))
def test_fixation_covers_the_authors_frames(start, duration, fps, frames):
    """ceil(start/dt) .. ceil((start + duration)/dt) from 1, in exact arithmetic, frame by frame."""
    first, last = (math.ceil(Fraction(ms) * fps / 1000) for ms in (start, start + duration))
    expected = [frame - 1 for frame in range(1, frames + 1) if max(first, 1) <= frame <= last]
    assert covered(made(float(start), float(duration)), float(fps), frames) == expected


@given(st.integers(0, 300), RATES, st.floats(0.0, 0.999), st.integers(1, 200))
def test_sample_lies_in_its_frame(frame, fps, part, frames):
    """From the very start of the frame to just before its end."""
    time = float((frame + Fraction(part)) * 1000 / fps)
    expected = [frame] if frame < frames else []
    assert covered(made(time, math.nan), float(fps), frames) == expected
    assert covered(made(float(frame), math.nan, by_frame=True), float(fps), frames) == expected


@given(
    st.integers(0, 100),
    st.integers(0, 40),
    st.sampled_from([Fraction(24), Fraction(25), Fraction("29.97"), Fraction(30000, 1001), Fraction(30), Fraction(50),
                     Fraction(60)]),
    st.sampled_from([Fraction(0), Fraction(1, 1000), Fraction(1, 2), Fraction(999, 1000)]),
)  # fmt: skip
def test_fixation_given_by_its_frame(frame, length, fps, part):
    """It starts with that frame; n frames' worth of ms cover n frames, a part of a frame one more, none as good as one."""
    duration = float((length + part) * 1000 / fps)
    expected = [at for at in range(frame, frame + max(length + (part > 0), 1)) if at < 60]
    assert covered(made(float(frame), duration, by_frame=True), float(fps), 60) == expected


@pytest.mark.parametrize(
    ("when", "duration", "x", "reason"),
    [
        (0.0, 40.0, math.nan, "without_position"),
        (-100.0, 40.0, 1.0, "before_video_start"),
        (-1.0, math.nan, 1.0, "before_video_start"),
        (1600.0, math.nan, 1.0, "after_video_end"),
        (1601.0, 400.0, 1.0, "after_video_end"),
        (0.0, 40.0, 100.0, "outside_frame"),
        (0.0, 40.0, -0.01, "outside_frame"),
        (0.0, 40.0, 99.99, None),
        (0.0, 40.0, 0.0, None),
        (1599.0, math.nan, 1.0, None),
        (-100.0, 100.1, 1.0, None),
    ],
)
def test_dropped_for_one_reason(when, duration, x, reason):
    """25 frames a second, 40 frames, 100x100 pixels."""
    rows = made(when, duration, x=x)
    gaze = to_gaze(rows, place(rows, 25.0, 40, (100, 100), (0.0, 0.0)), 40, (100, 100))
    assert {name for name, count in gaze.dropped.items() if count} == ({reason} if reason else set())
    assert gaze.table.empty == bool(reason)


def test_positions(folder):
    """The centre of the first pixel is 0.5 in the table and 0 here; a screen's coordinates lose their margins."""
    write_gaze(folder, ["a,p1,0,40,0.5,0.5"])
    table = opened(folder).fixations("a").table
    assert table[["frame", "x", "y"]].to_numpy().tolist() == [[0, 0.0, 0.0]]
    write_gaze(folder, ["a,p1,0,40,608.5,376.5"])
    (folder / "dataset.yaml").write_text("coordinates: screen\nscreen: [1280, 800]\n")
    assert opened(folder).fixations("a").table[["x", "y"]].to_numpy().tolist() == [[0.0, 0.0]]
    (folder / "dataset.yaml").write_text("coordinates: screen\nscreen: [63, 800]\n")
    with pytest.raises(DataError, match=r"dataset\.yaml: .*63x800 is smaller than a video of 64x48"):
        opened(folder).fixations("a")


# ---- the reader -----------------------------------------------------------------------------------------------------


def test_reader(folder):
    """The contract of a data set."""
    dataset = opened(folder)
    assert dataset.px_per_deg == 10
    assert dataset.videos() == {"a": "train", "b": "test", "c": "test"}
    assert len(packet_times(dataset.video_file("a"))) == sum(1 for _ in dataset.open_frames("a")) == FRAMES
    gaze = dataset.fixations("b")
    assert (gaze.n_frames, gaze.source_size) == (FRAMES, SIZE)
    assert gaze.table["subject"].value_counts().to_dict() == dict.fromkeys(("p1", "p2", "p3"), POINTS)
    assert sum(gaze.dropped.values()) == 0


def test_one_videos_errors_are_not_anothers(folder):
    write_gaze(folder, [*rows(), "a,p1,x,1,1,1"])
    assert len(opened(folder).fixations("b").table) == 3 * POINTS
    with pytest.raises(DataError, match=rf"gaze\.csv:{len(rows()) + 2}: t_ms is 'x'"):
        opened(folder).fixations("a")


def test_no_usable_gaze(folder):
    write_gaze(folder, ["a,p1,0,40,-1,0"])
    with pytest.raises(DataError, match=r"gaze\.csv \(a\): no valid fixation at all .*outside_frame 1"):
        opened(folder).fixations("a")
    (folder / "gaze.csv").unlink()
    (folder / "gaze").mkdir()
    (folder / "gaze" / "b.csv").write_text("subject,frame,x,y\np1,0,1,1\n")
    with pytest.raises(DataError, match=r"has no gaze of a\. Add gaze/a\.csv"):
        opened(folder).fixations("a")
    assert len(opened(folder).fixations("b").table) == 1


cell = st.floats(-1e6, 1e6).map(repr)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["p1", "ö p"]), cell, cell, cell), max_size=8)
)
def test_table_keeps_every_number(tmp_path_factory, cells):
    """CSV and parquet, of floats or of text, give the same numbers, and one video's rows are those of all."""
    place = tmp_path_factory.mktemp("table")
    table = pd.DataFrame(cells, columns=["video", "subject", "t_ms", "x", "y"]).astype(object)
    numbers = table.astype({"t_ms": float, "x": float, "y": float})
    table.to_csv(place / "gaze.csv", index=False)
    numbers.to_parquet(place / "floats.parquet")
    for path in (place / "gaze.csv", place / "floats.parquet"):
        findings = Findings()
        read = read_rows(path, findings, shared=True)
        assert read is not None
        assert findings.problems == 0
        np.testing.assert_array_equal(read.table[["when", "x", "y"]].to_numpy(), numbers[["t_ms", "x", "y"]])
        one = read_rows(path, findings, shared=True, video="a")
        assert one is not None
        pd.testing.assert_frame_equal(
            one.table, read.table[read.table["video"] == "a"].reset_index(drop=True), check_dtype=False
        )


# ---- configuration and plan -----------------------------------------------------------------------------------------


def config(folder, **dataset):
    return parse({**TINY, "dataset": {"name": "folder", "folder": str(folder), **dataset}})


def test_plan(folder):
    """Results under the folder's name; originals where they lie, none copied."""
    plan = workflow.Plan(config(folder))
    assert (plan.ds, plan.raw, plan.train, plan.test) == ("mine", str(folder), ["a"], ["b", "c"])
    assert plan.path("gaze", "a") == "results/mine/gaze/a.parquet"
    assert plan.raw_video("a") == [f"{folder}/videos/a.mp4"]
    assert plan.raw_gaze("a")[:2] == [f"{folder}/gaze.csv", f"{folder}/dataset.yaml"]
    assert "oracle" not in plan.floors
    assert workflow.Plan(config(folder, label="x-1")).ds == "x-1"


def test_the_folder_is_listed_once(folder, monkeypatch):
    """Not once per video, which would be the square of their number; again after it has changed."""
    listings = []
    listed = folder_files.gaze_files
    monkeypatch.setattr(folder_files, "gaze_files", lambda place: listings.append(place) or listed(place))
    plan = workflow.Plan(config(folder))
    assert [plan.raw_gaze(video)[0] for video in VIDEOS] == [f"{folder}/gaze.csv"] * 3
    assert len(listings) == 1
    (folder / "gaze.csv").unlink()
    (folder / "gaze").mkdir()
    for video in VIDEOS:
        (folder / "gaze" / f"{video}.csv").touch()
    assert [plan.raw_gaze(video)[0] for video in VIDEOS] == [f"{folder}/gaze/{v}.csv" for v in VIDEOS]
    assert len(listings) == 2


@pytest.mark.parametrize(
    ("name", "label"), [("My Videos (2)", "my-videos-2"), ("été", "t"), ("___", "folder"), ("a_b-c", "a_b-c")]
)
def test_label_from_the_folders_name(tmp_path, name, label):
    assert originals.label(DatasetConfig(name="folder", folder=str(tmp_path / name / ""))) == label


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "folder"}, "dataset.folder: name folder needs it"),
        ({"folder": "x"}, "dataset.folder: only for name folder"),
        ({"label": "x"}, "dataset.label: only for name folder"),
        ({"name": "folder", "folder": "x", "label": "A b"}, "label"),
    ],
)
def test_contradictions(values, message):
    with pytest.raises(ConfigError, match=message):
        parse({"dataset": values})


def test_plan_refuses(folder, tmp_path):
    """Each with what to do; before any job starts."""
    with pytest.raises(ConfigError, match="there is no folder"):
        workflow.Plan(config(tmp_path / "nosuch"))
    with pytest.raises(ConfigError, match="results/hevc33 belongs to something else"):
        workflow.Plan(config(folder, label="hevc33"))
    with pytest.raises(ConfigError, match=r"braces in .* rename the folder"):
        workflow.Plan(config(copy_folder(folder, tmp_path / "{x}")))
    (folder / "dataset.yaml").unlink()
    with pytest.raises(ConfigError, match=r"gaze\.px_per_deg: neither here nor in .*dataset\.yaml"):
        workflow.Plan(config(folder))
    with pytest.raises(DataError, match=r"dataset\.yaml: does not say how many pixels"):
        _ = opened(folder).px_per_deg
    workflow.Plan(
        parse({**TINY, "dataset": {"name": "folder", "folder": str(folder)}, "gaze": {"px_per_deg": 9.0}})
    )
    (folder / "dataset.yaml").write_text("px_per_deg: 10\n")
    with pytest.raises(ConfigError, match=r"nosuch is not in .*mine/split\.csv"):
        workflow.Plan(config(folder, validation=["nosuch"]))
    (folder / "split.csv").write_text("video,split\na,train\nb,test\nd,test\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"videos: has no video d\. Add it, or take it out of split\.csv"):
        workflow.Plan(config(folder))
    (folder / "split.csv").unlink()
    with pytest.raises(DataError, match=r"split\.csv: .*--write-split"):
        workflow.Plan(config(folder))


# ---- through Snakemake ----------------------------------------------------------------------------------------------

ODD = {"a": "my clip+1.v2", "b": "été 3", "c": "x-.-y.mp4"}


def run(checkout, folder, *words):
    values = {**TINY, "dataset": {"name": "folder", "folder": str(folder), "label": "own"}}
    (checkout / "own.yaml").write_text(yaml.safe_dump(values))
    return snakemake(checkout, "--cores", 1, "--configfile", "own.yaml", *words)


@pytest.mark.slow
def test_odd_names_and_edited_gaze(folder, tmp_path):
    """Blanks, letters of other scripts, dots and signs; then an edited table reruns what it must, and no video is read."""
    for plain, odd in ODD.items():
        (folder / "videos" / f"{plain}.mp4").rename(folder / "videos" / f"{odd}.mp4")
        for name in ("gaze.csv", "split.csv"):
            text = (folder / name).read_text(encoding="utf-8").replace(f"\n{plain},", f"\n{odd},")
            (folder / name).write_text(text, encoding="utf-8")
    folder = folder.rename(tmp_path / "it's my own")
    checkout = copy_checkout(tmp_path / "checkout")
    targets = [f"results/own/scores/centre/seed0/{ODD[video]}.parquet" for video in ("b", "c")]
    done = run(checkout, folder, "--", *targets)
    assert done.rc == 0, done.text[-3000:]
    for video in VIDEOS:
        path = checkout / "results/own/gaze" / f"{ODD[video]}.parquet"
        assert facts(path)["px_per_deg"] == 10
        assert len(pd.read_parquet(path)) == 3 * POINTS
    assert "Nothing to be done" in run(checkout, folder, "-n", "--", *targets).text
    with (folder / "gaze.csv").open("a") as stream:
        stream.write(f"{ODD['a']},p4,0,40,1,1\n")
    planned = run(checkout, folder, "-n", "--quiet", "rules", "--", *targets).text
    assert "gaze" in planned
    assert "rescale" not in planned


@pytest.mark.slow
@pytest.mark.data
def test_exported_hevc33_is_the_same(tmp_path, mirror):
    """Real clips read natively and as a user's folder: the same gaze, the same scores, digit by digit."""
    profile = yaml.safe_load((ROOT / "config/test/hevc33_smoke.yaml").read_text())
    own = tmp_path / "own"
    words = ["--raw", mirror / "hevc33", "--out", own, "--videos", *profile["dataset"]["only"]]
    assert run_script("export_folder", *words, cwd=tmp_path).rc == 0
    profile["models"] = {"spatial": {"arch": "spatial"}}
    checkout = copy_checkout(tmp_path / "checkout")
    variants = {
        "hevc33": profile["dataset"],
        "own": {"name": "folder", "folder": str(own), "validation": profile["dataset"]["validation"]},
    }
    for name, dataset in variants.items():
        values = {**profile, "dataset": dataset, "mirrors": [str(mirror)]}
        (checkout / f"{name}.yaml").write_text(yaml.safe_dump(values))
        targets = [
            f"results/{name}/scores/{row}/seed0/Keiba.parquet" for row in ("centre", "mean_map", "human")
        ]
        done = snakemake(checkout, "--cores", 1, "--configfile", f"{name}.yaml", "--", *targets, timeout=600)
        assert done.rc == 0, done.text[-3000:]
    results = checkout / "results"
    for step in ("gaze", "scores"):
        files = sorted(
            path.relative_to(results / "hevc33") for path in (results / "hevc33" / step).rglob("*.parquet")
        )
        assert len(files) == {"gaze": 4, "scores": 2 * 4}[step]
        for file in files:
            native, mine = (pd.read_parquet(results / name / file) for name in variants)
            pd.testing.assert_frame_equal(native, mine, check_exact=True)
