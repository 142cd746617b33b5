"""Getting DIEM's videos: unpacked, as .7z, and out of a release that is shared, broken off, damaged, or given back."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import random
import shutil
import signal

import py7zr
import pytest
from releases import DEEP, seven_zip, tar_gz, tree

from dynsal import checksums, diem_release, layout, tar_index
from dynsal.datasets.diem import Diem
from dynsal.diem_release import fetch_diem_video
from dynsal.errors import DataError
from dynsal.layout import RegistryRow
from dynsal.manifests import verify_manifest, write_manifest

DATA = bytes(range(256)) * 400
WRONG = bytes(reversed(DATA))


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# ---- from a mirror folder -------------------------------------------------------------------------------------------

VIDEO = "toy_640x480"


@pytest.fixture
def diem(tmp_path, monkeypatch):
    """Return a mirror folder with one small video in DIEM's layout."""
    monkeypatch.delenv("DYNSAL_MIRROR", raising=False)
    folder = tmp_path / "mirror" / "diem" / VIDEO
    (folder / "video").mkdir(parents=True)
    (folder / "event_data").mkdir()
    (folder / "video" / f"{VIDEO}.mp4").write_bytes(DATA)
    for name in ("diem2s1.asc_1", "diem2s2.asc_9"):
        (folder / "event_data" / f"{name}_{VIDEO}.txt").write_text("1\t640\t480\t9\t1\t640\t480\t9\t1\r\n")
    return tmp_path / "mirror"


def test_diem_video_with_manifest(diem, tmp_path):
    root = tmp_path / "raw"
    manifest = fetch_diem_video(VIDEO, root, [diem])
    assert manifest == root / VIDEO / "manifest.json"
    listed = json.loads(manifest.read_text())
    assert sorted(listed) == [
        f"event_data/diem2s1.asc_1_{VIDEO}.txt",
        f"event_data/diem2s2.asc_9_{VIDEO}.txt",
        f"video/{VIDEO}.mp4",
    ]
    assert listed[f"video/{VIDEO}.mp4"] == {"bytes": len(DATA), "sha256": hashlib.sha256(DATA).hexdigest()}
    assert not (root / VIDEO / "video" / f"{VIDEO}.mp4").stat().st_mode & 0o222
    verify_manifest(root, VIDEO, full=True)
    before = manifest.read_bytes()
    fetch_diem_video(VIDEO, root, [diem])
    assert manifest.read_bytes() == before


def test_diem_recordings_gone_from_the_mirror_are_not_read(diem, tmp_path):
    root = tmp_path / "raw"
    fetch_diem_video(VIDEO, root, [diem])
    (diem / "diem" / VIDEO / "event_data" / f"diem2s1.asc_1_{VIDEO}.txt").unlink()
    fetch_diem_video(VIDEO, root, [diem])
    assert files(root / VIDEO / "event_data") == [f"diem2s2.asc_9_{VIDEO}.txt"]
    verify_manifest(root, VIDEO, full=True)


def test_diem_missing_pieces_are_named(diem, tmp_path, no_release):
    """No folder, no mp4, no event files: each said, with where DIEM is to be had; no manifest."""
    root = tmp_path / "raw"
    with pytest.raises(DataError, match=r"other_640x480 \(no such folder\)") as caught:
        fetch_diem_video("other_640x480", root, [diem])
    assert "/downloads/diem/diem.tar.gz, or as " in caught.value.remedy
    assert "<VIDEO>.7z will do (the store on Mediafire" in caught.value.remedy
    assert caught.value.remedy.endswith("/downloads/diem/other_640x480.7z")
    folder = diem / "diem" / VIDEO
    (folder / "event_data").rename(folder / "events")
    with pytest.raises(DataError, match=r"event_data \(no event files\)"):
        fetch_diem_video(VIDEO, root, [diem])
    (folder / "video" / f"{VIDEO}.mp4").unlink()
    with pytest.raises(DataError, match=rf"{VIDEO}\.mp4 \(no such file\)"):
        fetch_diem_video(VIDEO, root, [diem])
    assert not root.exists()


