"""A DIEM video out of the release archive against py7zr on the same .7z as a file of its own.

The member holds incompressible bytes, as video is, besides 50 event files. LZMA is what 7-Zip made by default in 2011,
LZMA2 what it makes now (it stores what does not shrink). Both sides flush their files to the disk. Below: the peak memory of
a process that does it, and what the index costs, once per archive.

python benchmarks/bench_unpack.py --mib 300
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tarfile
import tempfile
import time
from functools import partial
from pathlib import Path

from _common import MIB, at_least, at_most, begin, interleaved, measured, median_ratio, parser, show

VIDEO = "bench_640x480"
TARGET, MEMORY = 0.8, 500
METHODS = {"LZMA": 0x4000000000000001, "LZMA2": 0x21}
_JOB = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from bench_unpack import step
step(Path(sys.argv[2]), Path(sys.argv[3]))
"""


def pack(folder: Path, mib: int, method: int) -> Path:
    """Write the video's .7z; return it."""
    import py7zr

    video = folder / VIDEO / "video" / f"{VIDEO}.mp4"
    video.parent.mkdir(parents=True)
    with video.open("wb") as stream:
        for _ in range(mib):
            stream.write(os.urandom(MIB))
    events = folder / VIDEO / "event_data"
    events.mkdir()
    for viewer in range(50):
        (events / f"diem1s{viewer}.asc_1_{VIDEO}.txt").write_bytes(
            b"1\t640\t480\t9\t1\t640\t480\t9\t1\r\n" * 3000
        )
    packed = folder / f"{VIDEO}.7z"
    with py7zr.SevenZipFile(packed, "w", filters=[{"id": method, "preset": 0}]) as archive:
        archive.writeall(folder / VIDEO, VIDEO)
    shutil.rmtree(folder / VIDEO)
    return packed


def release(packed: Path, archive: Path) -> None:
    """Write a .tar.gz that holds the .7z between two others."""
    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        for name in ("a", VIDEO, "z"):
            tar.add(packed, f"a folder/DIEM/{name}.7z")


def bare(packed: Path, out: Path) -> None:
    """Unpack with py7zr alone, from a file on disk, and flush."""
    import py7zr

    with py7zr.SevenZipFile(packed) as archive:
        archive.extractall(out)
    for path in out.rglob("*.*"):
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())
    shutil.rmtree(out)


def step(archive: Path, out: Path) -> None:
    """Unpack out of the release, as the job does."""
    from dynsal.diem_release import archives
    from dynsal.seven_zip import unpack
    from dynsal.tar_index import open_index

    index = open_index(archive)
    member = archives(index)[VIDEO]
    with index.open(member) as stream:
        unpack(stream, index.members[member].size, str(archive), lambda name: name, out, "")
    shutil.rmtree(out)


def index(archive: Path) -> float:
    """Make the index; return the seconds."""
    from dynsal.tar_index import drop_index, open_index

    drop_index(archive)
    start = time.perf_counter()
    open_index(archive)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    options_parser = parser(__doc__, repeats=3)
    options_parser.add_argument("--mib", type=int, default=300, help="size of the video (default 300)")
    options_parser.add_argument("--folder", type=Path, help="where to work (default: the temporary folder)")
    options = options_parser.parse_args()
    begin(f"unpacking one video of {options.mib} MiB out of a release of three")
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        # Memory first, while this process is still small (see `measured`).
        peaks = {}
        for name, method in METHODS.items():
            folder = Path(temporary) / name
            release(pack(folder, options.mib, method), folder / "diem.tar.gz")
            script: list[str | Path] = [
                "-c",
                _JOB,
                Path(__file__).parent,
                folder / "diem.tar.gz",
                folder / "out",
            ]
            peaks[name] = measured([sys.executable, *script], folder).peak_mib
        for name, peak in peaks.items():
            folder = Path(temporary) / name
            archive = folder / "diem.tar.gz"
            seconds = index(archive)
            times = interleaved(
                {
                    "step": partial(step, archive, folder / "out"),
                    "bare": partial(bare, folder / f"{VIDEO}.7z", folder / "bare"),
                },
                options.repeats,
            )
            ratio = median_ratio(times["bare"], times["step"])
            figure, best = (options.mib / statistics.median(times[which]) for which in ("step", "bare"))
            show(name, f"{figure:.1f} MiB/s", f"{best:.1f} MiB/s", ratio, at_least(ratio, TARGET))
            show("  peak memory", f"{peak:.0f} MiB", f"{MEMORY} MiB", None, at_most(peak, MEMORY, "MiB"))
            show("  index, once", f"{seconds:.1f} s")


if __name__ == "__main__":
    main()
