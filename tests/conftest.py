"""What several test files share: the folder with real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Tests run in one process per core; threads inside them (also of scripts they start) would only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Return the folder of real data, or skip the test where there is none."""
    named = [Path(name) for name in os.environ.get("DYNSAL_MIRROR", "").split(os.pathsep) if name]
    tried = [*named, Path(__file__).resolve().parents[2] / "shared" / "data"]
    for folder in tried:
        if (folder / "hevc33" / "video_database.mat").is_file():
            return folder
    pytest.skip(f"no real data: set DYNSAL_MIRROR (looked in {', '.join(map(str, tried))})")
