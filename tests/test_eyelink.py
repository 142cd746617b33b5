"""EyeLink's .asc files: hand-written recordings and the tables that must come of them."""

from __future__ import annotations

import re

import pytest

from dynsal import cli

RECORDING = """\
** CONVERTED FROM S1.edf
MSG\t1000 DISPLAY_COORDS 0 0 1279 959
EFIX L   1001\t1050\t50\t  1.0\t  1.0\t   900
MSG\t2000 TRIALID cats.mp4
START\t2001 \tLEFT\tRIGHT\tSAMPLES\tEVENTS
EFIX L   2010\t2090\t81\t  600.0\t  500.0\t   900
MSG\t2100 VIDEO_START
2101\t  640.0\t  480.0\t  900.0\t  641.0\t  481.0\t  905.0\t.....
SFIX L   2050
EFIX L   2050\t2310\t261\t  640.5\t  480.2\t   900
EFIX R   2052\t2311\t260\t  642.5\t  481.2\t   905
ESACC L  2311\t2340\t30\t  640.5\t  480.2\t  700.1\t  300.9\t   5.54\t   310
EBLINK L 2400\t2500\t101
EFIX L   2600\t2700\t101\t  700.1\t  300.9\t   900
END\t2800 \tSAMPLES\tEVENTS\tRES\t  38.13\t  36.96
EFIX L   2850\t2900\t51\t  9.0\t  9.0\t   900
MSG\t3000 TRIALID videos/dogs
EFIX L   3050\t3090\t41\t  8.0\t  8.0\t   900
MSG\t3100.5 VIDEO_START
EFIX L   3200\t3300\t101\t  10.0\t  20.0\t   900
"""
LEFT = """\
video,subject,t_ms,duration_ms,x,y
cats,S1,-50,261,640.5,480.2
cats,S1,500,101,700.1,300.9
dogs,S1,99.5,101,10,20
"""


@pytest.fixture
def convert(tmp_path, caplog):
    """Return a function that converts texts of recordings; gives (status, gaze.csv or the message)."""

    def run(*texts, words=()):
        files = []
        for number, text in enumerate(texts, 1):
            files.append(tmp_path / f"S{number}.asc")
            files[-1].write_text(text, encoding="latin-1")
        out = tmp_path / "gaze.csv"
        status = cli.main(["import-asc", *map(str, files), "--out", str(out), *words])
        return status, caplog.text if status else out.read_text()

    return run


def test_fixations_of_the_videos_only(convert):
    """Timed from the video's start; none before it, after the trial, or between trials; the left eye of two."""
    assert convert(RECORDING) == (0, LEFT)


def test_eyes(convert):
    right = [line for line in RECORDING.splitlines(keepends=True) if "EFIX L" not in line]
    assert convert("".join(right))[1].splitlines()[1:] == ["cats,S1,-48,260,642.5,481.2"]
    assert convert(RECORDING, words=["--eye", "right"])[1].splitlines()[1:] == ["cats,S1,-48,260,642.5,481.2"]
    both = convert(RECORDING, words=["--eye", "both"])[1].splitlines()
    assert [line.split(",")[1] for line in both[1:]] == ["S1_L", "S1_R", "S1_L", "S1_L"]


def test_fixations_without_a_position(convert, caplog):
    """Left out and counted, those during a video only."""
    lost = "EFIX L   2320\t2390\t71\t  .\t  .\t   0\n"
    assert convert(lost + RECORDING.replace("ESACC", f"{lost}{lost}ESACC")) == (0, LEFT)
    assert "S1.asc: 2 fixation(s) without a position left out" in caplog.text


def test_several_viewers(convert):
    table = convert(RECORDING, RECORDING.replace("640.5", "99"))[1]
    assert table == LEFT + LEFT.split("\n", 1)[1].replace("S1", "S2").replace("640.5", "99")


def test_other_messages(convert):
    """One message that both names and starts the video, as Experiment Builder's projects often have."""
    text = "MSG 10 !V play my film.avi now\nEFIX R 20 30 11 1 2 3\n"
    assert (
        convert(text, words=["--start", r"!V play (?P<video>.+) now"])[1].splitlines()[1]
        == "my film,S1,10,11,1,2"
    )


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        (RECORDING.replace("2600\t2700", "x\t2700"), (), r"S1\.asc:14: 'EFIX L .* is no fixation"),
        (RECORDING.replace("EFIX R ", "EFIX ? "), (), r"S1\.asc:11: .* is no fixation"),
        (RECORDING.replace("MSG\t2100 ", "MSG\tnow "), (), r"S1\.asc:7: .* no message with a time"),
        (RECORDING.replace("TRIALID", "TRIAL"), (), r"S1\.asc:7: a video starts, but no message"),
        (RECORDING.replace("VIDEO_START", "GO"), (), r"S1\.asc: has no fixation .*VIDEO_START"),
        (RECORDING.replace("EFIX R", "EFIX L"), ("--eye", "right"), "no fixation of the right eye"),
        (RECORDING, ("--video", "("), "--video: '\\(' is no regular expression"),
        (RECORDING, ("--video", "TRIALID"), "has no group named video"),
    ],
)
def test_errors(convert, text, words, message):
    status, log = convert(text, words=words)
    assert status == 1
    assert re.search(message, log), log


def test_missing_and_repeated_files(convert, tmp_path, caplog):
    assert cli.main(["import-asc", str(tmp_path / "no.asc"), "--out", str(tmp_path / "g.csv")]) == 1
    twice = [str(tmp_path / "a" / "S.asc"), str(tmp_path / "b" / "S.asc")]
    assert cli.main(["import-asc", *twice, "--out", str(tmp_path / "g.csv")]) == 1
    assert "more than one file of this name" in caplog.text
    assert not (tmp_path / "g.csv").exists()
