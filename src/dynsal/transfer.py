"""HTTP transfer of one file: resumable, never from two different versions of it, never endless, never a web page."""

from __future__ import annotations

import email.utils
import http.client
import json
import logging
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from dynsal import meter, places
from dynsal.checksums import Digest, Expected
from dynsal.fileio import is_disk_full, require_space

log = logging.getLogger(__name__)

TIMEOUT = 30.0
"""Seconds without a byte before a connection counts as dead."""
ATTEMPTS = 4
"""Tries per address without progress in between; progress is what the slowest connection brings in one window."""
BACKOFF = 1.0
"""Seconds before the second try; doubled for each further one."""
PATIENCE = 120.0
"""Longest wait in seconds that a server may ask for (Retry-After)."""
_BLOCK = 1 << 20
_PAGE = 1 << 20
_LATER = (408, 425, 429, 500, 502, 503, 504)
"""HTTP status codes worth another try."""


class Failed(Exception):
    """A place could not give the file; the text says why."""


class _Broken(Exception):
    """The connection is of no more use; another may be."""


@dataclass
class Transfer:
    """Brings what one address gives into a part file, in as many connections as it takes."""

    place: str
    """Address as registered; see :mod:`dynsal.places`."""
    part: Path
    name: str
    """Of the file, for the bar, and because only an .html file may be a web page."""
    wanted: Expected
    digest: Digest
    progress: bool

    def __post_init__(self) -> None:
        self._url = places.address(self.place)
        self.size = self.wanted.bytes
        self.notes = Notes(self.part)
        # Some hosts hand out a cookie on the way to the file.
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        self.in_pieces = False
        """Whether more than one connection gave the bytes, so that a wrong sum may be no fault of the address."""

    def run(self) -> None:
        """Transfer until all bytes are there.

        Bytes that came earlier are kept if the server says (ETag or Last-Modified) that they are of the same version of
        the file. Where it does not say, those of an earlier run are kept only if a known checksum will tell, and those
        of this run if the length has stayed the same.

        Raises
        ------
        Failed
            If the address does not give the file; what came so far stays in the part file, for the next run.
        OSError
            If the disk is full, or the part file cannot be written.
        """
        self._drop_unfit_part()
        best = got = self._got()
        failures = 0
        while self.size is None or got < self.size or not self.part.is_file():
            wait = 0.0
            try:
                self._connect(got)
                return
            except urllib.error.HTTPError as error:
                reason, wait = self._refused(error, got)
                if not reason:
                    return
            except (OSError, http.client.HTTPException, _Broken) as error:
                if is_disk_full(error) or getattr(error, "filename", None):
                    raise  # of the disk here, not of the network
                reason = _text(error)
            got = self._got()
            failures = 1 if got >= best + meter.SLOWEST * meter.WINDOW else failures + 1
            best = max(best, got)
            if failures >= ATTEMPTS:
                so_far = f"; {got} of {self.size or 'unknown'} bytes so far" if got else ""
                raise Failed(reason + so_far)
            log.info("%s: %s; trying again", self.place, reason)
            time.sleep(max(wait, BACKOFF * 2 ** (failures - 1)))

    def _got(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _drop_unfit_part(self) -> None:
        same = self.notes.url == self._url and self.notes.validator is not None
        too_long = self.size is not None and self._got() > self.size
        if too_long or (self.wanted.digest is None and not same):
            self.begin_again()
        self.in_pieces = self._got() > 0

    def begin_again(self) -> None:
        """Remove what has come so far."""
        self.part.unlink(missing_ok=True)
        self.notes.forget()
        self.digest.restart()
        self.size = self.wanted.bytes

    def _connect(self, start: int) -> None:
        """Append what the server sends from byte ``start`` on, or all from the beginning; return if that is the end."""
        headers = {"User-Agent": "dynsal", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if self.notes.url == self._url and self.notes.validator is not None:
                headers["If-Range"] = self.notes.validator
        with self._open(self._url, headers) as response:
            start, total = self._span(response, start)
            if total is not None and self.wanted.bytes not in (None, total):
                raise Failed(
                    f"the file there has {total} bytes instead of {self.wanted.bytes}, {self.wanted.origin}"
                )
            self.size = self.wanted.bytes if total is None else total
            self.in_pieces = start > 0
            require_space(self.part, (self.size or 0) - start)
            if start == 0:
                self.part.unlink(missing_ok=True)
                self.digest.restart()
                self.notes.write(self._url, response.headers)
            self._receive(response, start)
        if self.size is not None and self._got() < self.size:
            raise _Broken("the connection ended early")

    def _open(self, url: str, headers: dict[str, str]) -> Any:
        """Return the response that has the file; Google's question whether to go on is answered with yes."""
        response = self._opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
        if not _is_page(response.headers, self.name):
            return response
        with response:
            page = response.read(_PAGE).decode("utf-8", "replace")
        confirmed = places.confirmation(url, page)
        if confirmed is None or url != self._url:
            raise Failed(places.refusal(page))
        return self._open(confirmed, headers)

    def _span(self, response: Any, start: int) -> tuple[int, int | None]:
        """Return where the body begins in the file, and how long the file is, as far as the server tells."""
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        if response.status == 206:
            sent = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            if sent is not None and sent[2] != "*":
                total = int(sent[2])
            elif total is not None:
                total += start
            if sent is None or int(sent[1]) != start or self._changed(response.headers, total):
                self.begin_again()
                raise _Broken("the file has changed there, or the server sent another part than asked for")
        else:
            start = 0
        checked = self.wanted.digest is not None or self.wanted.bytes is not None
        if total is None and not response.chunked and not checked:
            raise Failed("the server tells no length, so that nobody could know whether the file is whole")
        return start, total

    def _changed(self, headers: Message, total: int | None) -> bool:
        """Whether the server now speaks of another version than that of the part file."""
        ours = self.notes.validator if self.notes.url == self._url else None
        theirs = _validator(headers)
        if ours is not None and theirs is not None:
            return ours != theirs
        if self.wanted.digest is not None:
            return False  # the checksum will tell
        return self.size is None or self.size != total

    def _receive(self, response: Any, start: int) -> None:
        with (
            self.part.open("ab" if start else "wb", buffering=_BLOCK) as stream,
            meter.Meter(self.name, start, self.size, self.progress) as shown,
        ):
            while block := response.read1(_BLOCK):
                stream.write(block)
                if self.digest.position == start:
                    self.digest.update(block)
                start += len(block)
                shown.advance(len(block))
                if self.wanted.bytes is not None and start > self.wanted.bytes:
                    break  # longer than registered: the checksum will tell

    def _refused(self, error: urllib.error.HTTPError, got: int) -> tuple[str, float]:
        """Return why, and how many seconds to wait; no reason if nothing is missing."""
        reason = f"HTTP {error.code} {error.reason}"
        with error:
            if error.code == 416 and got:
                total = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
                if self.wanted.bytes is None and total and int(total[1]) == got:
                    return "", 0.0
                self.begin_again()  # the server has less than we do: what we have is of another file
                return reason, 0.0
            if error.code not in _LATER:
                if _is_page(error.headers, self.name) and self._url.startswith(places.GOOGLE):
                    reason += f", {places.refusal(error.read(_PAGE).decode('utf-8', 'replace'))}"
                raise Failed(reason)
            wait = _retry_after(error.headers)
        if wait > PATIENCE:
            raise Failed(f"{reason}; the server asks to come back in {wait:.0f} s")
        return reason, wait


class Notes:
    """What the server said about the version that a part file is of, in a hidden file beside it."""

    def __init__(self, part: Path) -> None:
        self._path = part.with_name(f"{part.name}.json")
        self.validator: str | None
        try:
            said = json.loads(self._path.read_text(encoding="utf-8"))
            self.url, self.validator = str(said["url"]), said["validator"]
        except (OSError, ValueError, TypeError, KeyError):
            self.url, self.validator = "", None

    def write(self, url: str, headers: Message) -> None:
        """Keep the address and what identifies the version."""
        self.url, self.validator = url, _validator(headers)
        self._path.write_text(json.dumps({"url": url, "validator": self.validator}), encoding="utf-8")

    def forget(self) -> None:
        """Remove them."""
        self.url, self.validator = "", None
        self._path.unlink(missing_ok=True)


def _text(error: Exception) -> str:
    cause = getattr(error, "reason", error)  # urllib wraps what went wrong
    return str(getattr(cause, "strerror", None) or cause) or type(cause).__name__


def _is_page(headers: Message, name: str) -> bool:
    kind = headers.get_content_type() if "Content-Type" in headers else ""
    return kind in ("text/html", "application/xhtml+xml") and not name.lower().endswith((".html", ".htm"))


def _validator(headers: Message) -> str | None:
    """Return what identifies a version: a strong ETag, or else the date of the last change."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified")


def _retry_after(headers: Message) -> float:
    """Return the seconds that a server asks to wait, given as such or as a date; 0 if it does not ask."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0