def test_diem_copy_interrupted_leaves_no_manifest(diem, tmp_path, monkeypatch):
    """A disk that fills up half-way: clear error, no manifest (an old one is gone too), and the next run completes."""
    root = tmp_path / "raw"
    fetch_diem_video(VIDEO, root, [diem])
    changed = diem / "diem" / VIDEO / "event_data" / f"diem2s2.asc_9_{VIDEO}.txt"
    changed.write_text("1\t641\t480\t9\t1\t640\t480\t9\t1\r\n")

    def full(_source, _target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(diem_release.shutil, "copyfile", full)
        with pytest.raises(DataError, match="no space left"):
            fetch_diem_video(VIDEO, root, [diem])
    with pytest.raises(DataError, match=r"manifest\.json: cannot be read"):
        verify_manifest(root, VIDEO)
    assert not [name for name in files(root) if name.endswith(".part")]
    fetch_diem_video(VIDEO, root, [diem])
    verify_manifest(root, VIDEO, full=True)
    assert "641" in (root / VIDEO / "event_data" / changed.name).read_text()


def test_manifest_tells_of_later_damage(diem, tmp_path):
    root = tmp_path / "raw"
    fetch_diem_video(VIDEO, root, [diem])
    path = root / VIDEO / "video" / f"{VIDEO}.mp4"
    path.chmod(0o644)
    path.write_bytes(WRONG)
    verify_manifest(root, VIDEO)  # sizes alone cannot tell
    with pytest.raises(DataError, match=r"mp4: has changed"):
        verify_manifest(root, VIDEO, full=True)
    path.write_bytes(DATA[:-1])
    with pytest.raises(DataError, match=rf"mp4: has {len(DATA) - 1} bytes instead of {len(DATA)}"):
        verify_manifest(root, VIDEO)
    path.unlink()
    with pytest.raises(DataError, match="mp4: is in the manifest but missing"):
        verify_manifest(root, VIDEO)
    path.write_bytes(DATA)
    (root / VIDEO / "event_data" / "extra.txt").touch()
    with pytest.raises(DataError, match=r"extra\.txt: is not in the manifest"):
        verify_manifest(root, VIDEO)
    write_manifest(root / VIDEO)
    verify_manifest(root, VIDEO, full=True)


@pytest.mark.data
def test_real_event_files_through_a_mirror(mirror, tmp_path, monkeypatch):
    """The 100 real files, copied through fetch_diem_video, are what the reader reads."""
    from dynsal.config import DatasetConfig

    monkeypatch.delenv("DYNSAL_MIRROR", raising=False)
    video = "50_people_brooklyn_1280x720"
    source = tmp_path / "mirror" / "diem" / video
    (source / "video").mkdir(parents=True)
    (source / "video" / f"{video}.mp4").write_bytes(DATA)
    shutil.copytree(mirror / "diem" / "event_data" / video, source / "event_data")
    fetch_diem_video(video, tmp_path / "raw", [tmp_path / "mirror"])
    verify_manifest(tmp_path / "raw", video)
    gaze = Diem(tmp_path / "raw", DatasetConfig(name="diem")).fixations(video)
    assert gaze.n_frames == 3667
    assert gaze.table["subject"].nunique() == 100


# ---- as .7z ---------------------------------------------------------------------------------------------------------

SOUND = b"RIFF" + bytes(500)


def video_files(name, seed=0, top="", size=30_000) -> dict[str, bytes]:
    """Return a video as its archive unpacks: incompressible pictures, sound, and two recordings."""
    rng = random.Random(f"{name}{seed}")
    row = b"1\t640\t480\t9\t1\t640\t480\t9\t1\r\n"
    return {
        f"{top}video/{name}.mp4": rng.randbytes(size),
        f"{top}audio/{name}.wav": SOUND,
        f"{top}event_data/diem2s1.asc_1_{name}.txt": row,
        f"{top}event_data/diem2s2.asc_9_{name}.txt": row,
    }


def kept(found: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in found.items() if "audio" not in name}


def has(root, name, found) -> None:
    """Check that the video is there, exactly, with a manifest, and nothing else."""
    verify_manifest(root, name, full=True)
    there = tree(root / name)
    del there["manifest.json"]
    assert there == kept(found)
    assert not list(root.glob(".*"))


@pytest.mark.parametrize("top", ["", f"{VIDEO}/"])
def test_an_archive_in_a_mirror(tmp_path, monkeypatch, caplog, top):
    """With or without the video's folder inside; sound and strangers stay packed and are reported."""
    caplog.set_level("INFO")
    monkeypatch.setenv("DYNSAL_MIRROR", str(tmp_path / "mirror"))
    strange = {f"{top}readme.txt": b"hi", f"{top}event_data/sub/x.txt": b"", f"{top}video/other.mp4": b"1"}
    seven_zip(tmp_path / "mirror/diem" / f"{VIDEO}.7z", video_files(VIDEO, top=top) | strange)
    stale = tmp_path / "raw" / VIDEO / "event_data" / f"diem9s9.asc_9_{VIDEO}.txt"
    stale.parent.mkdir(parents=True)
    stale.touch()
    fetch_diem_video(VIDEO, tmp_path / "raw")
    has(tmp_path / "raw", VIDEO, video_files(VIDEO))
    assert "2 recordings unpacked; left out: 0.0 MiB of sound, 3 other files" in caplog.text


@pytest.mark.parametrize("lacks", ["mp4", "txt"])
def test_an_archive_without_video_or_recordings(tmp_path, lacks):
    found = {name: data for name, data in video_files(VIDEO).items() if not name.endswith(lacks)}
    seven_zip(tmp_path / "mirror/diem" / f"{VIDEO}.7z", found)
    with pytest.raises(
        DataError, match=rf"{VIDEO}\.7z: holds [12] of the files video/{VIDEO}\.mp4 and event_data"
    ):
        fetch_diem_video(VIDEO, tmp_path / "raw", [tmp_path / "mirror"])
    assert not (tmp_path / "raw" / VIDEO / "manifest.json").exists()


def test_a_damaged_archive_leaves_no_manifest_even_of_an_earlier_copy(tmp_path):
    packed = tmp_path / "mirror/diem" / f"{VIDEO}.7z"
    data = seven_zip(packed, video_files(VIDEO))
    fetch_diem_video(VIDEO, tmp_path / "raw", [tmp_path / "mirror"])
    packed.write_bytes(data[:2000] + b"x" + data[2001:])
    with pytest.raises(DataError, match=r"is damaged or no \.7z"):
        fetch_diem_video(VIDEO, tmp_path / "raw", [tmp_path / "mirror"])
    assert not (tmp_path / "raw" / VIDEO / "manifest.json").exists()
    packed.write_bytes(data)
    fetch_diem_video(VIDEO, tmp_path / "raw", [tmp_path / "mirror"])
    has(tmp_path / "raw", VIDEO, video_files(VIDEO))


# ---- out of the release ---------------------------------------------------------------------------------------------

NAMES = ["DIY_SOS_1280x712", "advert_iphone_1272x720", "one_show_1280x712", "tv_ketch2_672x544"]


STORED = [{"id": py7zr.FILTER_COPY}]
"""Fast; other methods are tested elsewhere."""


@pytest.fixture
def no_release(monkeypatch):
    """Make the release one without an address."""
    monkeypatch.setattr(layout, "registry_row", lambda _, file: RegistryRow(file, 1, "0" * 64, (), "free"))


@pytest.fixture
def release(server, tmp_path, monkeypatch):
    """Return a server of a release of four videos, which the registry names."""
    monkeypatch.setattr(tar_index, "SPACING", 1 << 16)
    packed = {
        f"{DEEP}/{name}.7z": seven_zip(
            tmp_path / f"{name}.7z", video_files(name, top=f"{name}/", size=400_000), filters=STORED
        )
        for name in NAMES
    }
    server.data = tar_gz(tmp_path / "served/diem.tar.gz", {"readme.txt": b"hello", **packed}).read_bytes()
    digest = hashlib.sha256(server.data).hexdigest()
    row = RegistryRow("diem.tar.gz", len(server.data), digest, (f"{server.url}/ok/diem.tar.gz",), "free")
    monkeypatch.setattr(layout, "registry_row", lambda *_: row)
    return server


def one(root, name) -> None:
    fetch_diem_video(name, root)
    has(root, name, video_files(name, size=400_000))


def test_one_download_serves_all_and_the_disk_holds_one_copy(release, tmp_path, caplog):
    """Videos that have landed give their parts of the archive back; at the end the archive has said that it may go."""
    caplog.set_level("INFO")
    root, archive = tmp_path / "results/raw", tmp_path / "results/archive/diem.tar.gz"
    used = []
    for name in NAMES:
        one(root, name)
        used.append(archive.stat().st_blocks * 512)
    assert len(release.requests) == 1
    assert "4 of DIEM's 84 videos" in caplog.text
    assert "lacks 50_people_brooklyn_1280x720, " in caplog.text
    assert caplog.text.count("are still packed") == 3
    assert f"all its videos are unpacked; {archive.parent} may be deleted" in caplog.text
    if "stays whole" not in caplog.text:
        assert used[-1] < 700_000 < 1_600_000 < archive.stat().st_size  # the last one stays
    shutil.rmtree(root / NAMES[0])
    if used[-1] < 700_000:
        with pytest.raises(
            DataError, match=rf"{NAMES[0]}\.7z: was unpacked before, .* Delete {archive.parent}"
        ):
            fetch_diem_video(NAMES[0], root)
        assert not (root / NAMES[0] / "manifest.json").exists()
    shutil.rmtree(archive.parent)
    for name in NAMES:  # as Snakemake may ask for all again, whose folders are still there
        one(root, name)
    assert len(release.requests) == 2


def test_an_archive_in_a_mirror_is_used_where_it_lies(release, tmp_path, monkeypatch):
    """Neither copied nor changed, whatever is unpacked from it."""
    mirror = tmp_path / "mirror/diem/diem.tar.gz"
    mirror.parent.mkdir(parents=True)
    shutil.copy(tmp_path / "served/diem.tar.gz", mirror)
    before = mirror.read_bytes(), mirror.stat()
    monkeypatch.setenv("DYNSAL_MIRROR", str(tmp_path / "mirror"))
    for name in NAMES[:2]:
        one(tmp_path / "results/raw", name)
    assert (mirror.read_bytes(), mirror.stat()[:6], mirror.stat().st_blocks) == (
        before[0], before[1][:6], before[1].st_blocks,
    )  # fmt: skip
    assert sorted(os.listdir(mirror.parent)) == ["diem.tar.gz"]
    assert release.requests == []


@pytest.mark.parametrize("linked", [False, True])
def test_a_first_release_that_is_cut_short_is_not_the_truth(release, tmp_path, monkeypatch, linked):
    """Its checksum, written down when it came, is forgotten; then a whole one is taken without any other step."""
    whole, archive = release.data, tmp_path / "results/archive/diem.tar.gz"
    row = RegistryRow("diem.tar.gz", None, None, (f"{release.url}/ok/diem.tar.gz",), "free")
    monkeypatch.setattr(layout, "registry_row", lambda *_: row)
    release.data = whole[:-1000]
    mirror = tmp_path / "mirror/diem/diem.tar.gz"
    if linked:
        mirror.parent.mkdir(parents=True)
        mirror.write_bytes(release.data)
        monkeypatch.setenv("DYNSAL_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(DataError, match=r"diem\.tar\.gz: is damaged, .* is forgotten\. ") as caught:
        one(tmp_path / "results/raw", NAMES[0])
    [lock] = checksums.lock_files()
    assert f"its checksum, written down in {lock} when it came" in caught.value.problem
    assert "diem" not in lock.read_text()
    assert f"{'Replace' if linked else 'Delete'} {mirror if linked else archive} " in caught.value.remedy
    release.data = whole
    if linked:
        mirror.write_bytes(whole)
    else:
        archive.unlink()
    one(tmp_path / "results/raw", NAMES[0])
    assert archive.is_symlink() == linked
    assert hashlib.sha256(whole).hexdigest() in lock.read_text()


def forked(work) -> int:
    """Return the process that does the work and ends with status 0."""
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child


def test_jobs_at_the_same_time_share_one_download(release, tmp_path):
    root = tmp_path / "results/raw"
    children = [forked(lambda name=name: fetch_diem_video(name, root)) for name in NAMES]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(NAMES)
    for name in NAMES:
        has(root, name, video_files(name, size=400_000))
    assert len(release.requests) == 1


def killed_before_step(number, work) -> bool:
    """Do the work in another process, which is killed before its ``number``-th change of the disk; return whether it was."""
    steps = itertools.count(1)

    def killing(step):
        def instead(*arguments, **options):
            if next(steps) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*arguments, **options)

        return instead

    def child():
        os.replace, os.fsync = killing(os.replace), killing(os.fsync)
        tar_index.punch_hole = killing(tar_index.punch_hole)
        work()

    status = os.waitpid(forked(child), 0)[1]
    assert status in (0, signal.SIGKILL)
    return status == signal.SIGKILL


def test_killed_at_any_step(release, tmp_path):
    """Whenever a job is killed, what has a manifest is whole; and the next runs get that video and the others."""
    for step in itertools.count(1):
        root = tmp_path / f"results{step}/raw"
        killed = killed_before_step(step, lambda root=root: fetch_diem_video(NAMES[0], root))
        if (root / NAMES[0] / "manifest.json").exists():
            verify_manifest(
                root, NAMES[0], full=True
            )  # Snakemake does not know: it asks again, or starts over
            shutil.rmtree(root.parent)
        for name in NAMES[:2]:
            one(root, name)
        if not killed:
            break
    assert step > 12


def test_a_video_that_the_release_lacks(release, tmp_path):
    with pytest.raises(
        DataError, match=r"diem\.tar\.gz: holds no tv_graduates_1280x720\.7z \(but 4 others: DIY_SOS"
    ):
        fetch_diem_video("tv_graduates_1280x720", tmp_path / "results/raw")


def test_surplus_archives_are_told(tmp_path, monkeypatch, caplog):
    packed = seven_zip(tmp_path / "x.7z", video_files(NAMES[0]))
    archive = tar_gz(
        tmp_path / "mirror/diem/diem.tar.gz", {f"{NAMES[0]}.7z": packed, "a/mine_640x480.7z": packed}
    )
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    row = RegistryRow("diem.tar.gz", archive.stat().st_size, digest, (), "free")
    monkeypatch.setattr(layout, "registry_row", lambda *_: row)
    fetch_diem_video(NAMES[0], tmp_path / "results/raw", [tmp_path / "mirror"])
    has(tmp_path / "results/raw", NAMES[0], video_files(NAMES[0]))
    assert "also holds mine_640x480" in caplog.text


def test_a_hostile_member_is_named(release, tmp_path, monkeypatch):
    """The archive of one video is a bomb: archive and member are told, and the other videos are not touched by it."""
    bomb = seven_zip(tmp_path / "bomb.7z", {f"video/{NAMES[0]}.mp4": bytes(1 << 24)})
    good = seven_zip(tmp_path / "good.7z", video_files(NAMES[1]))
    archive = tar_gz(
        tmp_path / "mirror/diem/diem.tar.gz",
        {f"{n}.7z": d for n, d in zip(NAMES, (bomb, good), strict=False)},
    )
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    row = RegistryRow("diem.tar.gz", archive.stat().st_size, digest, (), "free")
    monkeypatch.setattr(layout, "registry_row", lambda *_: row)
    root = tmp_path / "results/raw"
    with pytest.raises(DataError, match="no real data shrinks so far") as caught:
        fetch_diem_video(NAMES[0], root, [tmp_path / "mirror"])
    assert caught.value.where == f"{tmp_path / 'results/archive/diem.tar.gz'}: {NAMES[0]}.7z"
    fetch_diem_video(NAMES[1], root, [tmp_path / "mirror"])
    has(root, NAMES[1], video_files(NAMES[1]))
