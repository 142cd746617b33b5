"""Readable pages of the report: a table with its notes, where a result comes from, and what it cost.

Pure: from text, tables and plain values to HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import pandas as pd
import yaml

from dynsal.web import fill

_ROLES = ("train", "validation", "test")

MOST_ROWS = 1000
"""Longer tables are left to their files: Chromium shows no page of more than 2 MiB inside Snakemake's report."""

_INTERVAL = re.compile(r"(\S+) (\[.*\])")
_RANKED = ("net", "baseline")
"""Kinds of rows that compete for the best value of a column."""


def read_markdown(text: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the table (all text) and the notes of a file that `dynsal.tables.render` wrote.

    Raises
    ------
    ValueError
        If there is no table, or a row of it is longer or shorter than its heading.
    """
    lines = [line.strip() for line in text.splitlines()]
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines if line.startswith("|")]
    if len(cells) < 2 or any(len(row) != len(cells[0]) for row in cells):
        raise ValueError("no table, or one with rows of different length")
    found = (re.fullmatch(r"- \*\*(.+?)\*\*: (.*)", line) for line in lines)
    notes = {note[1]: note[2] for note in found if note}
    return pd.DataFrame(cells[2:], columns=cells[0]), notes


def table_page(title: str, markdown: str, details: Mapping[str, pd.DataFrame]) -> str:
    """Compose the page of a result table: the table with its best values marked, its notes, and further tables to unfold."""
    frame, notes = read_markdown(markdown)
    same = constant(frame)
    shared = "".join(f"; {escape(name)}: {escape(value)}" for name, value in same.items())
    parts = [
        "<p>Bold: the best value among nets and baselines. Click on a heading to sort."
        + (f" The same in every row: {shared[2:]}." if same else "")
        + "</p>",
        table(frame.drop(columns=list(same)), kinds=frame.get("kind"), bold=best(frame)),
        "<h2>Notes</h2>",
        facts({name: escape(note) for name, note in notes.items()}),
    ]
    for name, rows in details.items():
        parts.append(f"<h2>{escape(name)}</h2>")
        parts.append(_unfolded(_without_zeros(rows)))
    return fill("page.html", title=title, body="\n".join(parts))


def _unfolded(rows: pd.DataFrame) -> str:
    if len(rows) > MOST_ROWS:
        return f"<p>{len(rows)} rows: too many for a page; they are in the CSV file of this name.</p>"
    return f"<details><summary>{len(rows)} rows</summary>{table(rows)}</details>"


def _without_zeros(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out the counts of values that are missing where none is."""
    empty = [name for name in rows if str(name).endswith("_nan") and not rows[name].any()]
    return rows.drop(columns=empty)


def constant(frame: pd.DataFrame) -> dict[str, str]:
    """Return the columns that say the same in every row, which a sentence can say; never the first, nor a metric's."""
    if len(frame) < 2:
        return {}
    names = [name for name in frame.columns[1:] if name != "kind" and not name.endswith(("↑", "↓"))]
    return {name: str(frame[name].iloc[0]) for name in names if frame[name].nunique() == 1}


def best(frame: pd.DataFrame) -> set[tuple[int, str]]:
    """Return which cells (row, column) hold the best value of their column, by the arrow in its name.

    Only nets and baselines compete; without a column ``kind`` nothing is best. Equal values are all best.
    """
    found: set[tuple[int, str]] = set()
    ranked = frame[frame["kind"].isin(_RANKED)] if "kind" in frame else frame.iloc[:0]
    for name in frame:
        if not str(name).endswith(("↑", "↓")) or not len(ranked):
            continue
        values = pd.to_numeric(ranked[name].str.split().str[0], errors="coerce").dropna()
        if len(values):
            winner = values.max() if str(name).endswith("↑") else values.min()
            found |= {(int(row), str(name)) for row in values.index[values == winner]}
    return found


def table(
    frame: pd.DataFrame, kinds: Iterable[str] | None = None, bold: Iterable[tuple[int, str]] = ()
) -> str:
    """Return a table; numbers stand right, intervals below their value, and the first column stays in view.

    ``kinds`` marks the rows; ``bold`` are cells by the position of the row and the name of the column.
    """
    numeric = {name for name in frame if _is_numeric(frame[name])}
    marked = set(bold)
    head = "".join(f'<th scope="col"{_class(name in numeric)}>{_heading(str(name))}</th>' for name in frame)
    rows = []
    for row, (kind, values) in enumerate(
        zip(kinds if kinds is not None else [""] * len(frame), frame.itertuples(index=False), strict=True)
    ):
        cells = []
        for column, (name, value) in enumerate(zip(frame, values, strict=True)):
            text = _cell(value)
            if (row, str(name)) in marked:
                text = re.sub(r"^([^<]+)", r"<b>\1</b>", text)
            cells.append(
                f'<th scope="row">{text}</th>' if not column else f"<td{_class(name in numeric)}>{text}</td>"
            )
        rows.append(f'<tr data-kind="{escape(str(kind))}">{"".join(cells)}</tr>')
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead>\n<tbody>'
        + "\n".join(rows)
        + "</tbody></table></div>"
    )


