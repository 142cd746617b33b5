"""What the words after `dynsal predict` mean: videos, images, folders of either, and patterns."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from dynsal.errors import DataError

if TYPE_CHECKING:
    from dynsal.pictures import Source

_IMAGES = ".png .jpg .jpeg .jpe .bmp .dib .tif .tiff .webp .ppm .pgm .pbm .pnm .jp2 .sr .ras"
_VIDEOS = (
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .m2v .ts .mts .m2ts .wmv .asf .flv .f4v .ogv .ogg .3gp .3g2 .vob .mxf "
    ".gif .y4m .dv .rm .rmvb .264 .h264 .265 .hevc .ivf .nut"
)
IMAGES, VIDEOS = frozenset(_IMAGES.split()), frozenset(_VIDEOS.split())
"""What counts as a video in a folder; a file named by itself is always tried."""
OWN = re.compile(r"\.saliency(\.partial)?\.(mp4|png)$")
"""Names of our own overlays, which are passed over in folders."""


@dataclass(frozen=True)
class Input:
    """One thing to predict, with outputs of its own."""

    path: Path
    """Video, image, or the folder or first image of a sequence."""
    images: tuple[Path, ...] = ()
    """The frames of a sequence, or the single image; empty for a video."""
    rate: Fraction = Fraction(25)
    """Frames per second of a sequence."""

    @property
    def still(self) -> bool:
        """Whether this is a single image."""
        return len(self.images) == 1

    @property
    def name(self) -> str:
        """What outputs are named after."""
        return self.path.name if self.path.is_dir() else self.path.stem

    def open(self, threads: int = 1) -> Source:
        """Open it; see `dynsal.open_video.OpenVideo` and `dynsal.open_images.OpenImages`."""
        from dynsal.open_images import OpenImages
        from dynsal.open_video import OpenVideo

        if self.images:
            return OpenImages(self.images, self.path.name, self.rate)
        return OpenVideo(self.path, threads)


def find_inputs(words: Sequence[str], sequence: bool = False, rate: Fraction = Fraction(25)) -> list[Input]:
    """Return what to predict, in the order given, folders in natural order.

    Parameters
    ----------
    words
        Files, folders and patterns. Files named by themselves are videos unless their suffix is an image's; of folders
        and patterns, files with neither kind of suffix, hidden ones, and our own overlays are passed over.
    sequence
        Take images as the frames of one video: those of a folder or pattern together, those named by themselves together.
        Without it every image stands for itself.
    rate
        Frames per second of such videos.

    Raises
    ------
    DataError
        If a word leads to nothing.
    """
    found: list[Input] = []
    loose: list[Path] = []
    for word in words:
        path = Path(word)
        if path.is_dir():
            images, others = _sorted_out(path.iterdir())
            owner = path.resolve() if path.name in ("", "..") else path
        elif not path.exists() and glob.has_magic(word):
            images, others = _sorted_out(Path(name) for name in glob.glob(word, recursive=True))
            owner = path.parent
        else:
            images, others, owner = [], [], path
            if path.suffix.lower() not in IMAGES:
                others = [path]
            elif sequence:
                loose.append(path)
                continue
            else:
                images = [path]
        if not images and not others:
            raise DataError(word, "holds no video and no image", "Name the files, or another folder")
        if sequence and images:
            found.append(Input(owner, tuple(images), rate))
        else:
            found += [Input(image, (image,)) for image in images]
        found += [Input(video) for video in others]
    if loose:
        found.append(Input(loose[0], tuple(sorted(loose, key=natural)), rate))
    return found


def natural(path: Path) -> list[tuple[bool, int, str]]:
    """Return a key that sorts frame 2 before frame 10."""
    parts = re.split(r"(\d+)", str(path).lower())
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def _sorted_out(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    files = sorted(
        (
            path
            for path in paths
            if path.is_file() and not path.name.startswith(".") and not OWN.search(path.name)
        ),
        key=natural,
    )
    images = [path for path in files if path.suffix.lower() in IMAGES]
    return images, [path for path in files if path.suffix.lower() in VIDEOS]
