"""The committed lists: complete, consistent, and refused with file and line when wrong."""

from __future__ import annotations

import subprocess
import sys
from urllib.parse import unquote

import pytest

from dynsal import layout
from dynsal.config import DatasetConfig
from dynsal.errors import DataError
from dynsal.fileio import sha256
from dynsal.originals import ORIGINALS

TEST20 = [
    "BBC_life_in_cold_blood_1278x710",
    "BBC_wildlife_serpent_1280x704",
    "DIY_SOS_1280x712",
    "advert_bbc4_bees_1024x576",
    "advert_bbc4_library_1024x576",
    "advert_iphone_1272x720",
    "ami_ib4010_closeup_720x576",
    "ami_ib4010_left_720x576",
    "harry_potter_6_trailer_1280x544",
    "music_gummybear_880x720",
    "music_trailer_nine_inch_nails_1280x720",
    "news_tony_blair_resignation_720x540",
    "nightlife_in_mozambique_1280x580",
    "one_show_1280x712",
    "pingpong_angle_shot_960x720",
    "pingpong_no_bodies_960x720",
    "sport_scramblers_1280x720",
    "sport_wimbledon_federer_final_1280x704",
    "tv_uni_challenge_final_1280x712",
    "university_forum_construction_ionic_1280x720",
]
NOT_IN_17 = {
    "ami_ib4010_closeup_720x576",
    "ami_ib4010_left_720x576",
    "news_tony_blair_resignation_720x540",
}
GROUPS = [
    "BasketballDrive BasketballDrill BasketballPass BasketballDrillText",
    "RaceHorsesC RaceHorsesD",
    "Vidyo1 Vidyo3 Vidyo4",
]


def of(name: str, role: str) -> list[str]:
    return [video for video, found in layout.split(name).items() if found == role]


def test_borji20_is_the_papers_list():
    """The 20 test videos stand at Borji's indices of the 84; the frame totals are the protocol's."""
    frames = layout.diem_frames()
    names = list(frames)
    assert len(names) == 84
    assert sum(frames.values()) == 240_452
    indices = [6, 8, 10, 11, 12, 14, 15, 16, 34, 42, 44, 48, 53, 54, 55, 59, 70, 74, 83, 84]
    assert of("borji20", "test") == TEST20 == [names[index - 1] for index in indices]
    assert sum(frames[video] for video in TEST20) == 31_031
    assert sum(frames[video] for video in of("borji20", "train")) == 209_421
    assert set(layout.split("borji20")) == set(names)


def test_stavis17():
    """The same training videos; three test videos fewer."""
    assert of("stavis17", "train") == of("borji20", "train")
    assert set(TEST20) - set(of("stavis17", "test")) == NOT_IN_17
    assert sum(layout.diem_frames()[video] for video in of("stavis17", "test")) == 27_471


def test_hevc33_split_keeps_relatives_together():
    assert len(of("hevc33", "test")) == 10
    assert len(of("hevc33", "train")) == 23
    roles = layout.split("hevc33")
    for group in GROUPS:
        assert len({roles[video] for video in group.split()}) == 1


def test_hevc33_registry():
    """One row per file; every video of the split has one; addresses decode to the file's name."""
    rows = layout.registry("hevc33")
    files = [row.file for row in rows]
    assert len(set(files)) == 34
    assert {layout.hevc33_file(video) for video in layout.split("hevc33")} | {"video_database.mat"} == set(
        files
    )
    assert layout.hevc33_file("BasketballDrive") == "videos/Basketball Drive.avi"
    for row in rows:
        assert row.urls
        assert row.licence
        assert all(" " not in url and unquote(url).endswith(f"/{row.file}") for url in row.urls)
    with pytest.raises(DataError, match=r"does not list nothing\.avi"):
        layout.registry_row("hevc33", "nothing.avi")


