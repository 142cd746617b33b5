"""``dynsal info``: what is installed and at hand; paste it into a bug report."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="as JSON instead of text")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of trained models")


def run(arguments: argparse.Namespace) -> None:
    """Print the inventory."""
    from dynsal.inventory import inventory

    found = inventory(arguments.results)
    print(json.dumps(found, indent=2) if arguments.json else "\n".join(as_text(found)))


def as_text(value: dict[str, Any], depth: int = 0) -> list[str]:
    """Return one line per fact, indented by depth; empty groups say so."""
    lines: list[str] = []
    for name, fact in value.items():
        lead = "  " * depth + f"{name}:"
        if isinstance(fact, dict) and fact:
            lines += [lead, *as_text(fact, depth + 1)]
        else:
            shown = ", ".join(map(str, fact)) if isinstance(fact, list) else fact
            lines.append(f"{lead} {'none' if shown in ({}, '') else shown}")
    return lines
