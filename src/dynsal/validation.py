"""The checks of ``dynsal validate``: everything in a user's folder that would stop a run, or make its results wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dynsal import folder_files, gaze_guesses, layout
from dynsal.datasets.folder import no_px_per_deg, origin
from dynsal.errors import DataError
from dynsal.findings import Findings
from dynsal.fixations import spread
from dynsal.folder_files import FolderSettings
from dynsal.gaze import Size
from dynsal.gaze_table import Placement, Rows, place, read_rows
from dynsal.video import decode, packet_times, probe

FEW_VIEWERS = 3
"""With fewer, a density says little and the human ceiling cannot be computed."""
TEST_SHARE = 0.25


@dataclass(frozen=True)
class Footage:
    """What decoding a video once shows."""

    frames: int
    fps: float
    size: Size
    samples: dict[int, NDArray[np.uint8]]
    """Frame -> its picture (H x W x 3 BGR), for the frames to draw."""


@dataclass(frozen=True)
class VideoReport:
    """One video with its gaze."""

    name: str
    footage: Footage
    viewers: list[str]
    fixations: int
    """Rows of the table."""
    outside: float
    """Share of the rows at a time of the video that lie outside its picture."""
    blind_frames: int
    """Frames without gaze."""
    points: pd.DataFrame
    """Columns frame, subject, x, y in source pixels: one row per point and frame, those outside the picture too."""


Draw = Callable[[VideoReport], None]


def validate(folder: Path, findings: Findings, n_samples: int, draw: Draw) -> list[VideoReport]:
    """Check a folder.

    Parameters
    ----------
    folder
        Laid out as `dynsal.folder_files` says.
    findings
        Takes all problems and warnings.
    n_samples
        Frames of each video to draw.
    draw
        Called with every video that could be decoded and has gaze.

    Returns
    -------
    list of VideoReport
        Without the pictures, in the order of the names.
    """
    settings = _settings(folder, findings)
    videos = _videos(folder, findings)
    tables = read_gaze_tables(folder, findings)
    match_names(folder, set(videos), tables, findings)
    split_problems(folder, set(videos), findings)
    reports: list[VideoReport] = []
    looks: list[gaze_guesses.Look] = []
    for name, file in videos.items():
        rows, source = tables.get(name, (None, ""))
        try:
            report, look = _inspect(folder, name, file, rows, settings, n_samples)
        except DataError as error:
            findings.add_error("video", error)
            continue
        looks.append(look)
        if rows is not None:
            warn_about(look, source, findings)
            draw(report)
        report.footage.samples.clear()
        reports.append(report)
    for source in sorted({source for _, source in tables.values()}):
        names = {name for name, (_, file) in tables.items() if file == source}
        gaze_guesses.guess(
            [look for look in looks if look.name in names], source, settings.coordinates, findings
        )
    return reports


def _settings(folder: Path, findings: Findings) -> FolderSettings:
    try:
        settings = folder_files.settings(folder)
    except DataError as error:
        findings.add_error("settings", error)
        return FolderSettings.model_validate({})
    if settings.px_per_deg is None:
        findings.add_error("no px_per_deg", no_px_per_deg(folder))
    return settings


def _videos(folder: Path, findings: Findings) -> dict[str, str]:
    """Return name -> file of every video that can be told from the others."""
    try:
        listed = folder_files.listed_videos(folder)
    except DataError as error:
        findings.add_error("no videos", error)
        return {}
    if not listed:
        findings.add("no videos", str(folder / "videos"), None, "holds no video", "Put the videos there")
    for name, files in listed.items():
        if len(files) > 1:
            findings.add(
                "same name",
                str(folder / files[1]),
                None,
                f"has the same name as {files[0]}",
                "Rename or remove one",
            )
        if not folder_files.is_name(name):
            findings.add(
                "name",
                str(folder / files[0]),
                None,
                f"the name {name!r} cannot be used",
                folder_files.NAME_RULE,
            )
    return {name: files[0] for name, files in listed.items()}


def read_gaze_tables(folder: Path, findings: Findings) -> dict[str, tuple[Rows, str]]:
    """Return video -> its rows and the file they come from, noting malformed, empty and repeated rows."""
    try:
        files = folder_files.gaze_files(folder)
    except DataError as error:
        findings.add_error("no gaze", error)
        return {}
    found: dict[str, tuple[Rows, str]] = {}
    for file in files:
        path, before = folder / file, findings.problems
        rows = read_rows(path, findings, shared=folder_files.is_shared(file))
        if rows is None:
            continue
        table = rows.table
        if table.empty and findings.problems == before:
            findings.add("empty table", str(path), None, "has no rows", "Add the gaze, one row per fixation")
        for line in table.loc[table[["x", "y"]].isna().any(axis=1), "line"].tolist():
            findings.add(
                "NaN",
                str(path),
                line,
                "x or y is missing (a run drops the row)",
                "Leave out rows without gaze",
            )
        repeated = table.duplicated(["video", "subject", "when", "duration", "x", "y"])
        for line in table.loc[repeated, "line"].tolist():
            findings.add("duplicate row", str(path), line, "repeats an earlier row", "Keep one of them")
        for video, part in table.groupby("video", sort=False):
            found[str(video)] = (Rows(part.reset_index(drop=True), rows.by_frame), str(path))
    return found


def match_names(
    folder: Path, videos: set[str], tables: dict[str, tuple[Rows, str]], findings: Findings
) -> None:
    """Note videos without gaze and gaze without video, with the likeliest other name."""
    for name in sorted(set(tables) - videos):
        rows, file = tables[name]
        line = int(rows.table["line"].iloc[0])
        findings.add(
            "gaze without video",
            file,
            line,
            f"there is no video {name}",
            _suggest(name, videos) or "Add it to videos/, or remove its rows",
        )
    if tables:
        for name in sorted(videos - set(tables)):
            findings.add(
                "video without gaze",
                str(folder / "videos"),
                None,
                f"{name} has no gaze",
                _suggest(name, set(tables) - videos) or "Add its gaze, or remove the video",
            )


def _suggest(name: str, known: set[str]) -> str:
    plain = {re.sub(r"\.\w{2,4}$", "", other).lower(): other for other in sorted(known)}
    close = difflib.get_close_matches(re.sub(r"\.\w{2,4}$", "", name).lower(), plain, 1, 0.7)
    return f"Is it {plain[close[0]]}? The names must be equal, without the file's suffix" if close else ""


def split_problems(folder: Path, videos: set[str], findings: Findings) -> None:
    """Check split.csv where there is one."""
    path = folder / folder_files.SPLIT
    if not path.is_file():
        return
    try:
        roles = layout.split_file(path)
    except DataError as error:
        findings.add_error("split", error)
        return
    for name in roles:
        if name not in videos:
            findings.add(
                "split",
                str(path),
                None,
                f"names {name}, which is no video",
                _suggest(name, videos) or "Remove the line",
            )
    for role, least in (("train", 1), ("test", 2)):
        if (count := list(roles.values()).count(role)) < least:
            findings.add("split", str(path), None, f"has {count} {role} videos", f"A run needs {least}")
    for name in sorted(videos - set(roles)):
        findings.add(
            "not in the split",
            str(path),
            None,
            f"leaves out {name}",
            "A run will not use this video",
            warning=True,
        )


def propose_split(videos: list[str], seed: int = 0) -> dict[str, str]:
    """Return video -> role: a quarter of the videos, at least two, drawn by seed, are test videos.

    Raises
    ------
    DataError
        If there are fewer than three videos.
    """
    if len(videos) < 3:
        raise DataError(
            folder_files.SPLIT,
            f"{len(videos)} videos cannot be split",
            "Training needs three: two test videos",
        )
    names = sorted(videos)
    n_test = max(2, round(TEST_SHARE * len(names)))
    test = set(np.random.default_rng(seed).permutation(names)[:n_test].tolist())
    return {name: "test" if name in test else "train" for name in names}


def _inspect(
    folder: Path, name: str, file: str, rows: Rows | None, settings: FolderSettings, n_samples: int
) -> tuple[VideoReport, gaze_guesses.Look]:
    """Decode a video once and lay its gaze over it."""
    path = folder / file
    info, times = probe(path), packet_times(path)
    size = (info.width, info.height)
    rows = rows or Rows(_NO_ROWS, by_frame=False)
    placed = place(rows, info.fps, len(times), size, origin(settings, size, folder))
    points = _points(rows, placed)
    frames_seen = np.unique(points["frame"].to_numpy()) if len(points) else np.arange(len(times))
    chosen = frames_seen[np.linspace(0, len(frames_seen) - 1, n_samples).round().astype(int)]
    samples, frames = {}, 0
    for frames, (_, picture) in enumerate(decode(path, set(chosen.tolist()).__contains__), 1):
        if picture is not None:
            samples[frames - 1] = picture
    footage = Footage(frames, info.fps, size, samples)
    timely = len(rows.table) - sum(
        int(placed.dropped[reason].sum())
        for reason in ("without_position", "before_video_start", "after_video_end")
    )
    outside = int(placed.dropped["outside_frame"].sum())
    seen = np.unique(points.loc[points["inside"], "frame"].to_numpy())
    report = VideoReport(
        name,
        footage,
        sorted(rows.table["subject"].unique()),
        len(rows.table),
        outside / timely if timely else 0.0,
        frames - int((seen < frames).sum()),
        points,
    )
    irregular = np.abs(times - times[0] - np.arange(len(times)) / info.fps).max() * info.fps > 0.5
    return report, gaze_guesses.Look(
        name, str(path), rows, placed, frames, info.fps, size, report.viewers, bool(irregular)
    )


_NO_ROWS = pd.DataFrame(
    {
        "line": np.array([], np.int64),
        **{name: np.array([], object) for name in ("video", "subject")},
        **{name: np.array([], np.float64) for name in ("when", "duration", "x", "y")},
    }
)


def _points(rows: Rows, placed: Placement) -> pd.DataFrame:
    """Return the points of all rows at a time of the video."""
    inside = placed.kept
    source, frame = spread(placed.first, placed.last, inside | placed.dropped["outside_frame"])
    return pd.DataFrame(
        {
            "frame": frame,
            "subject": rows.table["subject"].to_numpy(object)[source],
            "x": placed.x[source],
            "y": placed.y[source],
            "inside": inside[source],
        }
    )


def warn_about(look: gaze_guesses.Look, source: str, findings: Findings) -> None:
    """Note what is doubtful about one video and its gaze by itself."""
    late = int(look.placed.dropped["after_video_end"].sum())
    early = int(look.placed.dropped["before_video_start"].sum())
    for kind, count, edge in (
        ("after the end", late, f"after the last of {look.frames} frames"),
        ("before the start", early, "before the first frame"),
    ):
        if count:
            findings.add(
                kind,
                source,
                None,
                f"{look.name}: {count} of {len(look.rows.table)} rows lie {edge}",
                "They will not count",
                warning=True,
            )
    if len(look.viewers) < FEW_VIEWERS:
        findings.add(
            "few viewers",
            source,
            None,
            f"{look.name} has {len(look.viewers)} viewer(s)",
            f"Densities and the human ceiling want {FEW_VIEWERS} at least",
            warning=True,
        )
    if look.irregular and not look.rows.by_frame:
        findings.add(
            "variable frame rate",
            look.file,
            None,
            "its frames do not come at a constant rate, so t_ms would point at wrong frames",
            "Convert it to a constant rate, or give frame instead of t_ms",
            warning=True,
        )
