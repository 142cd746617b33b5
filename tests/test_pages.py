"""The report's pages: tables, provenance, runtimes."""

from __future__ import annotations

import json
import re
from html import unescape

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT

from dynsal import pages, provenance
from dynsal.viewer import PAGE_LIMIT

RECORDED = ROOT / "docs" / "results"
TABLES = sorted(RECORDED.glob("*/table[123].md"))


def rows(page: str) -> list[list[str]]:
    """Return the text of the cells of a page's first table."""
    body = re.search(r"<tbody>(.*?)</tbody>", page, re.DOTALL)[1]
    cells = re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL)
    return [
        [unescape(re.sub("<[^>]*>", " ", cell)).strip() for cell in cells.findall(row)]
        for row in body.split("<tr")[1:]
    ]


@pytest.mark.parametrize("path", TABLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recorded_tables(path):
    """Every cell and every note of the recorded tables is on the page, and it fits into the report."""
    text = path.read_text(encoding="utf-8")
    details = {csv.stem: pd.read_csv(csv) for csv in path.parent.glob(f"{path.stem}_*.csv")}
    page = pages.table_page("A table", text, details)
    frame, notes = pages.read_markdown(text)
    assert len(frame) >= 8
    same = pages.constant(frame)
    assert all(f"{name}: {value}" in page for name, value in same.items())
    shown = [re.sub(r"\s+", " ", cell) for row in rows(page) for cell in row]
    assert shown == frame.drop(columns=list(same)).to_numpy().ravel().tolist()
    assert len(re.findall("^- ", text, re.MULTILINE)) == len(notes)
    assert all(note in unescape(page) for note in notes.values())
    assert len(page.encode()) < PAGE_LIMIT


def test_best():
    """By the arrow, among nets and baselines; ties are all best, missing values never."""
    frame = pd.DataFrame(
        {
            "model": ["a", "b", "c", "human"],
            "kind": ["net", "net", "baseline", "ceiling"],
            "up ↑": ["0.5 [0.1, 0.9]", "0.7", "0.7", "0.9"],
            "down ↓": ["-", "0.3", "0.4", "0.1"],
            "none": ["9", "8", "7", "6"],
        }
    )
    assert pages.best(frame) == {(1, "up ↑"), (2, "up ↑"), (1, "down ↓")}
    assert pages.best(frame.drop(columns="kind")) == set()


def test_constant():
    """Neither the names of rows, nor their kinds, nor metrics; a table of one row has no constant columns."""
    frame = pd.DataFrame({"model": "a", "kind": "net", "n": ["6", "6"], "m": ["1", "2"], "x ↑": "0.5"})
    assert pages.constant(frame) == {"n": "6"}
    assert pages.constant(frame[:1]) == {}


def test_table():
    """Markup is escaped, numbers are marked as such, missing ones stay empty, and bold cells are bold."""
    frame = pd.DataFrame(
        {"name": ["<b>", "y"], "x": [0.12345, np.nan], "big": [1234.5, 2.0], "text": ["1 [0, 2]", "-"]}
    )
    made = pages.table(frame, bold=[(0, "x")])
    assert "&lt;b&gt;" in made
    assert "<b>0.123</b>" in made
    assert re.findall(r'<th scope="col"( class="number")?>', made) == ["", *[' class="number"'] * 3]
    assert rows(made) == [["<b>", "0.123", "1234", "1 [0, 2]"], ["y", "", "2.000", "-"]]


def test_read_markdown_refuses():
    with pytest.raises(ValueError, match="no table"):
        pages.read_markdown("nothing here")
    with pytest.raises(ValueError, match="different length"):
        pages.read_markdown("| a | b |\n| --- | --- |\n| 1 |\n")


def test_long_tables_are_left_out():
    long = pd.DataFrame({"x": range(pages.MOST_ROWS + 1), "x_nan": 0})
    text = "| a |\n| --- |\n| 1 |\n"
    assert f"{len(long)} rows: too many" in pages.table_page("t", text, {"long": long})
    page = pages.table_page("t", text, {"short": long[:-1]})
    assert f"{len(long) - 1} rows</summary>" in page
    assert "x_<wbr>nan" not in page


@pytest.mark.parametrize(
    "path",
    sorted(RECORDED.glob("*/table*_provenance.json")),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_recorded_provenance(path):
    """Commit, versions, trainings, configuration and checksums are on the page of every recorded table."""
    record = json.loads(path.read_text(encoding="utf-8"))
    hashes = pd.DataFrame([("results/x/gaze/y.parquet", "ab" * 32)], columns=["file", "SHA-256"])
    page = unescape(pages.provenance_page("Provenance", record, hashes))
    for expected in (record["commit"], record["packages"]["torch"], "results/x/gaze/y.parquet", "ab" * 32):
        assert expected in page
    assert "estimator: " in page
    assert all(run in page for run in record.get("trainings", {}))
    assert len(page.encode()) < PAGE_LIMIT


@pytest.fixture
def benchmarks(tmp_path):
    """Return a folder as Snakemake's benchmark directives leave it, with one job too short to be sampled."""
    head = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    for name, line in {
        "train/early.seed0.tsv": "7300.5\t2:01:40\t3000.00\t1\t1\t1\t0\t0\t180.00\t9000\n",
        "train/late.seed0.tsv": "100.0\t0:01:40\t700.00\t1\t1\t1\t0\t0\t90.00\t90\n",
        "baseline/gbvs/a.tsv": "0.4\t0:00:00\t-\t-\t-\t-\t-\t-\t-\t-\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + line, encoding="utf-8")
    return tmp_path


def test_jobs(benchmarks):
    jobs = provenance.jobs(benchmarks)
    assert jobs["job"].tolist() == ["early.seed0", "late.seed0", "gbvs/a"]
    assert jobs["step"].tolist() == ["train", "train", "baseline"]
    assert jobs["wall_s"].tolist() == [7300.5, 100.0, 0.4]
    assert jobs["peak_mib"].isna().tolist() == [False, False, True]
    assert provenance.jobs(benchmarks / "train" / "nothing").empty


def test_runtimes_page(benchmarks):
    """The costliest step first, with bars as long as their part of the largest."""
    costs = provenance.costs(benchmarks)
    page = pages.runtimes_page("Runtimes", costs, provenance.jobs(benchmarks), "a machine")
    assert rows(page) == [
        ["train", "2", "2.1 h", "2.0 h", "2.9 GiB"],
        ["baseline", "1", "0.4 s", "0.4 s", "-"],
    ]
    assert "--part: 100.0%" in page
    assert "a machine" in page
    assert "2.1 h in 3 jobs" in page


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (119.94, "119.9 s"), (120, "2.0 min"), (7200, "2.0 h"), (90000, "25.0 h")],
)
def test_duration(seconds, text):
    assert pages.duration(seconds) == text