@pytest.mark.data
def test_hevc33_registry_matches_the_files(mirror):
    """Bytes and SHA-256 of the registry are those of the original files and of SHA256SUMS."""
    sums = dict(
        line.split("  ", 1)[::-1] for line in (mirror / "hevc33/SHA256SUMS").read_text().splitlines() if line
    )
    for row in layout.registry("hevc33"):
        path = mirror / "hevc33" / row.file
        assert (path.stat().st_size, sha256(path), sums[row.file]) == (row.bytes, row.sha256, row.sha256), (
            row.file
        )


def test_blind_shards():
    """SALICON's test images, apart from its split list; no other list has any."""
    assert layout.blind("salicon") == [f"test_{number:02d}" for number in range(10)]
    assert not set(layout.blind("salicon")) & set(layout.split("salicon"))
    assert len(of("salicon", "train")) == 20
    assert of("salicon", "test") == [f"val_{number:02d}" for number in range(10)]
    assert layout.blind("hevc33") == []


def test_salicon_registry():
    """One row for every archive that a release is read from, each with an address."""
    files = {row.file: row for row in layout.registry("salicon")}
    for release in ("2015r1", "2017"):
        config = DatasetConfig(name="salicon", split="salicon", release=release)
        names = {
            name for shard in ("train_00", "val_00") for name in ORIGINALS["salicon"].gaze(config, shard)
        }
        wanted = {name for name in names if not name.startswith("points/")}
        wanted |= {f"fixations_{name[7:-8]}2014.json.zip" for name in names if name.startswith("points/")}
        assert wanted <= set(files)
        assert all(files[name].urls and files[name].licence for name in wanted)


@pytest.fixture
def resources(tmp_path, monkeypatch):
    """Return a stand-in for resources/ that a test may fill."""
    for folder in ("splits", "datasets"):
        (tmp_path / "resources" / folder).mkdir(parents=True)
    monkeypatch.setattr(layout, "repo_root", lambda: tmp_path)
    layout._split.cache_clear()
    layout._registry.cache_clear()
    yield tmp_path / "resources"
    layout._split.cache_clear()
    layout._registry.cache_clear()


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("clip,split\na,train\n", 1, "header"),
        ("video,split\na,train\na,test\n", 3, "twice"),
        ("video,split\na,train\nb,validation\n", 3, "'validation'"),
        ("video,split\na,train,x\n", 2, "3 columns"),
    ],
)
def test_split_errors_name_file_and_line(resources, text, line, problem):
    (resources / "splits/mine.csv").write_text(text)
    with pytest.raises(DataError, match=rf"mine\.csv:{line}: .*{problem}"):
        layout.split("mine")


def test_unknown_split_lists_the_known(resources):
    (resources / "splits/mine.csv").write_text("video,split\na,train\n")
    assert layout.split("mine") == {"a": "train"}
    with pytest.raises(DataError, match=r"yours\.csv.*Known here: mine"):
        layout.split("yours")


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ("../a,1,{sha},,u,,l,c", "plain relative path"),
        ("/a,1,{sha},,u,,l,c", "plain relative path"),
        ("a,-1,{sha},,u,,l,c", "whole number"),
        ("a,~,{sha},,u,,l,c", "whole number"),
        ("a,1,abc,,u,,l,c", "64 hexadecimal"),
        ("a,1,{sha},abc,u,,l,c", "32 hexadecimal"),
    ],
)
def test_registry_errors(resources, cells, problem):
    (resources / "datasets/x.csv").write_text(
        "file,bytes,sha256,md5,urls,page,licence,citation\n" + cells.format(sha="0" * 64) + "\n"
    )
    with pytest.raises(DataError, match=rf"x\.csv:2: .*{problem}"):
        layout.registry("x")


def test_nothing_heavy_is_imported():
    """The Snakefile imports these two for every job."""
    code = (
        "import sys, dynsal.layout, dynsal.datasets;"
        "print([m for m in ('numpy', 'pandas', 'cv2', 'av', 'pydantic', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
