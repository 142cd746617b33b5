"""``dynsal predict``: saliency maps of a video."""

from __future__ import annotations

import argparse
import glob
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynsal import baselines
from dynsal.errors import DataError

if TYPE_CHECKING:
    from dynsal.config_baselines import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("video", type=Path, help="any video that ffmpeg reads")
    parser.add_argument(
        "--model",
        default="gbvs",
        help=f"a baseline ({', '.join(baselines.REGISTRY)}), the .safetensors file of a trained net or baseline, or the name "
        "of one that lies in results/*/models/<name>/seed0",
    )
    parser.add_argument(
        "--set",
        dest="options",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of a baseline, such as channels=DIOFM or variant=guo (config/README.md lists them); repeatable",
    )
    parser.add_argument("--out", type=Path, help="HDF5 file to write (default: <video>.<model>.h5)")
    parser.add_argument(
        "--file",
        dest="files",
        type=Path,
        action="append",
        default=[],
        help="data file that a baseline needs (AW.mat for icl); otherwise looked for in DYNSAL_MIRROR, then fetched",
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], help="for nets (default: a GPU if there is one)")
    parser.add_argument(
        "--threads", type=int, default=8, help="for nets: at most, and never more than the CPUs"
    )


def run(arguments: argparse.Namespace) -> None:
    """Do the work."""
    import cv2
    from tqdm import tqdm

    from dynsal.maps import write_maps
    from dynsal.prediction import baseline_maps, net_maps
    from dynsal.provenance import versions
    from dynsal.video import probe

    out = arguments.out or Path(f"{arguments.video.stem}.{Path(arguments.model).stem}.h5")
    if out.suffix not in (".h5", ".hdf5"):
        raise DataError(
            out, f"maps cannot be written as {out.suffix or 'a file without a suffix'}", "Name it .h5"
        )
    info = probe(arguments.video)
    facts: dict[str, Any] = {
        "video": arguments.video.name,
        "model": arguments.model,
        "dynsal": versions()["dynsal"],
    }
    file = trained_file(arguments.model)
    stored = None if file is None else baselines.stored_options(file)
    if file is not None and stored is None:
        from dynsal.device import limit_threads, pick_device

        if arguments.options:
            raise DataError("--set", "a trained net has no options", "Leave it out, or choose a baseline")
        limit_threads(arguments.threads)
        maps = net_maps(arguments.video, file, pick_device(arguments.device))
    else:
        cv2.setNumThreads(1)
        options = chosen_options(arguments.model if stored is None else stored, arguments.options)
        facts |= {"options": options.model_dump_json()}
        given = [*arguments.files, *([file] if file else [])]
        maps = baseline_maps(arguments.video, options, needed_files(options, given))
    shown = tqdm(
        maps, total=info.container_frames or None, desc=arguments.video.name, unit="frame", disable=None
    )
    count = write_maps(out, shown, **facts)
    print(f"{out}: {count} maps of {info.width}x{info.height}")


def trained_file(model: str) -> Path | None:
    """Return the file of a trained net or baseline, given itself or by the name of its row; None for other baselines.

    Raises
    ------
    DataError
        If several trainings have that name.
    """
    if Path(model).suffix == ".safetensors":
        return Path(model)
    found = sorted(Path("results").glob(f"*/models/{glob.escape(model)}/seed0/model.safetensors"))
    if len(found) > 1:
        raise DataError(
            model, f"is the name of {len(found)} trained models", f"Choose one: {', '.join(map(str, found))}"
        )
    return found[0] if found else None


def chosen_options(model: str | dict[str, Any], pairs: list[str]) -> Options:
    """Return the options of a baseline by its name, or by those it was trained with, and KEY=VALUE texts on top.

    Raises
    ------
    DataError
        If there is no such baseline, option or value; with what there is.
    """
    import yaml
    from pydantic import ValidationError

    from dynsal.script import in_one_line

    values = {"model": model} if isinstance(model, str) else dict(model)
    if values["model"] not in baselines.REGISTRY:
        known = ", ".join(baselines.REGISTRY)
        raise DataError(
            values["model"],
            "is neither a baseline nor a trained model",
            f"Baselines: {known}; trained models: a .safetensors file, or a name in results/*/models",
        )
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or key == "model":
            raise DataError(
                "--set", f"{pair!r} is no option of a baseline", "Write, for example, channels=DIOFM"
            )
        try:
            values[key] = yaml.safe_load(value)
            json.dumps(values[key])
        except (yaml.YAMLError, TypeError):
            raise DataError("--set", f"{value!r} is no value", "Write a word or a number") from None
    try:
        return baselines.parse(json.dumps(values))
    except ValidationError as error:
        raise DataError("--set", in_one_line(error), "config/README.md lists the options") from None


def needed_files(options: Options, given: list[Path]) -> dict[str, Path]:
    """Return the files of a baseline: those given, the rest from mirror folders or the network.

    Raises
    ------
    DataError
        If one cannot be had.
    """
    from dynsal.download import fetch
    from dynsal.layout import registry_row

    name = options.model
    found = baselines.by_name(given)
    if baselines.REGISTRY[name].trained and "model" not in found:
        raise DataError(
            name,
            "must be trained first",
            f"Make results/<data set>/models/{name}/seed0/model.safetensors with snakemake and give it as --model",
        )
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dynsal" / "baselines"
    for file in options.files():
        if file not in found:
            found[file] = fetch(registry_row("baselines", file), cache / file, dataset="baselines")
    return found
