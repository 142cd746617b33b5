"""Which modules a script depends on: declared as inputs of its rule, so that an edit reruns what it can change."""

from __future__ import annotations

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


_NAMES = re.compile(
    r"""^[ \t]*from\ (?P<package>dynsal[\w.]*)\ import\ (?P<names>\([^)]*\)|.*)$  # from dynsal.nets import build
    |^[ \t]*import\ (?P<modules>dynsal\..*)$  # import dynsal.nets
    |["'](?P<text>dynsal(?:\.\w+)+)["']  # loaded by name, as the nets of a registry are
    """,
    re.MULTILINE | re.VERBOSE,
)
"""Every Snakemake that a cluster's job starts looks at all modules: Python's parser takes five times as long."""


@functools.cache
def imports(module: Path) -> frozenset[Path]:
    """Return the dynsal modules that a file imports directly, or names in a string to load later; with their packages."""
    parts: set[tuple[str, ...]] = set()
    for match in _NAMES.finditer(module.read_text(encoding="utf-8")):
        if package := match["package"]:
            listed = re.sub(r" as \w+|#.*", "", match["names"])
            names = [package, *(f"{package}.{name}" for name in re.findall(r"\w+", listed))]
        else:
            names = re.findall(r"dynsal[\w.]*", match["modules"] or match["text"])
        for words in (name.split(".")[1:] for name in names):
            parts |= {tuple(words[:end]) for end in range(1, len(words) + 1)}
    bases = [_PACKAGE.joinpath(*words) for words in parts]
    files = [path for base in bases for path in (base.with_suffix(".py"), base / "__init__.py")]
    return frozenset(path for path in files if path.is_file())


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
