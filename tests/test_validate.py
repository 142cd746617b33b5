"""`dynsal validate`: a sound folder passes, every kind of mistake is named with its file, line and cure."""

from __future__ import annotations

import itertools
import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from own_folder import FPS, FRAMES, HEADER, SIZE, VIDEOS, copy_folder, make_folder, rows, write_gaze

from dynsal import cli, layout
from dynsal.commands.validate import summary
from dynsal.findings import Findings
from dynsal.validation import propose_split, validate
from dynsal.video import encode


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("own") / "sound")


@pytest.fixture
def folder(sound, tmp_path):
    return copy_folder(sound, tmp_path / "mine")


@pytest.fixture
def command(folder, capsys):
    """Return a function that runs the whole command and gives (status, printed lines)."""

    def run(*words):
        status = cli.main(["validate", str(folder), "--frames", "1", *words])
        return status, capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def check(folder):
    """Return a function that makes the checks, without pictures, and gives (status, lines)."""

    def run():
        findings = Findings()
        videos = validate(folder, findings, 1, lambda video: None)
        return int(findings.problems > 0), [*findings.lines(), *summary(videos).splitlines()]

    return run


def change(folder, column, value, line=2, table=HEADER):
    """Put a value into one cell of gaze.csv; the header is line 1."""
    text = (folder / "gaze.csv").read_text().splitlines()
    cells = text[line - 1].split(",")
    cells[table.split(",").index(column)] = value
    text[line - 1] = ",".join(cells)
    (folder / "gaze.csv").write_text("\n".join(text) + "\n")


def scaled(change_row):
    """Return all rows of the sound folder with (t, x, y) changed."""
    out = []
    for row in rows():
        video, viewer, start, duration, x, y = row.split(",")
        out.append(
            ",".join([video, viewer, *map(str, change_row(float(start), duration, float(x), float(y)))])
        )
    return out


# ---- a sound folder -------------------------------------------------------------------------------------------------


def test_sound_folder(folder, command):
    """No line but the table; one picture per video; the status is 0."""
    status, lines = command()
    assert status == 0
    assert not [line for line in lines if str(folder) in line]
    cells = {line.split()[0]: line.split() for line in lines[1:]}
    for video in VIDEOS:
        assert cells[video][1:7] == [str(FRAMES), str(FPS), "64x48", "3", "12", "0.0%"]
        assert cells[video][7] == "0"
    assert {path.name for path in (folder / "overlay").iterdir()} == {f"{video}.png" for video in VIDEOS}


def test_overlay_shows_gaze_where_it_is(folder, command, tmp_path):
    """The viewer's dot lies on the frame where the table says."""
    write_gaze(folder, [f"{video},p1,0,1600,48,12" for video in VIDEOS])
    for video in VIDEOS:  # grey frames, so that only dots have colour
        (folder / "videos" / f"{video}.mp4").unlink()
        _write_grey(folder / "videos" / f"{video}.mp4")
    assert command("--overlay", str(tmp_path / "pictures"))[0] == 0
    picture = cv2.imread(str(tmp_path / "pictures" / "a.png")).astype(int)
    grey = np.abs(picture - 90).max(axis=2) < 6
    parts = cv2.connectedComponentsWithStats(grey.astype(np.uint8))[2][1:]
    left, top, width, height, _ = parts[parts[:, cv2.CC_STAT_AREA].argmax()]
    assert width / height == pytest.approx(SIZE[0] / SIZE[1], rel=0.03)
    inside = picture[top : top + height, left : left + width]
    coloured = np.ptp(inside, axis=2) > 60
    y, x = (places.mean() for places in np.nonzero(coloured))
    assert (x / width, y / height) == pytest.approx((48 / 64, 12 / 48), abs=0.02)


def _write_grey(path):
    encode(
        path, (np.full((SIZE[1], SIZE[0], 3), 90, np.uint8) for _ in range(FRAMES)), FPS, preset="ultrafast"
    )


@pytest.mark.parametrize("form", ["gaze.parquet", "gaze/", "gaze/ parquet"])
def test_other_forms_of_the_same_gaze(folder, check, form):
    """Parquet, and one table per video, give the same table as gaze.csv."""
    before = check()[1]
    table = pd.read_csv(folder / "gaze.csv")
    (folder / "gaze.csv").unlink()
    if form == "gaze.parquet":
        table.to_parquet(folder / form, index=False)
    else:
        (folder / "gaze").mkdir()
        for video, part in table.groupby("video"):
            part = part.drop(columns="video")
            if "parquet" in form:
                part.to_parquet(folder / "gaze" / f"{video}.parquet")
            else:
                part.to_csv(folder / "gaze" / f"{video}.csv", index=False)
    assert check() == (0, before)


