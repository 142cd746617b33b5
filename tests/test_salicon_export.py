"""Submissions to SALICON's server: what is written is what was predicted, and the check finds what is wrong."""

from __future__ import annotations

import base64
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable

import cv2
import matplotlib.image
import numpy as np
import pytest

from dynsal.datasets.salicon_export import check_submission, encode_map, pack_upload, write_submission
from dynsal.errors import DataError


def saliency(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((480, 640)) * 10.0**-seed


def encoded(array: np.ndarray) -> str:
    return base64.b64encode(cv2.imencode(".png", array)[1].tobytes()).decode()


def test_round_trip(tmp_path):
    """The list that the server reads, decoded by another library: grey, 8 bits, the maximum at 255, half a step off."""
    maps = {131: saliency(0), 7: saliency(3).astype(np.float32), 900_000: np.zeros((480, 640))}
    path = tmp_path / "submission.json"
    assert write_submission(path, maps.items()) == 3
    assert check_submission(path, maps) == []
    entries = json.loads(path.read_text())
    assert [entry["image_id"] for entry in entries] == list(maps)
    assert all(set(entry) == {"image_id", "saliency_map"} for entry in entries)
    for entry in entries:
        data = base64.b64decode(entry["saliency_map"])
        assert data.startswith(b"\x89PNG")
        pixels = matplotlib.image.imread(io.BytesIO(data), format="png") * 255
        wanted = maps[entry["image_id"]]
        assert pixels.shape == (480, 640)
        peak = wanted.max() or 1.0
        np.testing.assert_allclose(pixels, wanted * (255 / peak), atol=0.501)
        assert pixels.max() == (255 if wanted.any() else 0)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((640, 480)), "not \\(480, 640\\)"),
        (np.ones((480, 640, 1)), "not \\(480, 640\\)"),
        (np.full((480, 640), np.nan), "not finite"),
        (-np.eye(480, 640), "negative"),
    ],
)
def test_maps_that_cannot_be_sent(tmp_path, array, message):
    """Nothing is written, not even the good map before it."""
    with pytest.raises(ValueError, match=f"map of image 8 .*{message}"):
        write_submission(tmp_path / "s.json", [(7, saliency(0)), (8, array)])
    with pytest.raises(ValueError, match="image 7 comes twice"):
        write_submission(tmp_path / "s.json", [(7, saliency(0)), (7, saliency(1))])
    assert not list(tmp_path.iterdir())


def test_a_broken_source_leaves_nothing(tmp_path):
    def maps():
        yield 1, saliency(0)
        raise DataError("model", "broke", "Mend it")

    with pytest.raises(DataError):
        write_submission(tmp_path / "s.json", maps())
    assert not list(tmp_path.iterdir())


GOOD = encode_map(np.ones((480, 640)), 1)
FAULTS: list[tuple[Callable[[list], object], list[str]]] = [
    (lambda entries: entries.pop(), ["1 image(s) missing: 3"]),
    (lambda entries: entries.append(entries[0]), ["1 image(s) in it more than once: 1"]),
    (lambda entries: entries[2].update(image_id=4), ["1 image(s) missing: 3", "1 image(s) not of the test set: 4"]),
    (lambda entries: entries[1].update(image_id="2"), ["entry 1: image_id '2' is no whole number", "1 image(s) missing: 2"]),
    (lambda entries: entries[1].update(name="x"), ["entry 1 does not consist of image_id and saliency_map", "1 image(s) missing: 2"]),
    (lambda entries: entries[1].update(saliency_map="no base64!"), ["image 2: its map is no base64"]),
    (lambda entries: entries[1].update(saliency_map=""), ["image 2: its map does not decode"]),
    (lambda entries: entries[1].update(saliency_map="AAAA"), ["image 2: its map does not decode"]),
    (lambda entries: entries[1].update(saliency_map=encoded(np.ones((640, 480), np.uint8))), ["image 2: its map is 480x640 uint8, not 640x480 uint8"]),
    (lambda entries: entries[1].update(saliency_map=encoded(np.ones((480, 640), np.uint16))), ["image 2: its map is 640x480 uint16, not 640x480 uint8"]),
    (lambda entries: entries[1].update(saliency_map=encoded(np.ones((480, 640, 3), np.uint8))), ["image 2: its map is 640x480x3 uint8, not 640x480 uint8"]),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "problems"), FAULTS)
def test_check_names_every_fault(tmp_path, spoil, problems):
    entries = [{"image_id": image, "saliency_map": GOOD} for image in (1, 2, 3)]
    spoil(entries)
    path = tmp_path / "s.json"
    path.write_text(json.dumps(entries))
    assert check_submission(path, [1, 2, 3]) == problems


def test_many_missing_are_counted(tmp_path):
    write_submission(tmp_path / "s.json", [])
    assert check_submission(tmp_path / "s.json", range(5000)) == ["5000 image(s) missing: 0, 1, 2, 3, 4, ..."]


def test_upload(tmp_path):
    """The names of the server's instructions, at the top of the archive; equal submissions give equal bytes."""
    for part in ("val", "test"):
        (tmp_path / part).write_text(part)
    for name in ("results.zip", "again.zip"):
        pack_upload(tmp_path / name, "early-x2", tmp_path / "val", tmp_path / "test")
    assert (tmp_path / "results.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "results.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "fixations_val2014_early-x2_results.json": b"val",
            "fixations_test2014_early-x2_results.json": b"test",
        }
    with pytest.raises(ValueError, match="'early_x2': a model's name"):
        pack_upload(tmp_path / "no.zip", "early_x2", tmp_path / "val", tmp_path / "test")
    with pytest.raises(FileNotFoundError):
        pack_upload(tmp_path / "no.zip", "early", tmp_path / "val", tmp_path / "none")
    assert not (tmp_path / "no.zip").exists()


@pytest.mark.parametrize("text", ["", "[", '[{"image_id": 1', "nonsense", "\xff"])
def test_no_submission(tmp_path, text):
    path = tmp_path / "s.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"s\.json: cannot be read as a submission") as caught:
        check_submission(path, [1])
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="cannot be read"):
        check_submission(tmp_path / "none.json", [1])


def test_memory_is_that_of_a_few_maps(tmp_path):
    """Sixty maps of 2.3 MiB stream through, out and back in, in less than six of them."""
    tracemalloc.start()
    write_submission(tmp_path / "s.json", ((image, saliency(image % 5)) for image in range(60)))
    assert check_submission(tmp_path / "s.json", range(60)) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 480 * 640 * 8
