"""Downloading and verifying one large file from a server of this machine, against curl and sha256sum.

A second process serves the file with sendfile. fetch() flushes the file to disk before it gives it its name, so curl is
followed by sync. fetch() also verifies what it gets, which curl does not; the second row adds sha256sum to the limit.

python benchmarks/bench_download.py --mib 1024
"""

from __future__ import annotations

import argparse
import http.server
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from _common import (
    MIB,
    at_least,
    at_most,
    begin,
    environment,
    interleaved,
    measured,
    median_ratio,
    parser,
    show,
)

TARGET, MOST_MIB = 0.8, 500
FETCH = """
import sys
from pathlib import Path
from dynsal.download import fetch
from dynsal.layout import RegistryRow
url, digest, size, target = sys.argv[1:]
fetch(RegistryRow("file", int(size), digest, (url,), "none"), Path(target), progress=False)
"""


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files as fast as the kernel can."""

    def copyfile(self, source: object, outputfile: object) -> None:
        """Send without copying through Python."""
        self.connection.sendfile(source)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(folder: Path) -> None:
    """Serve a folder; print the port first."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


def run(*words: str | Path, cwd: Path) -> None:
    """Run a command that must work."""
    subprocess.run(
        [str(word) for word in words], cwd=cwd, check=True, stdout=subprocess.DEVNULL, env=environment()
    )


def bare(url: str, target: Path) -> None:
    """Copy from the address in a loop of urllib, where there is no curl."""
    import urllib.request

    with urllib.request.urlopen(url) as response, target.open("wb") as stream:
        shutil.copyfileobj(response, stream, MIB)


def measure(folder: Path, url: str, source: Path, repeats: int) -> None:
    """Measure and print."""
    from dynsal.download import fetch
    from dynsal.fileio import sha256
    from dynsal.layout import RegistryRow

    count = source.stat().st_size
    row = RegistryRow("file", count, sha256(source), (url,), "none")
    target, copy = folder / "target", folder / "copy"

    def fetched() -> None:
        target.unlink(missing_ok=True)
        fetch(row, target, progress=False)

    def limit(*, flush: bool = True, check: bool = False) -> None:
        copy.unlink(missing_ok=True)
        if shutil.which("curl"):
            run("curl", "--silent", "--noproxy", "*", "--output", copy, url, cwd=folder)
        else:
            bare(url, copy)
        if flush:
            run("sync", copy, cwd=folder)
        if check:
            run("sha256sum", copy, cwd=folder)

    works: dict[str, Callable[[], object]] = {
        "fetch": fetched,
        "curl": limit,
        "curl, sha256sum": partial(limit, check=True),
        "verify": lambda: fetch(row, target, progress=False),
        "sha256sum": lambda: run("sha256sum", target, cwd=folder),
    }
    fetched()
    times = interleaved(works, repeats)
    client = "curl" if shutil.which("curl") else "urllib"
    for name, work, best in (
        (f"download, verified, against {client}", "fetch", "curl"),
        (f"the same, against {client} and sha256sum", "fetch", "curl, sha256sum"),
        ("verification of a file that is there", "verify", "sha256sum"),
    ):
        ratio = median_ratio(times[best], times[work])
        figure, most = (
            f"{count / MIB / statistics.median(times[which]):.0f} MiB/s" for which in (work, best)
        )
        show(name, figure, most, ratio, at_least(ratio, TARGET))
    target.unlink()
    used = measured([sys.executable, "-c", FETCH, url, row.sha256 or "", str(count), target], folder)
    show(
        "peak memory of the download",
        f"{used.peak_mib:.0f} MiB",
        "",
        None,
        at_most(used.peak_mib, MOST_MIB, "MiB"),
    )


def main() -> None:
    """Make the file, start the server, measure."""
    options_parser = parser(__doc__, repeats=5)
    options_parser.add_argument("--mib", type=int, default=1024, help="size of the file (default 1024)")
    options_parser.add_argument("--folder", type=Path, help="where to write (default: the temporary folder)")
    options_parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = options_parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    os.environ["no_proxy"] = "*"
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        (folder / "served").mkdir()
        source = folder / "served" / "file"
        with source.open("wb") as stream:
            for _ in range(options.mib):
                stream.write(os.urandom(MIB))
        begin(f"{options.mib} MiB of random bytes over the loopback, in {folder.parent}")
        server = subprocess.Popen(
            [sys.executable, __file__, "--serve", source.parent], stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            measure(folder, f"http://127.0.0.1:{int(server.stdout.readline())}/file", source, options.repeats)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
