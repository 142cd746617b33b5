"""Which modules a script depends on: declared as inputs of its rule, so that an edit reruns what it can change."""

from __future__ import annotations

import ast
import functools
import os
import re
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

_NEUTRAL = {
    "__init__", "code_inputs", "config", "config_baselines", "config_sections", "config_train", "config_transfer", "errors",
    "fileio", "layout", "originals", "own_folder", "provenance", "script", "still_plan", "workflow",
}  # fmt: skip
"""Modules that cannot change a result: values of the configuration come through params, the rest is plumbing."""


@functools.cache
def imports(module: Path) -> frozenset[Path]:
    """Return the dynsal modules that a file imports directly, or names in a string to load later; with their packages."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "dynsal":
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("dynsal.")]
        elif isinstance(node, ast.Constant) and re.fullmatch(r"dynsal(\.\w+)+", str(node.value)):
            names = [str(node.value)]  # loaded by name, as the nets of a registry are
        else:
            continue
        parts = [name.split(".") for name in names]
        for name in {".".join(words[:end]) for words in parts for end in range(2, len(words) + 1)}:
            base = _PACKAGE.joinpath(*name.split(".")[1:])
            found |= {path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()}
    return frozenset(found)


def code(script: Path, *modules: str) -> list[str]:
    """Return a script's code dependencies: dynsal modules it imports, directly or not, sorted.

    ``modules`` names what the script loads by name only (such as ``datasets.demo``). They are declared as inputs of
    the rule, so that an edit reruns exactly the steps it can change. Modules that cannot change a result are left out.
    """
    start = [_PACKAGE.joinpath(*name.split(".")).with_suffix(".py") for name in modules]
    seen: set[Path] = set()
    queue = [script, *start]
    while queue:
        module = queue.pop()
        for dependency in imports(module) | ({module} if module in start else set()):
            neutral = dependency.parent == _PACKAGE and dependency.stem in _NEUTRAL
            if dependency not in seen and not neutral:
                seen.add(dependency)
                queue.append(dependency)
    return sorted(os.path.relpath(path) for path in seen)
