"""The checks of ``dynsal validate``: everything in a user's folder that would stop a run, or make its results wrong."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dynsal import folder_files, gaze_guesses, layout
from dynsal.datasets.folder import no_px_per_deg
from dynsal.errors import DataError
from dynsal.findings import Findings
from dynsal.folder_files import FolderSettings
from dynsal.gaze_table import Rows, read_rows
from dynsal.inspection import Inspected, inspect

FEW_VIEWERS = 3
"""With fewer, a density says little and the human ceiling cannot be computed."""
TEST_SHARE = 0.25


Draw = Callable[[Inspected], None]


def validate(folder: Path, findings: Findings, n_samples: int, draw: Draw) -> list[Inspected]:
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
    list of Inspected
        The videos that could be decoded, without pictures.
    """
    settings = _settings(folder, findings)
    files = _videos(folder, findings)
    tables = read_gaze_tables(folder, findings)
    match_names(folder, set(files), tables, findings)
    split_problems(folder, set(files), findings)
    videos: list[Inspected] = []
    for name, file in files.items():
        rows, source = tables.get(name, (None, ""))
        try:
            video = inspect(folder / file, rows, settings, n_samples)
        except DataError as error:
            findings.add_error("video", error)
            continue
        check_display(video, findings)
        if rows is not None:
            if not video.placed.kept.any():
                reasons = ", ".join(
                    f"{int(bad.sum())} {why}" for why, bad in video.placed.dropped.items() if bad.any()
                )
                findings.add(
                    "no usable gaze",
                    source,
                    None,
                    f"no row of {name} counts ({reasons})",
                    "Check its units and origin",
                )
            warn_about(video, source, findings)
            draw(video)
        video.samples.clear()
        videos.append(video)
    seen = [video for video in videos if video.name in tables]
    sources = sorted({source for _, source in tables.values()})
    whole = sources[0] if len(sources) == 1 else str(folder / "gaze")
    gaze_guesses.guess(seen, whole, settings.coordinates, findings)
    return videos


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
    for file in folder_files.no_videos(folder):
        findings.add("no video", str(folder / file), None, "is no video", "A run ignores it", warning=True)
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
        lost = table[["x", "y"]].isna().any(axis=1)
        if lost.any():
            findings.add(
                "without position",
                str(path),
                None,
                f"{int(lost.sum())} of {len(table)} rows have no x or y",
                "A run drops and counts them",
                warning=True,
            )
        _note_repeated(Rows(table[~lost], rows.by_frame), str(path), findings)
        for video, part in table.groupby("video", sort=False):
            found[str(video)] = (Rows(part.reset_index(drop=True), rows.by_frame), str(path))
    return found


def _note_repeated(rows: Rows, file: str, findings: Findings) -> None:
    """Note rows that say what an earlier one says: a viewer cannot begin the same fixation twice in a millisecond.

    Of samples, and of fixations by their frame, several may fall into one frame at one place.
    """
    table = rows.table
    repeated = table[table.duplicated(["video", "subject", "when", "duration", "x", "y"])]
    for line, duration in zip(repeated["line"].tolist(), repeated["duration"].tolist(), strict=True):
        possible = rows.by_frame or math.isnan(duration)
        findings.add(
            "perhaps repeated" if possible else "duplicate row",
            file,
            line,
            "repeats an earlier row",
            "It counts again; is that meant?" if possible else "Keep one of them",
            warning=possible,
        )


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
            findings.add("split", str(path), None, f"has {count} {role} video(s)", f"A run needs {least}")
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
            f"{len(videos)} videos with gaze cannot be split",
            "Training needs three: two test videos",
        )
    names = sorted(videos)
    n_test = max(2, round(TEST_SHARE * len(names)))
    test = set(np.random.default_rng(seed).permutation(names)[:n_test].tolist())
    return {name: "test" if name in test else "train" for name in names}


def check_display(video: Inspected, findings: Findings) -> None:
    """Note where players show other pixels than are stored: gaze would be laid over the wrong ones."""
    if video.turned:
        findings.add(
            "turned",
            str(video.path),
            None,
            f"players turn it clockwise by {video.turned} degrees; a run uses the frames as they are stored",
            "Write it again with ffmpeg -i IN OUT, which turns the frames themselves",
        )
    if video.pixel != 1:
        findings.add(
            "pixels",
            str(video.path),
            None,
            f"its pixels are not square ({video.pixel.numerator}:{video.pixel.denominator})",
            "Positions must be in stored pixels; or scale it to the size at which it was shown",
            warning=True,
        )


def warn_about(video: Inspected, source: str, findings: Findings) -> None:
    """Note what is doubtful about one video and its gaze by itself."""
    late = int(video.placed.dropped["after_video_end"].sum())
    early = int(video.placed.dropped["before_video_start"].sum())
    for kind, count, edge in (
        ("after the end", late, f"after the last of {video.frames} frames"),
        ("before the start", early, "before the first frame"),
    ):
        if count:
            findings.add(
                kind,
                source,
                None,
                f"{video.name}: {count} of {len(video.rows.table)} rows lie {edge}",
                "They will not count",
                warning=True,
            )
    if len(video.viewers) < FEW_VIEWERS:
        findings.add(
            "few viewers",
            source,
            None,
            f"{video.name} has {len(video.viewers)} viewer(s)",
            f"Densities and the human ceiling want {FEW_VIEWERS} at least",
            warning=True,
        )
    if video.irregular and not video.rows.by_frame:
        findings.add(
            "variable frame rate",
            str(video.path),
            None,
            "its frames do not come at a constant rate, so t_ms would point at wrong frames",
            "Convert it to a constant rate, or give frame instead of t_ms",
            warning=True,
        )
