"""Frames per second of arch `lite` from a video file to maps, as ``dynsal predict`` makes them: decoding, flow, net, rescaling.

The weights do not matter for that and are those of the start. Prints wall time and processor time: on a machine that is busy
with other things only the latter says something.

Example: ``python benchmarks/bench_lite.py --video "results/hevc33/raw/videos/Keiba.avi" --size 320 240``
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch
from _common import machine_line, parser

from dynsal.config import FlowConfig, LiteConfig, NetConfig
from dynsal.device import limit_threads
from dynsal.nets import build
from dynsal.nets.weights import save_model
from dynsal.prediction import net_maps


def main() -> None:
    """Print one line per zoom."""
    options = parser(__doc__)
    options.add_argument("--video", type=Path, required=True)
    options.add_argument("--size", type=int, nargs=2, default=(320, 240), metavar=("WIDTH", "HEIGHT"))
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--frames", type=int, default=100, help="of the video")
    arguments = options.parse_args()
    threads = limit_threads(arguments.threads)
    print(machine_line())
    for zoom in (1, 2):
        net = NetConfig(coding="log_density", lite=LiteConfig(zoom=zoom))
        meta = {
            "arch": "lite",
            "net": net.model_dump(mode="json"),
            "flow": FlowConfig(estimator="dis").model_dump(mode="json"),
            "size": list(arguments.size),
            "memory": 0.1,
        }
        with tempfile.TemporaryDirectory() as folder:
            save_model(Path(folder) / "lite.safetensors", build("lite", net), meta)
            maps = net_maps(arguments.video, Path(folder) / "lite.safetensors", torch.device("cpu"))
            next(maps)  # loading is not counted, nor is the first batch
            count, wall, busy = 0, time.perf_counter(), time.process_time()
            for _ in zip(range(arguments.frames), maps, strict=False):
                count += 1
            wall, busy = time.perf_counter() - wall, time.process_time() - busy
        print(
            f"zoom {zoom}, {arguments.size[0]}x{arguments.size[1]}, {threads} threads, {count} frames: "
            f"{count / wall:.1f} frames/s, {1e3 * busy / count:.1f} ms of processor time a frame",
            flush=True,
        )


if __name__ == "__main__":
    main()
