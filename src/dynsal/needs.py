"""How much disk a run may need, said before it starts. Estimates, and light enough for the Snakefile to call."""

from __future__ import annotations

import shutil
from pathlib import Path

from dynsal import layout
from dynsal.workflow import Plan

_PIXELS = 640 * 480
FRAME_BYTES, FLOW_BYTES = 88_000, 157_000
"""Per stored frame and field at 640 x 480 (measured on real videos; noisy ones need twice as much)."""
HEVC33_FRAMES = 13_020


def source_frames(plan: Plan) -> int | None:
    """Return the number of frames of the run's videos before thinning, where it is known without the files."""
    if plan.config.dataset.name == "diem":
        listed = layout.diem_frames()
        return sum(listed.get(video, 0) for video in plan.videos)
    if plan.config.dataset.name == "hevc33":
        share = len(plan.videos) / len(layout.split(plan.config.dataset.split))
        return round(HEVC33_FRAMES * share)
    return None


def needs(plan: Plan) -> dict[str, int | None]:
    """Return what each step may put on the disk, in bytes; None where that is not known.

    An upper bound in one respect: thinning by ``prepare.fps_target`` depends on the videos and is left out.
    """
    name = plan.config.dataset.name
    rows = layout.registry(name) if layout.has_registry(name) else []
    sizes = [row.expected for row in rows]
    found: dict[str, int | None] = {}
    if rows:
        found["downloads"] = None if None in sizes else sum(size or 0 for size in sizes)
    frames = source_frames(plan)
    if frames is not None:
        width, height = plan.config.prepare.size
        kept = frames / plan.config.prepare.frame_step * width * height / _PIXELS
        found["frames"] = round(kept * FRAME_BYTES)
        found["flow"] = round(kept * FLOW_BYTES)
        shares = sum(1 / factor**2 for factor in plan.all_factors())
        found["low-resolution copies"] = round(kept * (FRAME_BYTES + FLOW_BYTES) * shares)
    return found


def announcement(plan: Plan, folder: Path = Path()) -> str:
    """Return one line with what a whole run may need and what is free, and a warning where that is less."""
    found = needs(plan)
    if not found:
        return ""
    free = shutil.disk_usage(folder).free
    parts = [f"{step} {'of unknown size' if size is None else _gb(size)}" for step, size in found.items()]
    known = sum(size or 0 for size in found.values())
    warning = "" if known < free else " NOT ENOUGH: free some space or run in a folder on a larger disk."
    return f"{plan.ds}: disk for everything, about: {', '.join(parts)}; free: {_gb(free)}.{warning}"


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
