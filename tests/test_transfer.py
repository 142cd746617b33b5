"""Servers that cut, stall, lie, ask to wait, change their files, or send pages: what is taken, and what is said."""

from __future__ import annotations

import hashlib
import sys
import time

import pytest
import web
from hypothesis import given, settings
from hypothesis import strategies as st
from web import DATA, LOGIN, WRONG, serving

from dynsal import download, meter, places, transfer
from dynsal.checksums import Digest, Expected
from dynsal.download import fetch
from dynsal.errors import DataError
from dynsal.layout import RegistryRow
from dynsal.transfer import Transfer

SHA256 = hashlib.sha256(DATA).hexdigest()


def unknown(*urls, file="a.zip") -> RegistryRow:
    """Return a row without size and checksum."""
    return RegistryRow(file, None, None, urls, "free")


def known(*urls) -> RegistryRow:
    """Return a row with a checksum but no size."""
    return RegistryRow("a.zip", None, SHA256, urls, "free")


def brought(row, tmp_path) -> bytes:
    return fetch(row, tmp_path / "out" / "a.zip", dataset="toy", progress=False).read_bytes()


def reason(row, tmp_path) -> str:
    """Return why a file could not be had, after making sure that nothing was taken."""
    with pytest.raises(DataError) as caught:
        fetch(row, tmp_path / "out" / "a.zip", dataset="toy", progress=False)
    assert not (tmp_path / "out" / "a.zip").exists()
    assert not (tmp_path / "lock").exists()
    return caught.value.problem


# ---- lengths


@pytest.mark.parametrize("mode", ["ok", "chunked", "versions"])
def test_unknown_size_and_checksum(server, tmp_path, mode):
    """The server's length tells, or the end of its chunks."""
    assert brought(unknown(f"{server.url}/{mode}/x"), tmp_path) == DATA


@pytest.mark.parametrize("mode", ["chunkedcut", "dead"])
def test_truncated_and_nothing_to_check_it_by(server, tmp_path, mode):
    """What breaks off is not taken."""
    assert "/x (" in reason(unknown(f"{server.url}/{mode}/x"), tmp_path)
    assert server.asked(mode) >= transfer.ATTEMPTS


def test_no_length_at_all_is_taken_only_with_a_checksum_or_a_size(server, tmp_path):
    url = f"{server.url}/nolength/x"
    assert "tells no length" in reason(unknown(url), tmp_path)
    assert brought(known(url), tmp_path) == DATA
    sized = RegistryRow("b.zip", len(DATA), None, (url,), "free")
    assert fetch(sized, tmp_path / "b.zip", dataset="toy", progress=False).read_bytes() == DATA


@settings(max_examples=12, deadline=None)
@given(size=st.integers(0, 300_000), piece=st.integers(20_000, 200_000), old=st.integers(0, 300_000))
def test_any_size_in_any_pieces(tmp_path_factory, size, piece, old):
    """Whatever is there already and wherever connections break: the file comes whole, each byte is sent once."""
    folder = tmp_path_factory.mktemp("pieces")
    patch = pytest.MonkeyPatch()
    with serving() as server, patch.context() as patched:
        patched.setattr(transfer, "BACKOFF", 0.0)
        patched.setattr(meter, "SLOWEST", 1.0)
        patched.setenv("no_proxy", "*")
        server.data, server.piece = DATA[:size], piece
        part = folder / ".a.part"
        if 0 < old <= size:
            part.write_bytes(DATA[:old])
        with Digest("sha256") as digest:
            wanted = Expected(size, "sha256", "of the caller", "")
            Transfer(f"{server.url}/cut/x", part, "a", wanted, digest, False).run()
            assert digest.finish(part) == hashlib.sha256(DATA[:size]).hexdigest()
        assert part.read_bytes() == DATA[:size]
        expected = size - (old if 0 < old <= size else 0)
        deadline = time.monotonic() + 5  # the server counts after it has sent
        while server.sent < expected and time.monotonic() < deadline:
            time.sleep(0.001)
        assert server.sent == expected


# ---- versions


@pytest.mark.parametrize("mode", ["versions", "liar"])
def test_the_file_changes_between_two_pieces(server, tmp_path, monkeypatch, mode):
    """The second piece is of another version, whether or not the server minds If-Range: the download begins again."""
    monkeypatch.setattr(transfer.time, "sleep", lambda _: setattr(server, "data", WRONG))
    assert brought(unknown(f"{server.url}/{mode}/x"), tmp_path) == WRONG
    assert server.requests[:2] == [(mode, 0), (mode, 250_000)]


