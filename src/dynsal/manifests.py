"""Manifests: which files a video's folder consists of, so that later damage is noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dynsal.errors import DataError
from dynsal.fileio import sha256, write_json


def write_manifest(folder: Path) -> Path:
    """Write ``manifest.json`` (file -> bytes, sha256) of all other files below a video's folder; return its path."""
    manifest = Path(folder) / "manifest.json"
    write_json(manifest, {name: facts(path) for name, path in files(Path(folder)).items()})
    return manifest


def verify_manifest(root: Path, video: str, full: bool = False) -> None:
    """Check that a video's files are those of its manifest: names and sizes, with ``full`` their SHA-256 too.

    Raises
    ------
    DataError
        Naming the first file that is missing, changed or not of the manifest.
    """
    folder = Path(root) / video
    manifest = folder / "manifest.json"
    remedy = f"Delete {folder} and run the same command again"
    try:
        listed: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
        expected = {name: (int(said["bytes"]), str(said["sha256"])) for name, said in listed.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(manifest, f"cannot be read ({error})", remedy) from error
    found = files(folder)
    for name, (size, digest) in expected.items():
        if name not in found:
            raise DataError(folder / name, "is in the manifest but missing", remedy)
        if found[name].stat().st_size != size:
            raise DataError(
                folder / name, f"has {found[name].stat().st_size} bytes instead of {size}", remedy
            )
        if full and sha256(found[name]) != digest:
            raise DataError(folder / name, f"has changed (its sha256 is not {digest})", remedy)
    surplus = sorted(set(found) - set(expected))
    if surplus:
        raise DataError(folder / surplus[0], "is not in the manifest", remedy)


def files(folder: Path) -> dict[str, Path]:
    """Return the visible files of a video by their path below its folder, without the manifest."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path for path in found if path != folder / "manifest.json"}


def facts(path: Path) -> dict[str, Any]:
    """Return what a manifest says about a file."""
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}
