"""What several test files share: the folder with real data, and a web server."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from web import Server, serving

# Tests run in one process per core; threads inside them (also of scripts they start) would only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background jobs ignore Ctrl-C, and so would every process that tests start and send it to.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Return the folder of real data, or skip the test where there is none."""
    named = [Path(name) for name in os.environ.get("DYNSAL_MIRROR", "").split(os.pathsep) if name]
    tried = [*named, Path(__file__).resolve().parents[2] / "shared" / "data"]
    for folder in tried:
        if (folder / "hevc33" / "video_database.mat").is_file():
            return folder
    pytest.skip(f"no real data: set DYNSAL_MIRROR (looked in {', '.join(map(str, tried))})")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Return a running server; checksums are written down, and files by hand looked for, in the test's folder only."""
    from dynsal import checksums, transfer

    monkeypatch.setattr(transfer, "BACKOFF", 0.001)
    monkeypatch.setattr(checksums, "lock_files", lambda: [tmp_path / "lock" / "downloads.lock.csv"])
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("DYNSAL_MIRROR", raising=False)
    monkeypatch.chdir(tmp_path)
    with serving() as running:
        yield running