def _heading(name: str) -> str:
    """Break long names after underscores, and never before an arrow."""
    return escape(name).replace("_", "_<wbr>").replace(" ↑", "&nbsp;↑").replace(" ↓", "&nbsp;↓")


def _is_numeric(column: pd.Series[Any]) -> bool:
    """Whether a column holds numbers, also such as text with an interval behind; a dash or nothing is no counterexample."""
    if pd.api.types.is_numeric_dtype(column):
        return True
    texts = [str(value).split()[0] for value in column if str(value).strip(" -")]
    return bool(texts) and bool(pd.to_numeric(pd.Series(texts), errors="coerce").notna().all())


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.0f}" if abs(value) >= 100 else f"{value:.3f}"
    found = _INTERVAL.fullmatch(str(value))
    return f"{escape(found[1])}<small>{escape(found[2])}</small>" if found else escape(str(value))


def _class(number: bool) -> str:
    return ' class="number"' if number else ""


def facts(values: Mapping[str, str]) -> str:
    """Return a list of names and what they are, the latter as HTML."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in values.items())
    return f"<dl>{items}</dl>"


def provenance_page(title: str, record: Mapping[str, Any], hashes: pd.DataFrame) -> str:
    """Compose the page that says where a table comes from.

    Parameters
    ----------
    title
        Heading of the page.
    record
        What the table's ``provenance.json`` holds.
    hashes
        One row per file of data or weights.
    """
    hardware = record["hardware"]
    commit = f"<code>{escape(str(record['commit']))}</code>" if record["commit"] else "not a checkout"
    if record["dirty"]:
        commit += ", with changes that are not committed"
    about = {
        "commit": commit,
        "machine of the table": escape(
            f"{hardware['processor']}, {hardware['cores']} cores, {hardware['memory_gib']} GiB, {hardware['system']}"
        ),
    }
    if record.get("skipped"):
        about["frames left out"] = escape(", ".join(f"{why}: {n}" for why, n in record["skipped"].items()))
    for role, videos in sorted(record.get("videos", {}).items(), key=lambda item: _ROLES.index(item[0])):
        about[f"{role} videos"] = escape(f"{len(videos)}: {', '.join(videos)}" if videos else "none")
    parts = [facts(about)]
    if record.get("trainings"):
        parts += ["<h2>Trainings</h2>", table(trainings(record["trainings"]))]
    packages = pd.DataFrame(record["packages"].items(), columns=["package", "version"]).astype(str)
    parts += [
        "<h2>Data and weights</h2>",
        "<p>SHA-256 of each file's size and of 64 blocks spread over it; of files up to 4 MiB, of all their bytes.</p>",
        _unfolded(hashes),
        "<h2>Versions</h2>",
        facts({name: escape(version) for name, version in packages.itertuples(index=False)}),
        "<h2>Configuration</h2>",
        f"<pre>{escape(yaml.safe_dump(record['config'], sort_keys=False))}</pre>",
        "<h2>The whole record</h2>",
        f"<details><summary>as YAML</summary><pre>{escape(yaml.safe_dump(dict(record)))}</pre></details>",
    ]
    return fill("page.html", title=title, body="\n".join(parts))


def trainings(records: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row per training, of what its record says."""
    rows = []
    for run, record in records.items():
        weights = record.get("initial_weights", {"weights": "not recorded"})  # older records
        rows.append(
            {
                "run": run,
                "device": record["device"],
                "iterations": record["step"],
                "seconds": f"{record['training_seconds']:.1f}",
                "peak MiB": record["peak_memory_mib"],
                "peak GPU MiB": record["peak_gpu_memory_mib"] or "",
                "initial weights": weights.get("file", weights["weights"]),
                "commit": str(record["commit"])[:10] + (" and changes" if record["dirty"] else ""),
                "machine": record["hardware"]["processor"],
                "fingerprint of data and options": record["fingerprint"][:16],
            }
        )
    made = pd.DataFrame(rows)
    return made if made["peak GPU MiB"].any() else made.drop(columns="peak GPU MiB")


