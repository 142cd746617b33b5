"""Time nets and baselines on the same frames and one core: milliseconds per map, of nets without optical flow.

The column ``inputs`` says what a model looks at: a net with ``flow`` in it needs the time of the row ``flow`` besides.
"""

import argparse
import itertools
import json
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from dynsal import baselines, provenance, script
from dynsal.baselines.base import Baseline, Frame
from dynsal.clips import Clip
from dynsal.config import FlowConfig
from dynsal.device import limit_threads
from dynsal.fileio import write_text
from dynsal.flow import estimator
from dynsal.inference import Predictor
from dynsal.nets import REGISTRY
from dynsal.training import load_model
from dynsal.video import resize

LEAD = 5
"""Frames that only fill the models' memory: without them some have nothing to do at first."""


def seconds_per_flow(frames: list[Frame], flow: FlowConfig) -> float:
    """Return the mean time of one field between neighbouring frames."""
    grey = [np.asarray(cv2.cvtColor(frame.bgr, cv2.COLOR_BGR2GRAY), np.uint8) for frame in frames]
    estimate = estimator(flow.estimator)
    start = time.perf_counter()
    for first, second in itertools.pairwise(grey):
        estimate(first, second)
    return (time.perf_counter() - start) / (len(grey) - 1)


def seconds_per_map(predictor: Predictor, frames: list[Frame]) -> float:
    """Return the mean time of a net's maps, one frame at a time, without flow; the first one warms up."""
    height, width = frames[0].bgr.shape[:2]
    field = np.zeros((1, height, width, 2), np.float32)
    predictor(frames[0].bgr[None], field)
    start = time.perf_counter()
    for frame in frames:
        predictor(frame.bgr[None], field)
    return (time.perf_counter() - start) / len(frames)


def seconds_of(model: Baseline, frames: list[Frame]) -> float:
    """Return how long a baseline takes for all frames, of which the first ones only warm it up."""
    start = time.perf_counter()
    for _ in model.maps(replace(frame, kept=position >= LEAD) for position, frame in enumerate(frames)):
        pass
    return time.perf_counter() - start


def main(arguments: argparse.Namespace) -> None:
    """Do the work."""
    cv2.setNumThreads(1)
    limit_threads(1)
    params = script.read_params(arguments)
    with Clip(arguments.frames) as clip:
        count = min(arguments.count + LEAD, len(clip))
        frames = [Frame(i, float(clip.times[i]), clip.bgr(i), kept=True) for i in range(count)]
    size = tuple(arguments.size or frames[0].bgr.shape[1::-1])
    resized = [Frame(frame.index, frame.time, resize(frame.bgr, size), kept=True) for frame in frames]
    seconds = {"flow": seconds_per_flow(frames, params.flow)}
    inputs = {"flow": "frame"}
    for name, path in zip(arguments.nets, arguments.models, strict=True):
        net, meta = load_model(path)
        seconds[name] = seconds_per_map(Predictor(net, meta), frames)
        inputs[name] = " ".join(REGISTRY[meta["arch"]].inputs)
    at_clip_size = set(seconds)
    for name, entry in json.loads(arguments.baselines).items():
        files = baselines.by_name(Path(file) for file in entry["files"])
        model = baselines.create(baselines.parse(json.dumps(entry["options"])), files)
        first, all_of_them = (seconds_of(model, frames) for frames in (resized[:LEAD], resized))
        seconds[name] = (all_of_them - first) / (count - LEAD)
        inputs[name] = "frame"
        script.log.info("%s: %.1f ms per map", name, 1000 * seconds[name])
    machine = provenance.hardware()["processor"]
    rows = [
        {
            "model": name,
            "ms_per_frame": 1000 * value,
            "frames": count - LEAD,
            "size": "x".join(map(str, frames[0].bgr.shape[1::-1] if name in at_clip_size else size)),
            "inputs": inputs[name],
            "machine": machine,
        }
        for name, value in seconds.items()
    ]
    write_text(
        arguments.out, pd.DataFrame(rows).to_csv(index=False, float_format="%.3f", lineterminator="\n")
    )


if __name__ == "__main__":
    parser = script.parser(__doc__)
    parser.add_argument("--frames", type=Path, required=True, help="clip of rescaled frames")
    parser.add_argument("--count", type=int, default=40, help="frames to time")
    parser.add_argument("--size", type=int, nargs=2, help="of the baselines' frames; else the clip's")
    parser.add_argument("--nets", nargs="+", required=True, help="names of the nets' rows")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="their model.safetensors")
    parser.add_argument(
        "--baselines", default="{}", help='JSON: name -> {"options": {...}, "files": [paths]}'
    )
    parser.add_argument("--out", type=Path, required=True, help="timings.csv")
    script.run(main, parser.parse_args())
