"""Data sets packed as their authors publish them: .7z archives, and .tar.gz with files at some depth."""

from __future__ import annotations

import contextlib
import http.server
import io
import re
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import py7zr

DEEP = "informatik3/wtm/datasets/External Datasets/DIEM"
"""Where the videos' archives lie in DIEM's release."""


def seven_zip(path: Path, files: Mapping[str, bytes], **options) -> bytes:
    """Write a .7z of the given files, and return its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with py7zr.SevenZipFile(path, "w", **options) as archive:
        for name, data in files.items():
            archive.writestr(data, name)
    return path.read_bytes()


def tar_gz(path: Path, files: Mapping[str, bytes], *more: tarfile.TarInfo) -> Path:
    """Write a .tar.gz of the given files, of the folders above them, and of further entries as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        folders = {str(parent) for name in files for parent in Path(name).parents} - {".", "/"}
        for folder in sorted(folders):
            info = tarfile.TarInfo(folder)
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in more:
            tar.addfile(info)
    return path


def tree(folder: Path, top: str = "") -> dict[str, bytes]:
    """Return the files below a folder by their path below it, with ``top`` before."""
    return {
        f"{top}{path.relative_to(folder)}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Request(NamedTuple):
    """One request as the server saw it."""

    path: str
    start: int
    sent: int


class Server:
    """Files of a folder over HTTP, with Range; of each file, connections break after some bytes for a while."""

    def __init__(self, folder: Path, breaks: int = 0, after: int = 0) -> None:
        self.requests: list[Request] = []
        """In the order in which they ended."""
        left = dict.fromkeys((path.name for path in folder.iterdir()), breaks)
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.strip("/")
                if not (folder / name).is_file():
                    return self.send_error(404)
                size = (folder / name).stat().st_size
                wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
                start = int(wanted[1]) if wanted else 0
                self.send_response(206 if wanted else 200)
                if wanted:
                    self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
                self.send_header("Content-Length", str(size - start))
                self.end_headers()
                end = size if left[name] <= 0 else min(size, start + after)
                left[name] -= 1
                with (folder / name).open("rb") as stream, contextlib.suppress(OSError):
                    stream.seek(start)
                    self.wfile.write(stream.read(end - start))
                server.requests.append(Request(name, start, end - start))
                return None

            def log_message(self, *_: object) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        """Serve for the block."""
        thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            self._http.server_close()
            thread.join()
