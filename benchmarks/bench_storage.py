"""Bytes per frame of the clip files, frames and flow, and the time to read them; of the first frames of given videos.

python benchmarks/bench_storage.py --videos "$DYNSAL_MIRROR"/hevc33/videos/{Kimono,BQMall,Johnny,Keiba}.avi --frames 60
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from pathlib import Path

import cv2
from _common import begin, parser, show

from dynsal.clips import Clip, create, flow_step
from dynsal.flow import Estimator, estimator, fields
from dynsal.prepare import working_frames
from dynsal.video import decode


def stored(
    video: Path, size: tuple[int, int], count: int, quality: int, estimate: Estimator
) -> tuple[float, ...]:
    """Return bytes of a frame and of its field on disk, and the ms that reading takes, for a video's first frames."""
    frames = list(working_frames(itertools.islice(decode(video), count), size, 1, 1))
    with tempfile.TemporaryDirectory() as folder:
        pictures, flow = Path(folder) / "frames.h5", Path(folder) / "flow.h5"
        with create(pictures, size, quality) as writer:
            for frame in frames:
                writer.append(frame.index, frame.time, frame.bgr)
        with create(flow, size, flow_step=flow_step(size[0])) as writer:
            for frame, field in fields(frames, estimate, "forward"):
                writer.append(frame.index, frame.time, flow=field)
        found = []
        for path, read in ((pictures, Clip.bgr), (flow, Clip.flow)):
            with Clip(path) as clip:
                start = time.process_time()
                for position in range(len(clip)):
                    read(clip, position)
                found += [path.stat().st_size / len(clip), 1e3 * (time.process_time() - start) / len(clip)]
        return tuple(found)


def main() -> None:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--videos", type=Path, nargs="+", required=True)
    options.add_argument("--frames", type=int, default=60, help="of each video")
    options.add_argument("--sizes", nargs="+", default=["160x96", "640x480"], help="working sizes")
    options.add_argument("--jpeg-quality", type=int, default=95)
    options.add_argument("--estimator", choices=["dis", "deepflow", "farneback"], default="dis")
    chosen = options.parse_args()
    cv2.setNumThreads(1)
    begin(f"{chosen.frames} frames each, JPEG quality {chosen.jpeg_quality}, flow by {chosen.estimator}")
    estimate = estimator(chosen.estimator)
    for name in chosen.sizes:
        width, height = map(int, name.split("x"))
        rows = {
            video.stem: stored(video, (width, height), chosen.frames, chosen.jpeg_quality, estimate)
            for video in chosen.videos
        }
        rows[f"mean of {len(rows)}"] = tuple(
            statistics.mean(column) for column in zip(*rows.values(), strict=True)
        )
        for video, (picture, decoding, flow, unpacking) in rows.items():
            show(f"{name}, {video}: frame", f"{picture / 1e3:.1f} kB")
            show("  its field", f"{flow / 1e3:.1f} kB")
            show("  reading both, processor time", f"{decoding + unpacking:.2f} ms")


if __name__ == "__main__":
    main()
