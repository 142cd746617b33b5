"""The rescale step against bare PyAV decoding, cv2.resize and cv2.imencode of the same frames.

The bare loop uses one thread, as the step does, turns only the kept frames into BGR, and throws its JPEGs away.
Below: where the step's time goes.

python benchmarks/bench_rescale.py --size 160 96 --every 1 4
python benchmarks/bench_rescale.py --video "$DYNSAL_MIRROR/hevc33/videos/Kimono.avi" --every 4
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import cv2
from _common import Timed, at_least, begin, given_or_generated, interleaved, median_ratio, parser, show
from av.codec.context import ThreadType
from av.video.reformatter import VideoReformatter

from dynsal.clips import create, describe
from dynsal.prepare import wanted_frames, working_frames
from dynsal.video import decode

TARGET = 0.8


def step(
    video: Path, size: tuple[int, int], count: int, every: int, quality: int, out: Path
) -> dict[str, float]:
    """Do the rescale step's work on one video; return the seconds of its parts."""
    start = time.perf_counter()
    decoded = Timed(itertools.islice(decode(video, wanted_frames(every, 1)), count))
    frames = Timed(working_frames(decoded, size, every, 1))
    with create(out, size, quality) as writer:
        for frame in frames:
            writer.append(frame.index, frame.time, frame.bgr)
        describe(writer, video=video.stem)
    total = time.perf_counter() - start
    return {
        "decode, BGR": decoded.seconds,
        "resize": frames.seconds - decoded.seconds,
        "JPEG, write": total - frames.seconds,
    }


def bare(video: Path, size: tuple[int, int], count: int, every: int, quality: int) -> int:
    """Decode, resize and encode with the libraries alone; return how many frames were encoded."""
    encoded, reformatter = 0, VideoReformatter()
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type = ThreadType.NONE
        stream.codec_context.thread_count = 1
        for index, frame in enumerate(itertools.islice(container.decode(stream), count)):
            if index % every == 0:
                bgr = reformatter.reformat(frame, format="bgr24", threads=1).to_ndarray()
                shrinks = size[0] <= bgr.shape[1] and size[1] <= bgr.shape[0]
                small = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
                cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
                encoded += 1
    return encoded


def keep(parts: list[dict[str, float]], work: Callable[[], dict[str, float]]) -> None:
    """Do the work and remember its parts."""
    parts.append(work())


def main() -> None:
    """Measure and print."""
    options_parser = parser(__doc__, repeats=7)
    options_parser.add_argument("--video", type=Path, help="instead of a generated demo video")
    options_parser.add_argument(
        "--size", type=int, nargs=2, default=(160, 96), metavar=("WIDTH", "HEIGHT"), help="default 160 96"
    )
    options_parser.add_argument(
        "--frames", type=int, default=120, help="first frames of the video (default 120)"
    )
    options_parser.add_argument(
        "--every", type=int, nargs="+", default=[1, 4], help="keep every n-th frame (default: 1 and 4)"
    )
    options_parser.add_argument("--quality", type=int, default=95, help="of the JPEGs (default 95)")
    options = options_parser.parse_args()
    size = (options.size[0], options.size[1])
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        video = given_or_generated(options.video, folder, options.frames)
        count = sum(1 for _ in itertools.islice(decode(video), options.frames))
        begin(f"rescale of {count} frames of {video.name} to {size[0]}x{size[1]}; time per decoded frame")
        for every in options.every:
            parts: list[dict[str, float]] = []
            work = partial(step, video, size, count, every, options.quality, folder / "clip.h5")
            limit = partial(bare, video, size, count, every, options.quality)
            times = interleaved({"step": partial(keep, parts, work), "bare": limit}, options.repeats)
            ratio = median_ratio(times["bare"], times["step"])
            figure, best = (1e3 * statistics.median(times[which]) / count for which in ("step", "bare"))
            show(
                f"every {every}. frame kept",
                f"{figure:.3f} ms",
                f"{best:.3f} ms",
                ratio,
                at_least(ratio, TARGET),
            )
            total = statistics.median(sum(seconds.values()) for seconds in parts)
            for part in parts[0]:
                seconds = statistics.median(seconds[part] for seconds in parts)
                show(
                    f"  {part}", f"{1e3 * seconds / count:.3f} ms", "", seconds / total, "(share of the step)"
                )


if __name__ == "__main__":
    main()
