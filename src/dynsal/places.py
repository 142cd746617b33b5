"""Forms of addresses: what to ask for, and what it means when a web page comes instead of a file."""

from __future__ import annotations

import html.parser
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit, urlunsplit

GOOGLE = "https://drive.usercontent.google.com/download"
"""Where Google Drive hands out files."""
DROPBOX = "www.dropbox.com"
"""Host whose addresses show a page unless they end in dl=1."""


def address(place: str) -> str:
    """Return the http(s) address to ask for a registered place.

    ``gdrive:<id>`` becomes Google's download address; a Dropbox link gets ``dl=1``, which asks for the file instead of
    its page; anything else stays as it is.
    """
    if place.startswith("gdrive:"):
        identity = quote(place.removeprefix("gdrive:"), safe="")
        return f"{GOOGLE}?id={identity}&export=download&confirm=t"
    parts = urlsplit(place)
    if parts.netloc == DROPBOX:
        query = [(name, value) for name, value in parse_qsl(parts.query) if name != "dl"]
        return urlunsplit(parts._replace(query=urlencode([*query, ("dl", "1")])))
    return place


def looks_like_page(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a web page."""
    start = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html"))


def confirmation(url: str, page: str) -> str | None:
    """Return the address behind the button "download anyway" of Google's page about large files, if this is that page.

    Google cannot scan large files for viruses and asks whether to go on: a form with hidden fields, among them a token.
    """
    parsed = _Page(page)
    if not url.startswith(GOOGLE) or parsed.action is None or "confirm" not in parsed.hidden:
        return None
    return f"{urljoin(url, parsed.action)}?{urlencode(parsed.hidden)}"


def refusal(page: str) -> str:
    """Return why a web page came in place of the file, as far as it can be told."""
    title = " ".join(_Page(page).title.split())[:80]
    if "quota exceeded" in page.lower() or "too many users have viewed or downloaded" in page.lower():
        return "Google Drive's quota of downloads of this file is used up for now: try again in a day"
    named = f" ({title!r})" if title else ""
    return f"a web page{named} in place of the file: a login, a licence or a quota stands before it"


class _Page(html.parser.HTMLParser):
    """Title of a page, and action and hidden fields of its form ``download-form``."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.title = ""
        self.action: str | None = None
        self.hidden: dict[str, str] = {}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what begins here."""
        given = {name: value or "" for name, value in attrs}
        if tag == "title" or (tag == "form" and given.get("id") == "download-form"):
            self._inside = tag
        if tag == "form" and self._inside == "form":
            self.action = given.get("action", "")
        if tag == "input" and self._inside == "form" and given.get("type") == "hidden" and "name" in given:
            self.hidden[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        """Note what ends here."""
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        """Collect the title."""
        if self._inside == "title":
            self.title += data
