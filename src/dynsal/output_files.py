"""Where the outputs of `dynsal predict` go: names, checks before any work, and opening them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynsal import outputs
from dynsal.errors import DataError
from dynsal.inputs import Input
from dynsal.overlay_video import OverlayVideo
from dynsal.partial import folder_kept_when_interrupted, kept_when_interrupted
from dynsal.pictures import Source

KINDS = {"overlay": ".saliency.mp4", "csv": ".saliency.csv", "h5": ".saliency.h5", "png": ".saliency.maps"}
"""Kind of output -> what is put behind an input's name; the last is a folder, and overlays of single images are .png."""
SUFFIXES = {
    ".mp4": "overlay", ".png": "overlay", ".jpg": "overlay", ".csv": "csv", ".h5": "h5", ".hdf5": "h5",
}  # fmt: skip
"""Suffix of a file named with --out -> kind."""


@dataclass(frozen=True)
class Target:
    """One output of one input."""

    kind: str
    path: Path


def plan(inputs: Sequence[Input], outs: Sequence[Path], kinds: Sequence[str]) -> list[list[Target]]:
    """Return the outputs of every input.

    Parameters
    ----------
    inputs
        What is predicted.
    outs
        Files, whose suffix says what they hold (one input only), and at most one folder; nothing stands for the working
        directory.
    kinds
        What goes into the folder (keys of :data:`KINDS`).

    Raises
    ------
    DataError
        If an output cannot be what its name says, or would replace an input or another output.
    """
    files = [out for out in outs if not out.is_dir() and out.suffix.lower() in SUFFIXES]
    folders = [out for out in outs if out not in files]
    for out in folders:
        if out.suffix and not out.is_dir():
            known = ", ".join(SUFFIXES)
            raise DataError(out, f"nothing can be written as {out.suffix}", f"Use {known}, or a folder")
    if len(folders) > 1:
        raise DataError(folders[1], "is a second folder", "Give one; --write says what goes into it")
    if files and len(inputs) > 1:
        raise DataError(files[0], f"is one file for {len(inputs)} inputs", "Give a folder as --out")
    planned = [[_named(out, one) for out in files] for one in inputs]
    if folders or not files:
        folder = folders[0] if folders else Path()
        for targets, name, one in zip(planned, names(inputs), inputs, strict=True):
            targets += [Target(kind, folder / (name + _ending(kind, one))) for kind in kinds]
    _check([target.path for targets in planned for target in targets], inputs)
    return planned


def names(inputs: Sequence[Input]) -> list[str]:
    """Return what each input's outputs are called: its name without suffix; with it where two would be the same."""
    count = Counter(one.name for one in inputs)
    return [one.name if count[one.name] == 1 else one.path.name for one in inputs]


def open_outputs(
    stack: ExitStack, targets: Sequence[Target], source: Source, facts: dict[str, Any], side_by_side: bool
) -> list[outputs.Output]:
    """Open the outputs of an input on a stack: whole when it ends well, partial after `dynsal.partial.Interrupted`.

    ``facts`` become attributes of HDF5 files.
    """
    return [_open(stack, target, source, facts, side_by_side) for target in targets]


def _open(
    stack: ExitStack, target: Target, source: Source, facts: dict[str, Any], side_by_side: bool
) -> outputs.Output:
    path, suffix = target.path, target.path.suffix.lower()
    if target.kind == "png":
        made = folder_kept_when_interrupted(
            path, lambda part: outputs.MapsPng(part, source), outputs.MapsPng.owned
        )
        return stack.enter_context(made)
    if target.kind == "csv":
        return stack.enter_context(kept_when_interrupted(path, lambda part: outputs.FactsCsv(part, source)))
    if target.kind == "h5":
        return stack.enter_context(
            kept_when_interrupted(path, lambda part: outputs.MapsHdf5(part, source, facts))
        )
    if suffix == ".mp4":
        return stack.enter_context(
            kept_when_interrupted(path, lambda part: OverlayVideo(part, source, side_by_side))
        )
    return stack.enter_context(
        kept_when_interrupted(path, lambda part: outputs.OverlayPicture(part, suffix, source, side_by_side))
    )


def _named(out: Path, one: Input) -> Target:
    kind = SUFFIXES[out.suffix.lower()]
    if kind == "overlay" and out.suffix.lower() != ".mp4" and not one.still:
        raise DataError(
            out, "a video's overlay is no picture", "Name it .mp4; --write png writes maps as PNG"
        )
    return Target(kind, out)


def _ending(kind: str, one: Input) -> str:
    return ".saliency.png" if kind == "overlay" and one.still else KINDS[kind]


def _check(paths: Sequence[Path], inputs: Sequence[Input]) -> None:
    twice = [path for path, count in Counter(path.resolve() for path in paths).items() if count > 1]
    if twice:
        raise DataError(twice[0], "would be written by two inputs", "Predict them into different folders")
    read = {file.resolve() for one in inputs for file in (one.path, *one.images)}
    for path in paths:
        if path.resolve() in read:
            raise DataError(path, "is an input and would be overwritten", "Give another --out")
