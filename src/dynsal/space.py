"""How much disk a run will take at most, told before it begins.

Nothing heavy is imported: the Snakefile calls it.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dynsal import layout
from dynsal.workflow import Plan

FRAME_BYTES, FLOW_BYTES = 0.6, 1.0
"""Bytes per pixel of a stored frame and of its flow: twice the mean of real videos at 640x480, for noisy ones."""
MOTION_SIZE = (320, 240)
"""Of the frames and fields that the static flow net learns from."""
_LONGEST = {"demo": 75, "hevc33": 600, "osie": 80, "salicon": 500, "demo_stills": 40}
"""Frames of a data set's longest video, or images of its largest shard, where not every video's number is known."""


@dataclass(frozen=True)
class Needs:
    """Upper estimates in bytes."""

    downloads: int
    unknown_downloads: int
    """Files to download that have no known size."""
    products: int
    """Frames, flow and low-resolution copies."""
    unknown_videos: int
    """Videos of unknown length that they are made of, counted once for each job."""

    @property
    def total(self) -> int:
        """What can be told of both."""
        return self.downloads + self.products

    def text(self, free: int, folder: Path) -> str:
        """Return it as a line for people."""
        downloads = _told("downloads", self.downloads, self.unknown_downloads, "files")
        products = _told("frames and flow", self.products, self.unknown_videos, "videos")
        return f"Disk: {downloads}, {products}; {size(free)} are free in {folder}"


def needs(plans: Mapping[str, Plan], jobs: Iterable[Iterable[str]]) -> Needs:
    """Return what a run's jobs, given by their output files, will take; ``plans`` by data set."""
    files: dict[tuple[str, str], int | None] = {}
    products = unknown_videos = 0
    for outputs in jobs:
        found = [_split(path) for path in outputs]
        raw = [(ds, rest) for ds, step, rest in found if step == "raw" and ds not in ("demo", "demo_stills")]
        files.update(
            _download(ds, rest) for ds, rest in raw if not rest.startswith("points/")
        )  # made, not fetched
        made = [
            (Path(rest).stem, _product(plans[ds], step, rest))
            for ds, step, rest in found
            if step in ("frames", "flow", "augmented", "motion")
        ]
        products += sum(known for _, known in made if known is not None)
        unknown_videos += len({video for video, known in made if known is None})
    downloads = [known for known in files.values() if known is not None]
    return Needs(sum(downloads), len(files) - len(downloads), products, unknown_videos)


def tell(plans: Mapping[str, Plan], jobs: Iterable[Iterable[str]], log: logging.Logger) -> None:
    """Log what a run will take, if it downloads anything or makes frames or flow; warn if that is more than is free."""
    found = needs(plans, jobs)
    if not (found.total or found.unknown_downloads or found.unknown_videos):
        return
    folder = Path("results") if Path("results").is_dir() else Path()
    free = shutil.disk_usage(folder).free
    text = found.text(free, folder.absolute())
    if found.total > free:
        log.warning(f"{text}. That may not be enough: free some, or link results/ to a larger disk")
    else:
        log.info(text)


def size(count: int) -> str:
    """Return bytes in the unit that people use for them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _told(what: str, known: int, unknown: int, unit: str) -> str:
    if unknown and not known:
        return f"{what} are of unknown size ({unit}: {unknown})"
    besides = f" (and {unit} of unknown size besides: {unknown})" if unknown else ""
    return f"{what} take at most {size(known)}{besides}"


def _split(path: str) -> tuple[str, str, str]:
    """Return data set, step and the rest of ``results/<data set>/<step>/<rest>``."""
    found = re.fullmatch("results/([^/]+)/([^/]+)/(.+)", path)
    return (found[1], found[2], found[3]) if found else ("", "", "")


def _download(ds: str, file: str) -> tuple[tuple[str, str], int | None]:
    """Return (data set, what is fetched) and its size; files of no registry come out of one archive of their data set."""
    rows = layout.registry(ds) if layout.has_registry(ds) else []
    if file == "manifest.json":
        sizes = [row.expected for row in rows]
        return (ds, file), None if None in sizes else sum(found for found in sizes if found is not None)
    sizes = [row.expected for row in rows if row.file == file]
    return ((ds, file), sizes[0]) if sizes else ((ds, ""), None)


def _product(plan: Plan, step: str, rest: str) -> int | None:
    """Return the bytes of one HDF5 file, such as those of ``flow/<video>.h5`` or ``augmented/x2/<video>.h5``."""
    width, height = plan.config.prepare.size
    name, video = plan.config.dataset.name, Path(rest).stem
    known = layout.diem_frames().get(video) if name == "diem" else _LONGEST.get(name)
    if known is None:
        return None
    kept = -(-known // plan.config.prepare.frame_step)
    per_pixel = {"frames": FRAME_BYTES, "flow": FLOW_BYTES}.get(step, FRAME_BYTES + FLOW_BYTES)
    if step == "motion":
        (width, height), kept = MOTION_SIZE, -(-known // plan.config.static_flow.label_step)
    factor = int(rest[1 : rest.index("/")]) if step == "augmented" else 1
    return round(kept * width * height * per_pixel / factor**2)
