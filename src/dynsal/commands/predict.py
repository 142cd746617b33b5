"""``dynsal predict``: where people look in videos and images."""

from __future__ import annotations

import argparse
import logging
import re
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

from dynsal.errors import DataError
from dynsal.model_choice import default_model, load

log = logging.getLogger(__name__)

Item = TypeVar("Item")

BASELINES = (
    "gbvs", "itti", "pqft", "self_resemblance", "icl", "spectral_residual", "temporal_spectral", "rudoy", "rare_style",
)  # fmt: skip
"""For the help, which must not import them."""

EPILOG = """\
inputs: a file is a video unless its suffix is an image's. Of a folder or a 'pattern*', all videos and images are taken.
Every image stands for itself (a two-stream net sees no motion in it); with --sequence, the images of a folder or
pattern, or those named by themselves, are the frames of one video, in natural order (2 before 10).

outputs, per input: NAME.saliency.mp4 (overlay with the sound; of a single image NAME.saliency.png) and
NAME.saliency.csv (per frame: time in s, peak, centre and spread in px). --write chooses: overlay, csv,
h5 (maps as float32 at the input's size), png (folder NAME.saliency.maps of 16-bit PNG, and scale.csv).

A file appears under its name only when it is complete, and then replaces an older one. Ctrl-C finishes what
is there as NAME.partial.SUFFIX (a playable video) and ends with status 130; a second Ctrl-C leaves nothing.
A failing input does not stop the others. Status 1: an input failed, or was damaged (what could be decoded is then
predicted all the same; --lenient: status 0). docs/predict.md tells more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="videos, images, folders or patterns")
    parser.add_argument(
        "--model",
        default=default_model(),
        metavar="NAME|FILE",
        help="a net that comes with dynsal, a .safetensors file of a trained net or baseline, the name of one in "
        f"results/*/models/NAME/seed0, or a baseline: {', '.join(BASELINES)} (default: %(default)s)",
    )
    parser.add_argument(
        "--set",
        dest="options",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of a baseline, such as channels=DIOFM or variant=guo (config/README.md lists them); repeatable",
    )
    parser.add_argument(
        "--file",
        dest="files",
        type=Path,
        action="append",
        default=[],
        help="data file that a baseline needs (AW.mat for icl); otherwise looked for in DYNSAL_MIRROR, then fetched",
    )
    parser.add_argument(
        "--out",
        type=Path,
        action="append",
        default=[],
        metavar="FILE|DIR",
        help="FILE.mp4, FILE.h5, FILE.csv (.png for an image; one input only) or a folder; repeatable "
        "(default: the working directory)",
    )
    parser.add_argument(
        "--write",
        default="overlay,csv",
        metavar="KINDS",
        help="what goes into the folder: overlay, csv, h5, png, separated by commas (default: %(default)s)",
    )
    parser.add_argument(
        "--side-by-side", action="store_true", help="overlay to the right of the frame itself"
    )
    parser.add_argument(
        "--sequence", action="store_true", help="images are the frames of a video (see below)"
    )
    parser.add_argument("--fps", default="25", help="of such a video (default: %(default)s)")
    parser.add_argument(
        "--shard",
        default="1/1",
        metavar="I/N",
        help="predict every N-th input only, from the I-th on (1/N to N/N): one task of a job array of N",
    )
    parser.add_argument("--lenient", action="store_true", help="damaged inputs are no reason for status 1")
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="for nets (auto: a GPU if there is one)",
    )
    parser.add_argument(
        "--batch", type=int, help="frames per forward pass (default: 1 on a CPU, 16 on a GPU)"
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=8,
        help="forward passes beside each other on a CPU, at most, and never more than there are CPUs (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do the work; return the exit status."""
    from dynsal.device import keep_freed_memory, usable_cpus
    from dynsal.inputs import find_inputs
    from dynsal.output_files import plan
    from dynsal.partial import Interrupted
    from dynsal.prediction_run import predict_input, stopping_on_signals

    inputs = find_inputs(arguments.inputs, arguments.sequence, chosen_rate(arguments.fps))
    planned = plan(inputs, arguments.out, chosen_kinds(arguments.write))
    number, count = chosen_shard(arguments.shard)
    if count > 1:
        # Names were chosen among all inputs, so that they are those of a run without shards.
        found = len(inputs)
        inputs, planned = share(inputs, number, count), share(planned, number, count)
        print(f"shard {number}/{count}: {len(inputs) or 'none'} of {found} input(s)", flush=True)
        if not inputs:
            return 0
    if arguments.batch is not None and arguments.batch < 1:
        raise DataError("--batch", f"{arguments.batch} is no number of frames", "Give 1 or more")
    spare = max(1, usable_cpus() // 2)
    _limit_opencv(spare)
    keep_freed_memory()
    device = None if arguments.device == "auto" else arguments.device
    model, facts = load(
        arguments.model, arguments.options, arguments.files, device, arguments.batch, arguments.threads
    )
    failed = damaged = 0
    with stopping_on_signals() as stop:
        for number, (one, targets) in enumerate(zip(inputs, planned, strict=True), 1):
            title = one.path.name if len(inputs) == 1 else f"{number}/{len(inputs)} {one.path.name}"
            options = SimpleNamespace(
                side_by_side=arguments.side_by_side,
                threads=min(spare, 8),
                stop=stop,
                title=None if one.still else title,
            )
            try:
                result = predict_input(one, targets, model, facts, options)
            except DataError as error:
                log.error("%s", error)
                failed += 1
                continue
            except Interrupted:
                log.error("interrupted: what is finished of %s is in *.partial.* files", one.path)
                return 130
            print(
                f"{', '.join(str(target.path) for target in targets)}: {result.frames} frame(s) of "
                f"{result.size[0]}x{result.size[1]}, {result.frames / result.seconds:.1f} per second, "
                f"the first after {result.first:.1f} s",
                flush=True,
            )
            if note := str(result.damage):
                log.warning("%s: %s", one.path, note)
            damaged += result.damage.lost
    if len(inputs) > 1 and (failed or damaged):
        log.error("%d of %d inputs failed, %d were damaged", failed, len(inputs), damaged)
    return 1 if failed or (damaged and not arguments.lenient) else 0


def chosen_kinds(text: str) -> list[str]:
    """Return the kinds of outputs.

    Raises
    ------
    DataError
        If there is none, or an unknown one.
    """
    from dynsal.output_files import KINDS

    kinds = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise DataError(
            "--write", f"unknown: {', '.join(unknown) or 'nothing given'}", f"There are {', '.join(KINDS)}"
        )
    return kinds


def chosen_rate(text: str) -> Fraction:
    """Return frames per second from a number or a fraction such as 30000/1001.

    Raises
    ------
    DataError
        If the text is no positive number.
    """
    try:
        rate = Fraction(text).limit_denominator(1001)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise DataError("--fps", f"{text!r} is no rate", "Give frames per second, such as 25 or 30000/1001")
    return rate


def chosen_shard(text: str) -> tuple[int, int]:
    """Return which of how many shards, counted from 1.

    Raises
    ------
    DataError
        If the text does not say so.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count:
        raise DataError("--shard", f"{text!r} is no shard", "Give I/N with I from 1 to N, such as 2/8")
    return number, count


def share(items: list[Item], number: int, count: int) -> list[Item]:
    """Return shard ``number`` (from 1) of ``count``: every item is in one of them, and they differ by one at most."""
    return items[number - 1 :: count]


def _limit_opencv(threads: int) -> None:
    import cv2

    cv2.setNumThreads(threads)
