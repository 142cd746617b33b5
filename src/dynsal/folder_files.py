"""A user's folder of videos and gaze: which files lie where, under which names, and its dataset.yaml.

::

    FOLDER/
      videos/<video>.mp4          any format that FFmpeg reads
      gaze.csv or gaze.parquet    or gaze/<video>.csv, gaze/<video>.parquet
      dataset.yaml                px_per_deg; coordinates: video or screen; screen: [width, height]
      split.csv                   video,split

Nothing heavy is imported: the Snakefile, which every job parses again, asks for the names.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from dynsal.config_sections import Count, Positive, Section
from dynsal.errors import DataError

VIDEO_NAME = re.compile(r"\w([\w .+-]*[\w.+-])?")
"""What a video may be called: its name becomes part of file names, patterns and command lines."""
NAME_RULE = (
    "A name is letters, digits, _ and, after the first character, also blanks, dots, + and -; rename the file"
)
NO_VIDEOS = {
    ".srt", ".vtt", ".ass", ".ssa", ".sub", ".idx", ".smi", ".txt", ".md", ".pdf", ".log", ".csv", ".tsv", ".parquet",
    ".json", ".xml", ".yaml", ".yml", ".xlsx", ".mat", ".asc", ".edf", ".wav", ".mp3", ".m4a", ".aac", ".flac", ".jpg",
    ".jpeg", ".png", ".zip", ".gz", ".7z", ".db", ".ini",
}  # fmt: skip
"""Suffixes of what may lie beside videos (subtitles, notes, tables, sound, pictures), in small letters."""
TABLES = (".csv", ".parquet")
"""Suffixes of tables, in small letters."""
SETTINGS = "dataset.yaml"
SPLIT = "split.csv"


class FolderSettings(Section):
    """The content of dataset.yaml."""

    px_per_deg: Positive | None = Field(
        None, description="Pixels of the video per degree of visual angle, as shown."
    )
    coordinates: Literal["video", "screen"] = "video"
    screen: tuple[Count, Count] | None = Field(None, description="Width and height of the screen in pixels.")

    @model_validator(mode="after")
    def _screen_has_a_size(self) -> FolderSettings:
        if (self.coordinates == "screen") != (self.screen is not None):
            raise ValueError(
                "coordinates: screen and screen: [width, height] go together; give both or neither"
            )
        return self


def settings(folder: Path) -> FolderSettings:
    """Read dataset.yaml; without one, the defaults.

    Raises
    ------
    DataError
        If it is no YAML mapping, or has an unknown key or a wrong value.
    """
    path = Path(folder) / SETTINGS
    if not path.is_file():
        return FolderSettings.model_validate({})
    remedy = "Its keys are px_per_deg, coordinates (video or screen) and screen ([width, height])"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        text = json.dumps({} if values is None else values)
        return FolderSettings.model_validate_json(text)  # strict JSON takes lists for tuples
    except ValidationError as error:
        problems = "; ".join(
            ": ".join(filter(None, (".".join(map(str, item["loc"])), item["msg"]))) for item in error.errors()
        )
        raise DataError(path, problems, remedy) from None
    except (UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        problem = str(error).replace("\n", " ")
        raise DataError(path, f"cannot be read as YAML ({problem})", remedy) from None


def is_name(video: str) -> bool:
    """Whether a video may be called so."""
    return VIDEO_NAME.fullmatch(video) is not None


def listed_videos(folder: Path) -> dict[str, list[str]]:
    """Return name -> its files below the folder, in order; hidden files, and those of `NO_VIDEOS`, are no videos.

    Raises
    ------
    DataError
        If there is no folder videos/.
    """
    found: dict[str, list[str]] = {}
    for name in _visible_files(folder):
        if Path(name).suffix.lower() not in NO_VIDEOS:
            found.setdefault(Path(name).stem, []).append(f"videos/{name}")
    return found


def no_videos(folder: Path) -> list[str]:
    """Return the files among the videos, below the folder, that are none by their suffix."""
    return [f"videos/{name}" for name in _visible_files(folder) if Path(name).suffix.lower() in NO_VIDEOS]


def _visible_files(folder: Path) -> list[str]:
    place = Path(folder) / "videos"
    if not place.is_dir():
        raise DataError(place, "there is no such folder", "Put the videos there (docs/datasets.md)")
    return sorted(e.name for e in os.scandir(place) if not e.is_dir() and not e.name.startswith("."))


@functools.cache
def _listed_once(folder: str) -> dict[str, list[str]]:
    return listed_videos(Path(folder))


def video_file(folder: Path, video: str) -> str:
    """Return the path of a video below the folder, which is listed once per process.

    Raises
    ------
    DataError
        If there is none, or more than one, or its name cannot be used.
    """
    files = _listed_once(str(folder)).get(video, [])
    where = Path(folder) / "videos"
    if not files:
        raise DataError(where, f"has no video {video}", f"Add it, or take it out of {SPLIT}")
    if len(files) > 1:
        raise DataError(where, f"{' and '.join(files)} have the same name {video}", "Rename or remove one")
    if not is_name(video):
        raise DataError(Path(folder) / files[0], f"the name {video!r} cannot be used", NAME_RULE)
    return files[0]


def gaze_files(folder: Path) -> list[str]:
    """Return all tables of gaze below the folder: one for all videos, or one per video.

    Raises
    ------
    DataError
        If there is none, or both kinds, or two of one name.
    """
    folder = Path(folder)
    whole = [path.name for path in sorted(folder.glob("gaze.*")) if _is_table(path)]
    single = [f"gaze/{path.name}" for path in sorted((folder / "gaze").glob("[!.]*")) if _is_table(path)]
    stems = Counter(Path(name).stem for name in single)
    twice = sorted(f"gaze/{stem}" for stem, count in stems.items() if count > 1)
    if len(whole) > 1 or (whole and single) or twice:
        found = ", ".join(twice or [*whole, *single[:1]])
        raise DataError(folder, f"has gaze twice ({found})", "Keep one: gaze.csv, gaze.parquet, or gaze/")
    if not whole and not single:
        raise DataError(
            folder, "has no gaze", "Add gaze.csv or gaze.parquet, or gaze/<video>.csv for every video"
        )
    return whole or single


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in TABLES and path.is_file()


def is_shared(gaze_file: str) -> bool:
    """Whether a table of gaze holds all videos (and so has a column that names them)."""
    return "/" not in gaze_file


@functools.lru_cache(maxsize=4)
def _gaze_by_video(folder: Path, _changed: tuple[int, ...]) -> dict[str | None, str]:
    """Return video -> its table; None -> the table of all videos, if there is one."""
    return {None if is_shared(name) else Path(name).stem: name for name in gaze_files(folder)}


def gaze_file(folder: Path, video: str) -> str:
    """Return the table with a video's gaze, below the folder, which is listed again only after it has changed.

    Raises
    ------
    DataError
        If there is none, or more than one.
    """
    places = (Path(folder), Path(folder) / "gaze")
    tables = _gaze_by_video(places[0], tuple(place.stat().st_mtime_ns for place in places if place.is_dir()))
    found = tables.get(None) or tables.get(video)
    if found is None:
        raise DataError(Path(folder) / "gaze", f"has no gaze of {video}", f"Add gaze/{video}.csv")
    return found
