"""Which model a user means by a word: a shipped net, a file, a training in results/, or a baseline."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynsal import shipped
from dynsal.errors import DataError

if TYPE_CHECKING:
    from dynsal.config_baselines import Options
    from dynsal.prediction import Model


def default_model() -> str:
    """Return the name of the model that is used without a choice: the first net that comes with dynsal."""
    return next(iter(shipped.names()), "gbvs")


def resolve_model(text: str) -> Path | str:
    """Return the file of the model that a word means, or the word itself, which is then the name of a baseline.

    Looked for in this order: nets that come with dynsal, a file (anything that ends in .safetensors is one),
    results/*/models/<name>/seed0, baselines.

    Raises
    ------
    DataError
        If several trainings have that name, or nothing has it; with what there is.
    """
    ours = shipped.names()
    if text in ours:
        return shipped.path(text)
    if Path(text).suffix == ".safetensors" or Path(text).is_file():
        return Path(text)
    found = sorted(Path("results").glob(f"*/models/{glob.escape(text)}/seed0/model.safetensors"))
    if len(found) > 1:
        raise DataError(
            text, f"is the name of {len(found)} trained models", f"Choose one: {', '.join(map(str, found))}"
        )
    if found:
        return found[0]
    from dynsal import baselines

    if text in baselines.REGISTRY:
        return text
    known = ", ".join((*ours, *baselines.REGISTRY))
    raise DataError(
        text,
        "is neither a baseline nor a trained model",
        f"There are {known}; or give a .safetensors file, or a name in results/*/models",
    )


def load(
    text: str,
    options: Sequence[str] = (),
    files: Sequence[Path] = (),
    device: str | None = None,
    batch: int | None = None,
    workers: int = 8,
) -> tuple[Model, dict[str, Any]]:
    """Return the model that a word means, ready to predict, and facts about it for the files it writes.

    Parameters
    ----------
    text
        See :func:`resolve_model`.
    options
        KEY=VALUE texts, for baselines.
    files
        Data files that a baseline needs; those not given are looked for in mirrors, then fetched.
    device
        ``cpu`` or ``cuda``, for nets; None takes a GPU if there is one.
    batch
        Frames per forward pass, for nets; None chooses by the device.
    workers
        Forward passes beside each other on a CPU, at most, and never more than there are processors.

    Raises
    ------
    DataError
        If there is no such model, option, file or device.
    """
    from dynsal import baselines
    from dynsal.prediction import BaselineModel, NetModel

    found = resolve_model(text)
    stored = baselines.stored_options(found) if isinstance(found, Path) else None
    if isinstance(found, Path) and stored is None:
        from dynsal.device import pick_device, usable_cpus

        if options:
            raise DataError("--set", "a trained net has no options", "Leave it out, or choose a baseline")
        chosen = pick_device(device)
        batch = batch or (1 if chosen.type == "cpu" else 16)  # larger ones gain nothing on a CPU
        return NetModel(found, chosen, batch, max(1, min(workers, usable_cpus()))), {"model": text}
    parsed = chosen_options(text if stored is None else stored, options)
    given = [*files, *([found] if isinstance(found, Path) else [])]
    facts = {"model": text, "options": parsed.model_dump_json()}
    return BaselineModel(parsed, needed_files(parsed, given)), facts


def chosen_options(model: str | dict[str, Any], pairs: Iterable[str]) -> Options:
    """Return the options of a baseline by its name, or by those it was trained with, and KEY=VALUE texts on top.

    Raises
    ------
    DataError
        If there is no such option or value; with what there is.
    """
    import yaml
    from pydantic import ValidationError

    from dynsal import baselines
    from dynsal.script import in_one_line

    values = {"model": model} if isinstance(model, str) else dict(model)
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


def needed_files(options: Options, given: Sequence[Path]) -> dict[str, Path]:
    """Return the files of a baseline: those given, the rest from mirror folders or the network.

    Raises
    ------
    DataError
        If one cannot be had.
    """
    from dynsal import baselines
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
