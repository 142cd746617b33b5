"""Stand-ins for releases: small videos in DIEM's layout, .7z and .tar.gz archives, and a server that fails as told."""

from __future__ import annotations

import contextlib
import csv
import http.server
import io
import itertools
import re
import tarfile
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import py7zr

from dynsal.video import encode

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


def put_video(folder: Path, name: str, rng: np.random.Generator, frames: int) -> None:
    """Write one synthetic video to ``folder/name`` as DIEM's archives unpack: noise that drifts, four recordings about its middle."""
    width, height = map(int, name.rsplit("_", 1)[1].split("x"))
    picture = rng.integers(0, 255, (height // 8, width // 8 + frames, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    folder = folder / name
    (folder / "video").mkdir(parents=True)
    encode(folder / "video" / f"{name}.mp4", (picture[:, 4 * i : 4 * i + width] for i in range(frames)), 30)
    (folder / "event_data").mkdir()
    for viewer in range(1, 5):
        rows = []
        for frame in range(1, frames + 1):
            x, y = 640 + rng.normal(0, 60), 480 + rng.normal(0, 40)
            eye = f"{x:.1f}\t{y:.1f}\t1000\t1"
            rows.append(f"{frame}\t{eye}\t{eye}\r\n")
        (folder / "event_data" / f"diem1s{viewer:02d}.asc_3_{name}.txt").write_bytes("".join(rows).encode())


def set_frames(checkout: Path, names: Iterable[str], frames: int) -> None:
    """Let a copied checkout publish another number of frames of some videos."""
    path = checkout / "resources/datasets/diem_videos.csv"
    rows = list(csv.reader(path.read_text().splitlines()))
    lines = [[*row[:4], str(frames)] if row[1] in set(names) else row for row in rows]
    path.write_text("".join(",".join(row) + "\n" for row in lines))


class Request(NamedTuple):
    """One request as the server saw it."""

    path: str
    start: int
    sent: int


class Server:
    """Files of a folder over HTTP, with Range, whose connections fail as told.

    Parameters
    ----------
    folder
        What is served.
    breaks
        So many first connections break after ``after`` bytes.
    after
        See there.
    hang
        Whether the connection after those hangs there, until :attr:`go_on` is set.
    """

    def __init__(self, folder: Path, breaks: int = 0, after: int = 0, hang: bool = False) -> None:
        self.requests: list[Request] = []
        """In the order in which they ended."""
        self.hanging, self.go_on = threading.Event(), threading.Event()
        count = itertools.count(1)
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                number, name = next(count), self.path.strip("/")
                if not (folder / name).is_file():
                    return self.send_error(404)
                data = (folder / name).read_bytes()
                wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
                start = int(wanted[1]) if wanted else 0
                self.send_response(206 if wanted else 200)
                if wanted:
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.send_header("Content-Length", str(len(data) - start))
                self.send_header("ETag", f'"{zlib.crc32(data)}"')
                self.end_headers()
                hangs = hang and number == breaks + 1
                end = start + after if number <= breaks or hangs else len(data)
                self.wfile.write(data[start:end])
                if hangs:
                    server.hanging.set()
                    server.go_on.wait(60)
                server.requests.append(Request(name, start, len(data[start:end])))
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