@pytest.mark.parametrize("mode", ["versions", "liar"])
def test_the_same_version_is_resumed_without_a_checksum(server, tmp_path, mode):
    assert brought(unknown(f"{server.url}/{mode}/x"), tmp_path) == DATA
    assert server.requests == [(mode, 0), (mode, 250_000)]
    assert server.sent == len(DATA)


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("mode", ["versions", "liar"])
def test_the_next_run_resumes_what_is_still_the_same_version(server, tmp_path, monkeypatch, mode, changed):
    """Without a checksum: the ETag kept beside the part tells, also after the first run was interrupted."""
    row = unknown(f"{server.url}/{mode}/x")

    def interrupt(_seconds):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(transfer.time, "sleep", interrupt)
        brought(row, tmp_path)
    if changed:
        server.data = WRONG
    assert brought(row, tmp_path) == server.data
    assert server.requests[:2] == [(mode, 0), (mode, 250_000)]
    assert (server.sent == len(DATA)) is not changed


def test_pieces_of_which_nothing_tells_the_version(server, tmp_path, monkeypatch):
    """Without ETag and checksum, pieces are joined within one run if the length stays, but not with an earlier run's."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".a.zip.part").write_bytes(DATA[:100_000])
    assert brought(unknown(f"{server.url}/cut/x"), tmp_path) == DATA
    assert server.requests == [("cut", start) for start in range(0, len(DATA), 250_000)]
    server.requests.clear()
    monkeypatch.setattr(transfer.time, "sleep", lambda _: setattr(server, "data", WRONG * 2))
    target = fetch(unknown(f"{server.url}/cut/x"), tmp_path / "b.zip", dataset="other", progress=False)
    assert target.read_bytes() == WRONG * 2
    assert server.requests[:3] == [("cut", 0), ("cut", 250_000), ("cut", 0)]


def test_pieces_of_two_addresses_are_not_joined_without_a_checksum(server, tmp_path, monkeypatch):
    """What one address left is of no use to the next one."""
    monkeypatch.setattr(transfer, "ATTEMPTS", 1)
    monkeypatch.setattr(meter, "SLOWEST", 1e9)
    assert brought(unknown(f"{server.url}/versions/x", f"{server.url}/ok/x"), tmp_path) == DATA
    assert server.requests == [("versions", 0), ("ok", 0)]
    server.requests.clear()
    (tmp_path / "out" / "a.zip").unlink()
    assert brought(known(f"{server.url}/cut/x", f"{server.url}/ok/x"), tmp_path) == DATA
    assert server.requests == [("cut", 0), ("ok", 250_000)]


def test_killed_between_the_last_byte_and_the_name(server, tmp_path):
    """All bytes are there: the server is asked, says that there are no more, and sends none."""
    out = tmp_path / "out"
    out.mkdir()
    (out / ".a.zip.part").write_bytes(DATA)
    (out / ".a.zip.part").chmod(0o444)
    assert brought(known(f"{server.url}/ok/x"), tmp_path) == DATA
    assert server.requests == [("ok", len(DATA))]
    assert server.sent == 0
    assert [path.name for path in out.iterdir()] == ["a.zip"]


# ---- patience


@pytest.mark.parametrize(("mode", "code"), [("missing", 404), ("forbidden", 403)])
def test_a_refusal_is_final(server, tmp_path, mode, code):
    assert f"(HTTP {code} " in reason(known(f"{server.url}/{mode}/x"), tmp_path)
    assert server.asked(mode) == 1


def test_retry_after_is_honoured(server, tmp_path):
    start = time.monotonic()
    assert brought(known(f"{server.url}/busy/x"), tmp_path) == DATA
    assert time.monotonic() - start >= 1.0


def test_but_not_for_a_day(server, tmp_path):
    assert "asks to come back in 86400 s" in reason(known(f"{server.url}/busyforlong/x"), tmp_path)
    assert server.asked("busyforlong") == 1


def test_retry_after_as_a_date(monkeypatch):
    from email.message import Message

    monkeypatch.setattr(transfer.time, "time", lambda: 784111767.0)
    headers = Message()
    headers["Retry-After"] = "Sun, 06 Nov 1994 08:49:37 GMT"
    assert transfer._retry_after(headers) == 10.0
    headers.replace_header("Retry-After", "Sun, 06 Nov 1994 08:40:00 GMT")
    assert transfer._retry_after(headers) == 0.0
    headers.replace_header("Retry-After", "soon")
    assert transfer._retry_after(headers) == 0.0


def test_a_stream_that_trickles_is_dead(server, tmp_path, monkeypatch):
    """50 kB/s where 1 MB/s is the least: given up after a few windows, not after hours; the next address serves."""
    monkeypatch.setattr(meter, "SLOWEST", 1e6)
    monkeypatch.setattr(meter, "WINDOW", 0.1)
    row = known(f"{server.url}/slow/x")
    assert "less than 1000 kB/s" in reason(row, tmp_path)
    assert server.asked("slow") == transfer.ATTEMPTS
    assert brought(known(f"{server.url}/slow/x", f"{server.url}/ok/x"), tmp_path) == DATA
    assert server.requests[-1][1] > 0, "what trickled in is kept"


def test_a_silent_server_is_dead(server, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", 0.1)
    assert "timed out" in reason(known(f"{server.url}/silent/x"), tmp_path)


# ---- pages in place of files


def test_a_login_page_is_no_file(server, tmp_path):
    told = reason(unknown(f"{server.url}/login/x"), tmp_path)
    assert "a web page ('Sign in') in place of the file" in told
    assert server.asked("login") == 1


def test_a_page_that_says_it_is_a_file(server, tmp_path):
    assert "a web page in place of the file" in reason(unknown(f"{server.url}/disguised/x"), tmp_path)


def test_a_page_saved_by_hand_is_no_file_either(server, tmp_path):
    folder = tmp_path / "downloads" / "toy"
    folder.mkdir(parents=True)
    (folder / "a.zip").write_bytes(LOGIN)
    assert "a web page in place of the file" in reason(unknown(), tmp_path)


def test_an_html_file_may_be_a_page(server, tmp_path):
    target = tmp_path / "a.html"
    fetch(unknown(f"{server.url}/login/x", file="a.html"), target, dataset="toy", progress=False)
    assert target.read_bytes() == LOGIN


def test_google_asks_whether_to_go_on(server, tmp_path, monkeypatch):
    """The form's hidden fields are sent back, again for every piece."""
    monkeypatch.setattr(places, "GOOGLE", f"{server.url}/google")
    assert brought(known("gdrive:the id"), tmp_path) == DATA
    out = tmp_path / "out"
    (out / "a.zip").rename(out / ".a.zip.part")
    with (out / ".a.zip.part").open("rb+") as stream:
        stream.truncate(400_000)
    assert brought(known("gdrive:the id"), tmp_path) == DATA
    assert server.requests == [("google", 0), ("google", 0), ("google", 400_000), ("google", 400_000)]
    assert server.sent == 2 * len(DATA) - 400_000


