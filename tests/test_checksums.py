"""The lock file: what came first is written down, expected ever after, and told of when something else comes."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from web import DATA, WRONG

from dynsal import checksums, locks
from dynsal.checksums import Digest, Expected, expected, record
from dynsal.download import fetch
from dynsal.errors import DataError
from dynsal.layout import RegistryRow

SHA256 = hashlib.sha256(DATA).hexdigest()


def row(*urls, file="sub/a.zip", **more) -> RegistryRow:
    return RegistryRow(file, more.pop("bytes", None), more.pop("sha256", None), urls, "free", **more)


def lines(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def lock():
    return checksums.lock_files()[0]


# ---- through fetch


def test_the_first_download_is_written_down_and_the_next_must_agree(server, tmp_path):
    url = f"{server.url}/ok/a.zip"
    fetch(row(url), tmp_path / "1" / "a.zip", dataset="toy", progress=False)
    (line,) = lines(lock())
    date = line.pop("date")
    assert line == {
        "dataset": "toy", "file": "sub/a.zip", "bytes": str(len(DATA)), "sha256": SHA256, "source": url,
    }  # fmt: skip
    fetch(row(url), tmp_path / "2" / "a.zip", dataset="toy", progress=False)
    server.data = WRONG
    with pytest.raises(DataError) as caught:
        fetch(row(url), tmp_path / "3" / "a.zip", dataset="toy", progress=False)
    assert f"expected sha256 {SHA256} ({len(DATA)} bytes), as first downloaded on {date} from {url}" in str(
        caught.value
    )
    assert f"delete the line toy,sub/a.zip,... in {lock()}" in caught.value.problem
    assert f"found {hashlib.sha256(WRONG).hexdigest()}" in caught.value.problem
    assert not (tmp_path / "3" / "a.zip").exists()
    lock().write_text("\n".join(lock().read_text().splitlines()[:1]) + "\n")
    assert fetch(row(url), tmp_path / "3" / "a.zip", dataset="toy", progress=False).read_bytes() == WRONG
    assert lines(lock())[0]["sha256"] == hashlib.sha256(WRONG).hexdigest()


def test_a_file_that_is_there_already_is_written_down(server, tmp_path):
    """The lock file was lost, or the data came with another tool: nothing is fetched again."""
    (tmp_path / "a.zip").write_bytes(DATA)
    fetch(row(f"{server.url}/ok/x"), tmp_path / "a.zip", dataset="toy", progress=False)
    assert server.requests == []
    assert lines(lock())[0]["sha256"] == SHA256
    (tmp_path / "a.zip").write_bytes(WRONG)
    assert (
        fetch(row(f"{server.url}/ok/x"), tmp_path / "a.zip", dataset="toy", progress=False).read_bytes()
        == DATA
    )


def test_folders_are_written_down_without_their_names(server, tmp_path):
    """The lock file is committed: no path of one machine in it."""
    (tmp_path / "m" / "toy" / "sub").mkdir(parents=True)
    (tmp_path / "m" / "toy" / "sub" / "a.zip").write_bytes(DATA)
    fetch(row(), tmp_path / "out", [tmp_path / "m"], "toy", False)
    assert lines(lock())[0]["source"] == "a folder"
    assert str(tmp_path) not in lock().read_text()


@pytest.mark.parametrize("known", [{"sha256": SHA256}, {"md5": hashlib.md5(DATA).hexdigest()}])
def test_what_upstream_publishes_is_not_written_down(server, tmp_path, known):
    fetch(row(f"{server.url}/ok/x", **known), tmp_path / "a", dataset="toy", progress=False)
    assert not lock().exists()
    with pytest.raises(DataError, match=f"wrong checksum: expected {next(iter(known))}"):
        fetch(row(f"{server.url}/wrong/x", **known), tmp_path / "b", dataset="toy", progress=False)


def test_a_known_size_counts_without_a_checksum(server, tmp_path):
    with pytest.raises(DataError, match=f"has {len(DATA)} bytes instead of 7, as registered"):
        fetch(row(f"{server.url}/ok/x", bytes=7), tmp_path / "a", dataset="toy", progress=False)
    (tmp_path / "downloads" / "toy" / "sub").mkdir(parents=True)
    (tmp_path / "downloads" / "toy" / "sub" / "a.zip").write_bytes(DATA)
    with pytest.raises(DataError, match=f"wrong size: expected 7 bytes, as registered; found {len(DATA)}"):
        fetch(row(bytes=7), tmp_path / "a", dataset="toy", progress=False)
    assert not lock().exists()


def test_a_folders_file_of_another_size_is_told_with_the_line_to_delete(server, tmp_path):
    """Also without a look at its bytes; and what merely came first is not what to look for by hand."""
    fetch(row(f"{server.url}/ok/a"), tmp_path / "1", dataset="toy", progress=False)
    (tmp_path / "m" / "toy" / "sub").mkdir(parents=True)
    (tmp_path / "m" / "toy" / "sub" / "a.zip").write_bytes(DATA[:-1])
    with pytest.raises(DataError) as caught:
        fetch(row(about=len(DATA)), tmp_path / "2", [tmp_path / "m"], "toy", False)
    assert f"wrong size: expected {len(DATA)} bytes, as first downloaded on " in caught.value.problem
    assert f"delete the line toy,sub/a.zip,... in {lock()}" in caught.value.problem
    assert SHA256 not in caught.value.remedy
    assert "(about 1 MB; licence: free)" in caught.value.remedy


@pytest.mark.parametrize(("about", "taken"), [(2.01, False), (1.99, True), (0.51, True), (0.49, False)])
def test_a_first_file_far_from_the_estimate_is_not_taken(server, tmp_path, about, taken):
    """From an address or a folder; both sizes are told, nothing is written down."""
    about = int(about * len(DATA))
    (tmp_path / "m" / "toy" / "sub").mkdir(parents=True)
    (tmp_path / "m" / "toy" / "sub" / "a.zip").write_bytes(DATA)
    for mirrors, urls in (([tmp_path / "m"], ()), ([], (f"{server.url}/ok/x",))):
        if taken:
            fetch(row(*urls, about=about), tmp_path / "out", mirrors, "toy", False)
            continue
        with pytest.raises(
            DataError, match=f"expected about {about} bytes, as registered; found {len(DATA)}"
        ):
            fetch(row(*urls, about=about), tmp_path / "out", mirrors, "toy", False)
    assert (tmp_path / "out").exists() == lock().exists() == taken


def test_forgetting(server, tmp_path, caplog):
    """One line goes, the others stay, and the file is expected to be anything again."""
    for file in ("a", "b"):
        record("toy", row(file=file), 3, SHA256, "x")
    assert checksums.forget("toy", "a") == lock()
    assert f"toy/a proved damaged: its line in {lock()} is deleted" in caplog.text
    assert [line["file"] for line in lines(lock())] == ["b"]
    assert expected("toy", row(file="a")).digest is None
    assert checksums.forget("toy", "a") is None
    assert checksums.forget("other", "b") is None


# ---- the file itself


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@settings(max_examples=25, deadline=None)
@given(entries=st.dictionaries(st.tuples(names, names), st.integers(0, 2**50), min_size=1, max_size=4))
def test_any_names_come_back(tmp_path_factory, entries):
    """Commas, quotes and all; sorted, so that a commit shows what changed; the first entry stands."""
    path = tmp_path_factory.mktemp("lock") / "downloads.lock.csv"
    with pytest.MonkeyPatch().context() as patched:
        patched.setattr(checksums, "lock_files", lambda: [path])
        for turn in (0, 1):
            for (dataset, file), size in entries.items():
                said = record(dataset, row(file=file), size + turn, SHA256, "x")
                assert (said.bytes, said.digest) == (size, SHA256)
        for (dataset, file), size in entries.items():
            found = expected(dataset, row(file=file))
            assert (found.bytes, found.algorithm, found.digest) == (size, "sha256", SHA256)
    found = [(line["dataset"], line["file"]) for line in lines(path)]
    assert found == sorted(entries)


def test_many_at_once(server):
    """None is lost, and no lock is left behind."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: record("toy", row(file=f"{i:02}"), i, SHA256, "x"), range(40)))
    assert [int(line["bytes"]) for line in lines(lock())] == list(range(40))
    assert [path.name for path in lock().parent.iterdir()] == [lock().name]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("dataset,file\n", ":1: the header is dataset,file"),
        (f"{','.join(checksums.COLUMNS)}\n<<<<<<< HEAD\n", ":2: 1 columns"),
        (f"{','.join(checksums.COLUMNS)}\ntoy,a,many,{SHA256},x,2020-01-01\n", ":2: bytes 'many'"),
    ],
)
def test_a_damaged_lock_file_is_named_with_its_line(server, tmp_path, text, problem):
    lock().parent.mkdir()
    lock().write_text(text)
    with pytest.raises(DataError) as caught:
        fetch(row(f"{server.url}/ok/x"), tmp_path / "a", dataset="toy", progress=False)
    assert f"{lock()}{problem}" in str(caught.value)