def test_spreadsheet_csv(folder, check):
    """A mark of the byte order, CRLF, blanks around names and blank lines are no mistakes."""
    text = (folder / "gaze.csv").read_text().replace(",x,", ", x ,").replace("\n", "\r\n") + "\r\n"
    (folder / "gaze.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (folder / "split.csv").write_bytes(b"\xef\xbb\xbf" + (folder / "split.csv").read_bytes() + b"\n")
    assert check()[0] == 0


# ---- mistakes in gaze.csv -------------------------------------------------------------------------------------------

CELLS = [
    ("x", "12;5", "x is '12;5', which is no usable number"),
    ("y", "inf", "y is 'inf', which is no usable number"),
    ("x", "1_0", "no usable number"),
    ("t_ms", "", "t_ms is empty"),
    ("duration_ms", "-1", "the duration is -1"),
    ("subject", "", "subject is empty"),
    ("video", " ", "video is empty"),
]


@pytest.mark.parametrize(("column", "value", "message"), CELLS)
@pytest.mark.parametrize("line", [2, 30])
def test_bad_cell(folder, check, column, value, message, line):
    change(folder, column, value, line)
    status, lines = check()
    assert status == 1
    assert [text for text in lines if text.startswith(f"{folder}/gaze.csv: {line}: ") and message in text]
    assert len([text for text in lines if str(folder) in text]) == 1


def test_lost_samples_are_counted(folder, check):
    """As a run does, which drops them; also repeated ones, which say nothing."""
    for line, column, value in ((2, "x", ""), (3, "y", "NaN"), (30, "x", ".")):
        change(folder, column, value, line)
    with (folder / "gaze.csv").open("a") as stream:
        stream.write("a,p1,0,400,,\n" * 2)
    status, lines = check()
    assert status == 0
    assert [text for text in lines if str(folder) in text] == [
        f"{folder}/gaze.csv: warning: 5 of {len(rows()) + 2} rows have no x or y. A run drops and counts them"
    ]


@pytest.mark.parametrize(
    ("header", "row", "status"),
    [
        (HEADER, "a,p1,0,400,30,20", 1),
        (HEADER, "a,p1,0,,30,20", 0),
        (HEADER.replace("t_ms", "frame"), "a,p1,0,400,30,20", 0),
    ],
)
def test_repeated_rows(folder, check, header, row, status):
    """No fixation begins twice; samples may fall together, and fixations of one frame."""
    sound = scaled(lambda t, d, x, y: (int(t // 40), d, x, y)) if "frame" in header else rows()
    write_gaze(folder, [*sound, row, row], header)
    found, lines = check()
    assert found == status
    told = f"{folder}/gaze.csv: {len(sound) + 3}: {'' if status else 'warning: '}repeats an earlier row"
    assert [line for line in lines if line.startswith(told)]


@pytest.mark.parametrize("value", ["1.5", "-1"])
def test_bad_frame(folder, check, value):
    header = HEADER.replace("t_ms", "frame")
    write_gaze(folder, scaled(lambda t, d, x, y: (int(t // 40), d, x, y)), header)
    assert check()[0] == 0
    change(folder, "frame", value, 3, header)
    status, lines = check()
    assert status == 1
    assert any(f"gaze.csv: 3: frame is {value}" in text for text in lines)


def test_ragged_row(folder, check):
    text = (folder / "gaze.csv").read_text().splitlines()
    text[4] += ",7"
    (folder / "gaze.csv").write_text("\n".join(text))
    status, lines = check()
    assert status == 1
    assert any("gaze.csv: 5: has 7 cells, the header 6" in text for text in lines)


def test_many_of_a_kind_are_counted(folder, check):
    for line in range(2, 14):
        change(folder, "x", "?", line)
    status, lines = check()
    assert status == 1
    assert len([text for text in lines if "no usable number" in text]) == 5
    assert any("and 7 more of this kind" in text for text in lines)


FORMS = [
    (lambda text: text.replace(",", ";"), "1: cells are separated by ';'"),
    (lambda text: text.replace(",", "\t"), "1: cells are separated by tabs"),
    (lambda text: text.replace(",x,", ",X,"), "1: has no column x "),
    (lambda text: text.replace(",x,", ",X,"), "Rename the column 'X', or add it"),
    (lambda text: text.replace("subject", "viewer"), "1: has no column subject"),
    (lambda text: text.replace("t_ms", "time"), "1: has no column t_ms or frame"),
    (lambda text: text.replace("duration_ms", "frame"), "1: has both t_ms and frame"),
    (lambda text: text.replace(",y", ",x"), "1: has two columns x"),
    (lambda text: HEADER + "\n", "has no rows"),
    (lambda text: "", "is empty"),
    (lambda text: text + 'a,"p1,0,0,1,1\n', "cells, the header 6"),
    (lambda text: text + rows()[0], f"{len(rows()) + 2}: repeats an earlier row"),
]


@pytest.mark.parametrize(("edit", "message"), FORMS)
def test_bad_form(folder, check, edit, message):
    (folder / "gaze.csv").write_text(edit((folder / "gaze.csv").read_text()))
    status, lines = check()
    assert status == 1
    assert any(f"gaze.csv: {message}" in text or message in text for text in lines), lines


def test_encodings(folder, check):
    """UTF-16 as a whole; Latin-1 with the line of its first umlaut."""
    text = (folder / "gaze.csv").read_text().replace("b,p2,400", "b,Jörg,400")
    (folder / "gaze.csv").write_text(text, encoding="utf-16")
    assert any("gaze.csv: is UTF-16" in line for line in check()[1])
    (folder / "gaze.csv").write_text(text, encoding="latin-1")
    line = next(number for number, row in enumerate(text.splitlines(), 1) if "Jörg" in row)
    status, lines = check()
    assert status == 1
    assert any(f"gaze.csv: {line}: is not UTF-8" in text for text in lines)
    (folder / "gaze.csv").write_text(text, encoding="utf-8")
    assert check()[0] == 0


@pytest.mark.parametrize("name", ["gaze.CSV", "gaze.Parquet", "gaze/{}.CSV", "gaze/{}.PARQUET"])
def test_suffixes_in_capitals(folder, check, name):
    before = check()[1]
    table = pd.read_csv(folder / "gaze.csv")
    (folder / "gaze.csv").unlink()
    (folder / "gaze").mkdir()
    for video, part in table.groupby("video") if "{}" in name else [("", table)]:
        path = folder / name.format(video)
        if name.lower().endswith(".csv"):
            part.to_csv(path, index=False)
        else:
            part.to_parquet(path, index=False)
    assert check() == (0, before)


def test_broken_parquet(folder, check):
    (folder / "gaze.csv").rename(folder / "gaze.parquet")
    status, lines = check()
    assert status == 1
    assert any("gaze.parquet: is no readable parquet file" in text for text in lines)


def test_no_gaze_and_gaze_twice(folder, check):
    (folder / "gaze").mkdir()
    (folder / "gaze" / "a.csv").write_text("subject,t_ms,x,y\np1,0,1,1\n")
    assert any("has gaze twice (gaze.csv, gaze/a.csv)" in text for text in check()[1])
    (folder / "gaze.csv").unlink()
    (folder / "gaze" / "a.csv").unlink()
    status, lines = check()
    assert status == 1
    assert any("has no gaze" in text for text in lines)


# ---- names ----------------------------------------------------------------------------------------------------------


def test_names_that_do_not_match(folder, check):
    """Gaze without video and video without gaze, each with the likeliest other name."""
    (folder / "gaze.csv").write_text((folder / "gaze.csv").read_text().replace("\nb,", "\nB.mp4,"))
    status, lines = check()
    assert status == 1
    first = next(
        n for n, row in enumerate((folder / "gaze.csv").read_text().splitlines(), 1) if "B.mp4" in row
    )
    assert any(f"gaze.csv: {first}: there is no video B.mp4. Is it b?" in text for text in lines)
    assert any("videos: b has no gaze. Is it B.mp4?" in text for text in lines)


@pytest.mark.parametrize("name", ["-a", "50%", "it's", "a{b}", "a ", "x,y"])
def test_unusable_names(folder, check, name):
    (folder / "videos" / "a.mp4").rename(folder / "videos" / f"{name}.mp4")
    status, lines = check()
    assert status == 1
    assert any("cannot be used. A name is letters, digits" in text for text in lines)


def test_two_videos_of_one_name(folder, check):
    (folder / "videos" / "a.mkv").write_bytes((folder / "videos" / "a.mp4").read_bytes())
    status, lines = check()
    assert status == 1
    assert any("videos/a.mp4: has the same name as videos/a.mkv" in text for text in lines)


def test_no_videos(folder, check):
    for video in VIDEOS:
        (folder / "videos" / f"{video}.mp4").unlink()
    assert any("videos: holds no video" in text for text in check()[1])
    (folder / "videos").rmdir()
    assert any("videos: there is no such folder" in text for text in check()[1])


def test_what_lies_beside_videos(folder, check):
    """Subtitles and notes are named as what they are, and neither want gaze nor take a video's name."""
    for name in ("a.srt", "notes.TXT"):
        (folder / "videos" / name).write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    status, lines = check()
    assert status == 0
    assert [text for text in lines if str(folder) in text] == [
        f"{folder}/videos/{name}: warning: is no video. A run ignores it" for name in ("a.srt", "notes.TXT")
    ]


# ---- videos ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0, 100, -200])
def test_broken_video(folder, check, keep):
    """Empty, no video, cut short at the end; the other videos are still checked."""
    path = folder / "videos" / "b.mp4"
    path.write_bytes(path.read_bytes()[:keep] if keep else b"")
    status, lines = check()
    assert status == 1
    assert any(text.startswith(f"{path}: ") for text in lines)
    assert {line.split()[0] for line in lines if "64x48" in line} == {"a", "c"}


def test_turned_video(folder, check):
    """A phone's video held upright: frames are stored lying, and a matrix in the track header tells players to turn."""
    path = folder / "videos" / "a.mp4"
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    status, lines = check()
    assert status == 1
    assert lines[0].startswith(f"{path}: players turn it clockwise by 90 degrees")


def test_pixels_that_are_not_square(folder, check):
    path = folder / "videos" / "a.mp4"
    picture = av.VideoFrame.from_ndarray(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), "bgr24")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for _ in range(FRAMES):
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    status, lines = check()
    assert status == 0
    assert lines[0].startswith(f"{path}: warning: its pixels are not square (4:3)")


def test_no_row_of_a_video_counts(folder, check):
    """The run would stop there, so it is no mere warning."""
    write_gaze(folder, [line if not line.startswith("b") else "b,p1,99999,400,5,5" for line in rows()])
    status, lines = check()
    assert status == 1
    assert any("gaze.csv: no row of b counts (12 after_video_end)" in line for line in lines)


def write_irregular(path):
    """Write a video whose second half runs at half the rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.full((SIZE[1], SIZE[0], 3), 90, np.uint8), "bgr24")
            frame.pts = number if number < 20 else 2 * number - 20
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_variable_frame_rate(folder, check):
    write_irregular(folder / "videos" / "a.mp4")
    status, lines = check()
    assert status == 0
    assert any("videos/a.mp4: warning: its frames do not come at a constant rate" in text for text in lines)


# ---- dataset.yaml and split.csv -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not say how many pixels"),
        ("px_per_degree: 30", "px_per_degree: Extra inputs are not permitted"),
        ("px_per_deg: -3", "px_per_deg: Input should be greater than 0"),
        ("px_per_deg: 30\ncoordinates: screen", "go together"),
        ("px_per_deg: 30\nscreen: [10, 10]\ncoordinates: screen", "smaller than a video of 64x48"),
        ("- 1", "object"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_dataset_yaml(folder, check, text, message):
    (folder / "dataset.yaml").write_text(text)
    status, lines = check()
    assert status == 1
    assert any(f"{folder}/dataset.yaml: " in line and message in line for line in lines), lines


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,split\na,train\nb,test\nc,test\nd,test\n", "split.csv: names d, which is no video"),
        ("video,split\na,train\nb,test\nc,test\na,test\n", "split.csv: 5: a is listed twice"),
        ("video,split\na,train\nb,test\nc,validation\n", "split.csv: 4: split 'validation'"),
        ("video,split\na,train\nb,test\nc,train\n", "split.csv: has 1 test video(s)"),
    ],
)
def test_split(folder, check, text, message):
    (folder / "split.csv").write_text(text)
    status, lines = check()
    assert status == 1
    assert any(message in line for line in lines), lines


def test_split_is_proposed_and_written(folder, command):
    """Printed first; written only when asked; never over one that is there."""
    (folder / "split.csv").unlink()
    status, lines = command()
    assert status == 0
    assert not (folder / "split.csv").exists()
    assert "video,split" in lines
    assert command("--write-split")[0] == 0
    written = (folder / "split.csv").read_text().splitlines()
    assert lines[lines.index("video,split") :] == written
    assert list(layout.split_file(folder / "split.csv").values()).count("test") == 2
    assert command("--write-split")[0] == 1


def test_only_videos_with_gaze_are_proposed(folder, command, caplog):
    """What has none cannot be trained on nor scored; without any, there is no picture to look at either."""
    (folder / "split.csv").unlink()
    (folder / "videos" / "d.mp4").write_bytes((folder / "videos" / "a.mp4").read_bytes())
    caplog.set_level("INFO")
    _, lines = command()
    assert {line.split(",")[0] for line in lines[lines.index("video,split") + 1 :]} == set(VIDEOS)
    assert "look at the pictures" in caplog.text
    caplog.clear()
    (folder / "gaze.csv").unlink()
    status, lines = command()
    assert status == 1
    assert "video,split" not in lines
    assert "look at the pictures" not in caplog.text
    assert "no split.csv proposed" in caplog.text


@pytest.mark.parametrize(("count", "test"), [(3, 2), (8, 2), (12, 3), (40, 10)])
def test_proposed_split(count, test):
    """A quarter, at least two; the same for any order of the names."""
    names = [f"v{number}" for number in range(count)]
    roles = propose_split(names)
    assert list(roles.values()).count("test") == test
    assert propose_split(names[::-1]) == roles


# ---- guesses --------------------------------------------------------------------------------------------------------

CERTAIN = ("lie in 0 .. 1", "Are the axes swapped?")
GUESSES = [
    (lambda t, d, x, y: (t, d, x / 64, y / 48), "lie in 0 .. 1"),
    (lambda t, d, x, y: (t, d, y, x + 14), "Are the axes swapped?"),
    (lambda t, d, x, y: (t, d, x + 600, y + 400), "coordinates: screen"),
    (lambda t, d, x, y: (t, d, x / 5, y), "far left of the middle"),
    (lambda t, d, x, y: (t, d, x, y + 16), "far below the middle"),
    (lambda t, d, x, y: (t / 1000, 0.4, x, y), "Are these seconds?"),
    (lambda t, d, x, y: (t + 1600 * (t == 1200), d, x, y), "after the last of 40 frames"),
    (lambda t, d, x, y: (t - 500, d if t else 100, x, y), "before the first frame"),
]


@pytest.mark.parametrize(("change_row", "message"), GUESSES)
def test_guess(folder, check, change_row, message):
    """A warning, for a strange table may be right, unless nothing else explains it. No row left is a problem, too."""
    write_gaze(folder, scaled(change_row))
    status, lines = check()
    certain = message in CERTAIN
    assert status == (certain or any(": no row of " in line for line in lines))
    found = [line for line in lines if line.startswith(f"{folder}/gaze.csv: ") and message in line]
    assert found, lines
    assert ["warning: " in line for line in found] == [not certain] * len(found)


def test_axes_exchanged_in_a_few_rows_are_a_guess(folder, check):
    write_gaze(folder, scaled(lambda t, d, x, y: (t, d, y, x + 14) if t == 1200 else (t, d, x, y)))
    status, lines = check()
    assert status == 0
    assert any("warning: " in line and "Are the axes swapped?" in line for line in lines), lines


def test_guess_frames_counted_from_one(folder, check):
    header = "video,subject,frame,x,y"
    for first in (0, 1):
        table = [
            f"{video},{viewer},{frame + first},30,{20 + frame / 10}"
            for video, viewer, frame in itertools.product(VIDEOS, ("p1", "p2", "p3"), range(FRAMES))
        ]
        write_gaze(folder, table, header)
        status, lines = check()
        assert status == 0
        assert any("counted from 1" in line for line in lines) == bool(first)


def test_guess_few_viewers(folder, check):
    write_gaze(folder, [row for row in rows() if "p3" not in row or not row.startswith("a")])
    lines = check()[1]
    assert [line for line in lines if "warning: a has 2 viewer(s)" in line]
    assert len([line for line in lines if "viewer(s)" in line]) == 1


def test_screen_coordinates_are_no_longer_doubtful(folder, check):
    """What `coordinates: screen?` asks for makes the warning go away."""
    write_gaze(folder, scaled(lambda t, d, x, y: (t, d, x + 608, y + 376)))
    (folder / "dataset.yaml").write_text("px_per_deg: 10\ncoordinates: screen\nscreen: [1280, 800]\n")
    status, lines = check()
    assert status == 0
    assert not any("warning" in line for line in lines)


def test_command_fails_with_a_problem(folder, command):
    """The line, the table and the status of a folder with one bad cell."""
    change(folder, "x", "?")
    status, lines = command()
    assert status == 1
    assert lines[0].startswith(f"{folder}/gaze.csv: 2: x is '?'")
    assert lines[2].split()[:3] == ["a", "40", "25"]


def test_no_folder(tmp_path):
    assert cli.main(["validate", str(tmp_path / "nosuch")]) == 1
    (tmp_path / "own").mkdir()
    assert cli.main(["validate", str(tmp_path / "own"), "--frames", "0"]) == 1