def test_google_asks_for_ever(server, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "GOOGLE", f"{server.url}/endless")
    assert "Virus scan warning" in reason(known("gdrive:x"), tmp_path)
    assert server.asked("endless") == 2


def test_google_has_had_enough(server, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "GOOGLE", f"{server.url}/quota")
    assert "quota of downloads of this file is used up" in reason(known("gdrive:x"), tmp_path)


@pytest.mark.parametrize("query", ["", "?dl=0", "?dl=1"])
def test_dropbox_is_asked_for_the_file_not_its_page(server, tmp_path, monkeypatch, query):
    monkeypatch.setattr(places, "DROPBOX", server.url.removeprefix("http://"))
    assert brought(known(f"{server.url}/dropbox/a.zip{query}"), tmp_path) == DATA


# ---- what is shown


def test_a_log_file_gets_a_line_now_and_then(server, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(meter, "_LOG_EVERY", 0.0)
    caplog.set_level("INFO")
    fetch(known(f"{server.url}/ok/x"), tmp_path / "a.zip", dataset="toy")
    assert "a.zip: 1.0 of 1.0 MB, " in caplog.text
    caplog.clear()
    download.fetch(known(f"{server.url}/ok/x"), tmp_path / "b.zip", dataset="toy", progress=False)
    assert "MB/s" not in caplog.text


def test_a_terminal_gets_a_bar(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetch(known(f"{server.url}/ok/x"), tmp_path / "a.zip", dataset="toy")
    assert "/1.02M" in capsys.readouterr().err
    fetch(known(f"{server.url}/ok/x"), tmp_path / "b.zip", dataset="toy", progress=False)
    assert capsys.readouterr().err == ""


def test_pieces_of_which_nothing_tells_the_version_are_not_joined(server, tmp_path, monkeypatch):
    """The first answer is chunked and cut; the next comes from another file. Nothing would give the mixture away."""

    def answer(handler):
        if handler.server.asked("replaced") == 1:
            handler._chunked(whole=False)
        else:
            handler._ok(WRONG)

    monkeypatch.setattr(web.Handler, "_replaced", answer, raising=False)
    assert brought(unknown(f"{server.url}/replaced/x"), tmp_path) == WRONG