def test_a_checkout_that_cannot_be_written(server, tmp_path, monkeypatch, caplog):
    """The working directory's file serves instead, and is read next time."""
    sealed = tmp_path / "sealed"
    sealed.mkdir()
    if not (os.geteuid() == 0 and shutil.which("mount")):
        sealed.chmod(0o555)
    elif subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", sealed], capture_output=True
    ).returncode:
        pytest.skip("nothing read-only to be had")
    second = tmp_path / "downloads.lock.csv"
    try:
        monkeypatch.setattr(checksums, "lock_files", lambda: [sealed / second.name, second])
        fetch(row(f"{server.url}/ok/x"), tmp_path / "a", dataset="toy", progress=False)
        assert lines(second)[0]["sha256"] == SHA256
        assert f"using {second}" in caplog.text
        with pytest.raises(DataError, match="as first downloaded"):
            fetch(row(f"{server.url}/wrong/x"), tmp_path / "b", dataset="toy", progress=False)
        monkeypatch.setattr(checksums, "lock_files", lambda: [sealed / second.name])
        with pytest.raises(DataError, match=r"downloads\.lock\.csv: cannot be written"):
            fetch(row(f"{server.url}/ok/x", file="b"), tmp_path / "b", dataset="toy", progress=False)
        assert not (tmp_path / "b").exists()
    finally:
        if os.path.ismount(sealed):
            subprocess.run(["umount", sealed], check=True)


