"""Running a data set of many short videos: what a job costs beside its work, with one and with several videos per job.

Tiny videos are written, then Snakemake really makes their frames, gaze and flow, and the scores of the floors, once for
every `prepare.batch`. Printed: jobs, wall and processor time, and what Snakemake's own records take on disk.

python benchmarks/bench_batches.py --videos 50 --batch 1 50
"""

from __future__ import annotations

import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

from _common import begin, fresh_checkout, measured, parser, show

SIZE, FRAMES, FPS = (64, 48), 40, 25
TEST_SHARE = 5
"""Every n-th video is a test video."""


def make_folder(root: Path, count: int) -> None:
    """Write a data set of short videos, all with the same picture, and two viewers."""
    import numpy as np

    from dynsal.video import encode

    for name in ("videos", "gaze"):
        (root / name).mkdir(parents=True)
    cells = np.random.default_rng(0).integers(0, 255, (6, 13, 3), np.uint8)
    picture = cells.repeat(8, 0).repeat(8, 1)
    names = [f"v{number:06d}" for number in range(count)]
    for name in names:
        frames = (picture[:, i : i + SIZE[0]] for i in range(FRAMES))
        encode(root / "videos" / f"{name}.mp4", frames, FPS, preset="ultrafast")
        rows = [f"{viewer},{start},400,32,24" for viewer in "ab" for start in (0, 400, 800, 1200)]
        (root / "gaze" / f"{name}.csv").write_text(
            "\n".join(["subject,t_ms,duration_ms,x,y", *rows]) + "\n", encoding="utf-8"
        )
    lines = [f"{name},{'test' if number % TEST_SHARE == 0 else 'train'}" for number, name in enumerate(names)]
    (root / "split.csv").write_text("video,split\n" + "\n".join(lines) + "\n", encoding="utf-8")
    (root / "dataset.yaml").write_text("px_per_deg: 10.0\n", encoding="utf-8")


def records(checkout: Path) -> tuple[int, float]:
    """Return number and MiB of Snakemake's records of finished files."""
    sizes = [
        path.stat().st_size for path in (checkout / ".snakemake" / "metadata").rglob("*") if path.is_file()
    ]
    return len(sizes), sum(sizes) / 2**20


def run(checkout: Path, batch: int, *targets: str) -> None:
    """Make targets on one core and print what it took."""
    template = (checkout / "config" / "folder.yaml").read_text(encoding="utf-8")
    config = template.replace("prepare:\n", f"prepare:\n  batch: {batch}\n")
    (checkout / "config" / "short.yaml").write_text(config, encoding="utf-8")
    words = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "progress"]
    before, logs = records(checkout), sum(path.is_file() for path in (checkout / "logs").rglob("*"))
    usage = measured([*words, "--configfile", "config/short.yaml", "--", *targets], checkout)
    jobs = sum(path.is_file() for path in (checkout / "logs").rglob("*")) - logs
    number, size = (after - old for after, old in zip(records(checkout), before, strict=True))
    what = "frames, gaze, flow" if targets == ("data", "flows") else "floors"
    show(f"batch {batch}, {what}: {jobs} jobs", f"{usage.seconds:.1f} s")
    show("  processor time", f"{usage.cpu_seconds:.1f} s")
    show(f"  {number} records of Snakemake's", f"{size:.2f} MiB")


def main() -> None:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--videos", type=int, default=50)
    options.add_argument("--batch", type=int, nargs="+", default=[1, 50], help="values of prepare.batch")
    chosen = options.parse_args()
    begin(f"{chosen.videos} videos of {FRAMES} frames of {SIZE[0]}x{SIZE[1]}, one core")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "my_videos"
        process = get_context("spawn").Process(target=make_folder, args=(folder, chosen.videos))
        process.start()
        process.join()
        for batch in chosen.batch:
            checkout = Path(temporary) / f"batch{batch}"
            checkout.mkdir()
            fresh_checkout(checkout)
            (checkout / "my_videos").symlink_to(folder)
            run(checkout, batch, "data", "flows")
            run(checkout, batch, "results/my_videos/scores/centre/seed0/v000000.parquet")


if __name__ == "__main__":
    main()
