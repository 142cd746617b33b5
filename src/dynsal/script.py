"""What every workflow script shares: parameters, logging, and one-line errors."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dynsal.config import Config, ConfigError, load
from dynsal.errors import DataError
from dynsal.fileio import is_disk_full

log = logging.getLogger("dynsal")


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all scripts have: ``--params``, ``--config`` and ``--log``."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--params", help="sections of the configuration as JSON, as the workflow passes them")
    made.add_argument("--config", type=Path, help="or a configuration file, when run by hand")
    made.add_argument("--log", type=Path, help="also write the log to this file")
    return made


class Params:
    """The sections of the configuration that a stage was given, validated, as attributes."""

    def __init__(self, sections: dict[str, Any]) -> None:
        if not isinstance(sections, dict):
            raise ConfigError(f"--params: not a JSON mapping of sections (found {type(sections).__name__})")
        unknown = sorted(set(sections) - set(Config.model_fields))
        if unknown:
            raise ConfigError(f"--params: unknown section(s) {', '.join(unknown)}")
        self._names = sorted(sections)
        for name, value in sections.items():
            kind: Any = Config.model_fields[name].annotation
            section: TypeAdapter[Any] = TypeAdapter(kind)
            try:
                setattr(self, name, section.validate_json(json.dumps(value), strict=True))
            except ValidationError as error:
                raise ConfigError(f"--params: section {name}: {in_one_line(error)}") from None

    def __getattr__(self, name: str) -> Any:
        raise ConfigError(f"this step needs the section {name!r}; --params has {', '.join(self._names)}")


def read_params(arguments: argparse.Namespace) -> Params:
    """Return the parameters from ``--params``, or from the file given as ``--config``."""
    if arguments.params:
        try:
            return Params(json.loads(arguments.params))
        except (json.JSONDecodeError, TypeError) as error:
            raise ConfigError(f"--params: not a JSON mapping of sections ({error})") from None
    if arguments.config:
        return Params(load(arguments.config).model_dump(mode="json"))
    raise ConfigError("give --params JSON or --config FILE, for example --config config/config.yaml")


def each(main: Callable[[argparse.Namespace], None], *keys: str) -> Callable[[argparse.Namespace], None]:
    """Return a function that does a script's work for one video after another.

    ``keys`` are the options that hold one value per video, lists of one length; ``main`` gets one of each at a time.
    After an error the log says which video it was, by the first key, if there are several.
    """

    def every(arguments: argparse.Namespace) -> None:
        values = [getattr(arguments, key) for key in keys]
        if len({len(value) for value in values}) > 1:
            given = ", ".join(f"{len(value)} of --{key}" for key, value in zip(keys, values, strict=True))
            raise ConfigError(f"every video needs one of each: {given}")
        for number, one in enumerate(zip(*values, strict=True), 1):
            try:
                main(argparse.Namespace(**{**vars(arguments), **dict(zip(keys, one, strict=True))}))
            except Exception:
                if len(values[0]) > 1:
                    log.warning("stopped at %s, number %d of %d", one[0], number, len(values[0]))
                raise

    return every


def in_one_line(error: ValidationError) -> str:
    """Return every problem that pydantic found, with its path and what was found."""
    problems = []
    for item in error.errors():
        path = ".".join(str(part) for part in item["loc"]) or "whole"
        found = "" if isinstance(item["input"], dict) else f" (found {item['input']!r})"
        problems.append(f"{path}: {item['msg']}{found}")
    return "; ".join(problems)


def run(main: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> None:
    """Run a script's work with logging set up; end with status 1 and one clear line on expected errors."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    leads = os.environ.get("RANK", "0") == "0"  # of several processes under torchrun one talks
    if arguments.log and leads:
        arguments.log.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(arguments.log, mode="w", encoding="utf-8"))
    logging.basicConfig(
        level=logging.INFO if leads else logging.WARNING,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=handlers,
    )
    log.info("%s", " ".join([Path(sys.argv[0]).name, *_shortened(sys.argv[1:])]))
    try:
        main(arguments)
    except ValidationError as error:
        log.error("%s: %s", error.title, in_one_line(error))
        sys.exit(1)
    except (DataError, ConfigError) as error:
        log.error("%s", error)
        sys.exit(1)
    except Exception as error:
        if is_disk_full(error):
            where = getattr(error, "filename", None) or Path.cwd()
            log.error(
                "%s: no space left to write it. Free some space, then run the same command again", where
            )
        else:
            log.exception("unexpected error: please report it with this log")
        sys.exit(1)


def _shortened(words: list[str]) -> list[str]:
    return [word if len(word) < 200 else word[:100] + "..." for word in words]
