"""A web server for tests of downloads: the first part of a path says how it misbehaves.

``/ok/...`` gives the server's ``data``, whole or from a byte on. ``/cut`` breaks every connection after ``piece`` bytes,
``/gate`` after half the file until ``gate`` is set. ``/wrong``, ``/short`` and ``/long`` give something else.
"""

from __future__ import annotations

import hashlib
import html
import http.server
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

DATA = bytes(range(256)) * 4000  # 1 MB
WRONG = bytes(reversed(DATA))
LOGIN = b"<!DOCTYPE html>\n<html><head><title>Sign\nin</title></head><body>Who are you?</body></html>"
QUOTA = b"<html><head><title>Google Drive - Quota exceeded</title></head><body>Too many users</body></html>"
QUESTION = """<html><head><title>Google Drive - Virus scan warning</title></head><body>
<form id="search" action="/search"><input type="hidden" name="q" value="no"></form>
<form id="download-form" action="{action}" method="get"><input type="submit" value="Download anyway">
<input type="hidden" name="id" value="{id}"><input type="hidden" name="export" value="download">
<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="a&amp;b"></form></body></html>"""


class Server(http.server.ThreadingHTTPServer):
    """Counts what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.data = DATA
        self.piece = 250_000
        self.requests: list[tuple[str, int]] = []
        """(mode, first byte) of every request."""
        self.sent = 0
        """Bytes of bodies."""
        self.gate = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def asked(self, mode: str) -> int:
        """Return how often a mode was asked for."""
        return sum(seen == mode for seen, _ in self.requests)


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server for the block."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by mode."""

    server: Server

    def do_GET(self):
        """Answer."""
        self.mode = urlsplit(self.path).path.split("/")[1]
        wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        self.start = int(wanted[1]) if wanted else 0
        self.server.requests.append((self.mode, self.start))
        getattr(self, f"_{self.mode}")()

    def log_message(self, *_):
        """Say nothing."""

    # ---- files

    def _ok(self, data: bytes | None = None, **how):
        self._file(self.server.data if data is None else data, **how)

    def _cut(self):
        self._ok(stop=self.server.piece)

    def _dead(self):
        self._ok(stop=0)

    def _wrong(self):
        self._ok(WRONG)

    def _short(self):
        self._ok(DATA[:-5])

    def _long(self):
        self._ok(DATA + b"x")

    def _norange(self):
        """Only whole files, the first time not even that."""
        self.start = 0
        self._ok(stop=self.server.piece if self.server.asked("norange") == 1 else None)

    def _gate(self):
        """Half, and the rest when the gate opens."""
        self._ok(pause=self.server.gate.wait)

    def _silent(self):
        """Nothing after the headers."""
        self._ok(stop=0, pause=self.server.gate.wait)
        self.server.gate.wait()

    def _slow(self):
        """About 50 kB/s."""
        self._ok(pause=lambda: time.sleep(0.02), step=1000)

    def _versions(self):
        """Has an ETag, honours If-Range, and breaks the first connection."""
        self._version(honest=True)

    def _liar(self):
        """Has an ETag, but does not care for If-Range."""
        self._version(honest=False)

    def _version(self, honest: bool):
        tag = f'"{hashlib.md5(self.server.data).hexdigest()}"'
        if honest and self.headers.get("If-Range", tag) != tag:
            self.start = 0
        first = self.server.asked(self.mode) == 1
        self._ok(stop=self.server.piece if first else None, headers={"ETag": tag})

    def _chunked(self, whole: bool = True):
        """No length, but an end that can be told."""
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        data = self.server.data
        for at in range(0, len(data), 100_000):
            block = data[at : at + 100_000]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block))
            if not whole and at > 500_000:
                return
        self.wfile.write(b"0\r\n\r\n")

    def _chunkedcut(self):
        self._chunked(whole=False)

    def _nolength(self):
        """Neither length nor chunks: the end of the connection is the end of the file."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.data)

    def _file(self, data, stop=None, pause=None, step=None, headers=None):
        if self.start and self.start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.end_headers()
            return
        self.send_response(206 if self.start else 200)
        if self.start:
            self.send_header("Content-Range", f"bytes {self.start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - self.start))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        end = len(data) if stop is None else min(self.start + stop, len(data))
        step = step or (len(data) // 2 if pause else len(data))
        for at in range(self.start, end, step):
            try:
                self.wfile.write(data[at : min(at + step, end)])
            except OSError:
                return
            self.server.sent += min(step, end - at)
            if pause:
                pause()

    # ---- refusals

    def _missing(self):
        self.send_error(404)

    def _forbidden(self):
        self.send_error(403)

    def _flaky(self):
        """503 twice."""
        if self.server.asked("flaky") < 3:
            return self.send_error(503)
        return self._ok()

    def _busy(self, seconds: str = "1"):
        """429 with Retry-After, once."""
        if self.server.asked(self.mode) > 1:
            return self._ok()
        self.send_response(429)
        self.send_header("Retry-After", seconds)
        self.end_headers()
        return None

    def _busyforlong(self):
        self._busy("86400")

    # ---- pages

    def _login(self):
        self._page(LOGIN)

    def _disguised(self):
        """Send a page that says it is a file."""
        self._ok(LOGIN)

    def _quota(self):
        self._page(QUOTA)

    def _google(self):
        """Asks whether to go on, and gives the file to who says yes."""
        query = parse_qs(urlsplit(self.path).query)
        if query.get("uuid") == ["a&b"] and query.get("confirm") == ["t"] and query.get("id") == ["the id"]:
            return self._ok()
        name = html.escape(query["id"][0])
        return self._page(QUESTION.format(action=f"{self.server.url}/google", id=name).encode())

    def _endless(self):
        """Asks for ever."""
        self._page(QUESTION.format(action=f"{self.server.url}/endless", id="x").encode())

    def _dropbox(self):
        """Redirects to the file if asked with dl=1, shows a page otherwise."""
        if parse_qs(urlsplit(self.path).query).get("dl") != ["1"]:
            return self._page(LOGIN)
        self.send_response(302)
        self.send_header("Location", "/ok/x")
        self.end_headers()
        return None

    def _page(self, page: bytes):
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
