"""The command line ``dynsal``: one module of `dynsal.commands` per command, loaded only when it is called."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from types import ModuleType

COMMANDS = {
    "predict": "where people look in videos and images, by a trained net or a baseline",
    "score": "score saliency maps against gaze",
    "validate": "check a folder of your own videos and gaze, and draw the gaze on sample frames",
    "import-asc": "fixations from EyeLink's .asc files to a gaze.csv",
    "info": "versions, devices, data sets, models, weights and metrics: for a bug report",
    "export": "write a trained net for other programs (safetensors, ONNX)",
}
"""Command -> what it does in a line; its module has ``add_arguments(parser)`` and ``run(arguments) -> int | None``."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    words = list(sys.argv[1:] if words is None else words)
    parser = argparse.ArgumentParser(prog="dynsal", description="Where do people look in a video?")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, line in COMMANDS.items():
        command = commands.add_parser(
            name, help=line, description=line, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        if words and words[0] == name:  # its module may be heavy, and no other command needs it
            _module(name).add_arguments(command)
    arguments = parser.parse_args(words)

    from dynsal.errors import report

    logging.basicConfig(level=logging.INFO, format="dynsal: %(message)s")
    return report(_module(arguments.command).run, arguments)


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"dynsal.commands.{command.replace('-', '_')}")


if __name__ == "__main__":
    sys.exit(main())