# ---- digests


@settings(max_examples=30, deadline=None)
@given(blocks=st.lists(st.binary(max_size=5000), max_size=60), streamed=st.integers(0, 60))
def test_streamed_and_read_back(tmp_path_factory, blocks, streamed):
    """Some blocks while they come, the rest from the file: the sum is that of the whole."""
    path = tmp_path_factory.mktemp("digest") / "file"
    path.write_bytes(b"".join(blocks))
    for algorithm in ("sha256", "md5"):
        with Digest(algorithm) as digest:
            digest.update(b"of an earlier try")
            digest.restart()
            for block in blocks[:streamed]:
                digest.update(block)
            assert digest.finish(path) == hashlib.new(algorithm, b"".join(blocks)).hexdigest()


def test_what_is_wrong_with_a_file():
    exact = Expected(3, "sha256", "abc", "as registered")
    assert exact.problem(3, "abc") is None
    assert exact.problem(3, "abd") == (
        "wrong checksum: expected sha256 abc (3 bytes), as registered; found abd (3 bytes)"
    )
    assert exact.problem(4, "abc") == "wrong size: expected 3 bytes, as registered; found 4"
    assert Expected(None, "md5", "abc", "").problem(9, "abc") is None


# ---- locks


def test_no_locks_on_this_file_system(tmp_path, monkeypatch, caplog):
    """Said, and gone on without."""

    def refuse(*_):
        raise OSError(37, os.strerror(37))

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with locks.locked(tmp_path / "sub" / ".lock", "busy"):
        pass
    assert "no locks on this file system (No locks available)" in caplog.text
    assert list((tmp_path / "sub").iterdir()) == []


def test_a_lock_keeps_others_out(tmp_path):
    """Twelve threads count in a file without losing one."""
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count(_):
        with locks.locked(tmp_path / ".lock", "busy"):
            counter.write_text(str(int(counter.read_text()) + 1))

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(count, range(120)))
    assert counter.read_text() == "120"
    assert not (tmp_path / ".lock").exists()