def runtimes_page(title: str, costs: pd.DataFrame, jobs: pd.DataFrame, machine: str) -> str:
    """Compose the page that says what every step cost.

    Parameters
    ----------
    title
        Heading of the page.
    costs
        As `dynsal.provenance.costs` gives it.
    jobs
        As `dynsal.provenance.jobs` gives it.
    machine
        In words.
    """
    ordered = costs.sort_values("wall_s", ascending=False, kind="stable").to_dict("records")
    rows = [
        f'<tr><th scope="row">{escape(row["step"])}</th><td class="number">{row["jobs"]}</td>'
        f"{_bar(row['wall_s'], costs['wall_s'], duration(row['wall_s']))}"
        f'<td class="number" data-value="{row["longest_s"]}">{duration(row["longest_s"])}</td>'
        f"{_bar(row['peak_mib'], costs['peak_mib'], memory(row['peak_mib']), 'memory')}</tr>"
        for row in ordered
    ]
    parts = [
        facts(
            {
                "machine": escape(machine),
                "all jobs together": escape(
                    f"{duration(costs['wall_s'].sum())} in {costs['jobs'].sum()} jobs"
                ),
            }
        ),
        "<p>Wall time as Snakemake measured it, added up over the jobs of a step whether or not they ran side by side; "
        "memory of the largest job. Steps that were not run here, and those that take no time worth measuring, are "
        "not listed.</p>",
        '<div class="wide" tabindex="0"><table><thead><tr><th scope="col">step</th><th scope="col" class="number">jobs</th>'
        '<th scope="col" class="number">wall time, all jobs</th><th scope="col" class="number">longest job</th>'
        '<th scope="col" class="number">peak memory</th></tr></thead><tbody>',
        *rows,
        "</tbody></table></div>",
        "<h2>Every job</h2>",
        _unfolded(jobs),
    ]
    return fill("page.html", title=title, body="\n".join(parts))


def _bar(value: float, column: pd.Series[float], text: str, kind: str = "time") -> str:
    if pd.isna(value):
        return '<td class="number">-</td>'
    part = value / max(float(column.max()), 1e-9)
    return (
        f'<td class="number" data-value="{value}"><div class="bar"><i class="{kind}" style="--part: {part:.1%}"></i>'
        f"<span>{text}</span></div></td>"
    )


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def memory(mebibytes: float) -> str:
    """Return an amount of memory in the unit that suits it."""
    return f"{mebibytes:.0f} MiB" if mebibytes < 2048 else f"{mebibytes / 1024:.1f} GiB"
