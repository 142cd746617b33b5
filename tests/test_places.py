"""Addresses as people copy them, and pages that stand where files should."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web import LOGIN, QUESTION, QUOTA

from dynsal import places
from dynsal.places import address, confirmation, looks_like_page, refusal


@pytest.mark.parametrize(
    ("place", "asked"),
    [
        ("https://example.org/a b?x=1", "https://example.org/a b?x=1"),
        (
            "gdrive:1g8j-hT_5",
            "https://drive.usercontent.google.com/download?id=1g8j-hT_5&export=download&confirm=t",
        ),
        ("https://www.dropbox.com/s/7t2/a.zip", "https://www.dropbox.com/s/7t2/a.zip?dl=1"),
        ("https://www.dropbox.com/s/7t2/a.zip?dl=0", "https://www.dropbox.com/s/7t2/a.zip?dl=1"),
        (
            "https://www.dropbox.com/s/7t2/a.zip?rlkey=k&dl=0",
            "https://www.dropbox.com/s/7t2/a.zip?rlkey=k&dl=1",
        ),
        ("https://dropbox.example.org/a.zip?dl=0", "https://dropbox.example.org/a.zip?dl=0"),
    ],
)
def test_addresses(place, asked):
    assert address(place) == asked


@given(st.text(min_size=1))
def test_no_google_id_can_change_the_query(identity):
    parts = urlsplit(address(f"gdrive:{identity}"))
    assert parts.netloc == "drive.usercontent.google.com"
    assert parse_qs(parts.query) == {"id": [identity], "export": ["download"], "confirm": ["t"]}


def test_the_question_of_google():
    """Only its own form counts, entities are resolved, and relative actions too."""
    url = f"{places.GOOGLE}?id=x"
    page = QUESTION.format(action="/download", id="x&amp;y")
    confirmed = confirmation(url, page)
    assert confirmed is not None
    assert confirmed.startswith(f"{places.GOOGLE}?")
    assert parse_qs(urlsplit(confirmed).query) == {
        "id": ["x&y"], "export": ["download"], "confirm": ["t"], "uuid": ["a&b"],
    }  # fmt: skip
    assert confirmation("https://example.org/file", page) is None
    assert confirmation(url, LOGIN.decode()) is None


def test_why_there_is_a_page():
    assert "'Sign in'" in refusal(LOGIN.decode())
    assert "quota" in refusal(QUOTA.decode())
    assert refusal("<p>no title").startswith("a web page in place")


@pytest.mark.parametrize(
    ("head", "page"),
    [
        (LOGIN, True),
        (b"\xef\xbb\xbf\r\n <HTML lang=en>", True),
        (b"<?xml version='1.0'?><opencv_storage>", False),
        (b"PK\x03\x04<html>", False),
        (b"", False),
    ],
)
def test_what_looks_like_a_page(head, page):
    assert looks_like_page(head) is page
