"""The 40 motions: read in all their forms, found by k-means, nearest one, expected and median motion."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import minimize
from scipy.special import softmax

from dynsal.codebook import (
    WORDS,
    cluster,
    median_decode,
    nearest_word,
    read_codebook,
    soft_decode,
    write_codebook,
)
from dynsal.errors import DataError

BOOK = np.random.default_rng(0).normal(0, 10, (WORDS, 2))
NUMBERS = st.floats(-50, 50, width=32)


def matlab5(path, array=BOOK):
    scipy.io.savemat(path, {"C": array})


def matlab73(path, array=BOOK):
    """MATLAB stores columns first: HDF5 sees the array transposed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file["C"] = array.T


@pytest.mark.parametrize(
    ("name", "write"), [("c.mat", matlab5), ("c.mat", matlab73), ("c.npz", write_codebook)]
)
def test_every_form_of_file_reads_the_same(tmp_path, name, write):
    write(tmp_path / name, BOOK)
    np.testing.assert_array_equal(read_codebook(tmp_path / name), BOOK)


@pytest.mark.data
def test_the_authors_codebook(mirror):
    """Walker et al.: magnitudes .04 to 73 px over five frames; the shortest word is row 27, counted from 1."""
    found = read_codebook(mirror / "baselines" / "walker_codebook.mat")
    length = np.hypot(*found.T)
    assert found.shape == (40, 2)
    assert length.argmin() == 26
    assert round(length.min(), 2) == 0.04
    assert round(length.max()) == 73


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (BOOK[:39], r"holds no 40 different motions \(found \(39, 2\)\)"),
        (BOOK.T, r"found \(2, 40\)"),
        (np.where(np.arange(80).reshape(40, 2) == 7, np.nan, BOOK), "holds no 40 different motions"),
        (np.vstack([BOOK[:39], BOOK[:1]]), "holds no 40 different motions"),
    ],
    ids=["39 rows", "transposed", "NaN", "a word twice"],
)
def test_files_without_40_motions_are_refused(tmp_path, array, problem):
    matlab5(tmp_path / "c.mat", array)
    with pytest.raises(DataError, match=problem):
        read_codebook(tmp_path / "c.mat")


@pytest.mark.parametrize("content", [None, b"", b"<html>not found</html>", b"\x89HDF\r\n\x1a\n" + bytes(64)])
@pytest.mark.parametrize("name", ["c.mat", "c.npz"])
def test_damaged_files_are_one_clear_line(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: cannot be read as a codebook"):
        read_codebook(tmp_path / name)


def test_a_mat_file_with_another_variable_is_refused(tmp_path):
    scipy.io.savemat(tmp_path / "c.mat", {"centres": BOOK})
    with pytest.raises(DataError, match="cannot be read as a codebook"):
        read_codebook(tmp_path / "c.mat")


def lattice() -> np.ndarray:
    """Return 40 motions, at least 10 apart, none at the same distance from 0 as another."""
    return np.array([(10.0 * x + 0.1 * y, 10.0 * y + 0.03 * x) for x in range(8) for y in range(5)])


def test_kmeans_of_40_motions_is_those_motions_shortest_first():
    rng = np.random.default_rng(0)
    fields = [lattice()[rng.integers(0, 40, (30, 40))] for _ in range(20)]
    found = cluster(fields, 0)
    expected = lattice()[np.argsort(np.hypot(*lattice().T))]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_every_centre_of_kmeans_lies_among_the_motions():
    """Means of what is given: none outside the range of u and v, none twice, the shortest first and set to zero."""
    rng = np.random.default_rng(0)
    fields = [rng.uniform((-3, 5), (4, 9), (24, 32, 2)) for _ in range(10)]
    found = cluster(fields, 0)
    assert found[0].tolist() == [0, 0]
    assert (found[1:] > (-3, 5)).all()
    assert (found[1:] < (4, 9)).all()
    assert len(np.unique(found.round(6), axis=0)) == 40
    assert (np.diff(np.hypot(*found.T)) >= 0).all()


def test_kmeans_is_a_function_of_fields_and_seed():
    fields = [np.random.default_rng(k).normal(size=(12, 16, 2)).astype(np.float16) for k in range(4)]
    first = cluster(fields, 1)
    np.random.seed(99)  # noqa: NPY002
    np.testing.assert_array_equal(cluster(fields, 1), first)
    assert not np.array_equal(cluster(fields, 2), first)


def test_videos_without_motion_have_no_codebook():
    with pytest.raises(DataError, match="fewer than 40 different motions"):
        cluster([np.zeros((12, 16, 2))] * 3, 0)


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.float32, (2, 2, 3, 4), elements=NUMBERS))
def test_nearest_word_is_the_one_a_loop_finds(motion):
    found = nearest_word(torch.from_numpy(motion), torch.from_numpy(BOOK).float())
    assert found.dtype == torch.int64
    assert found.shape == (2, 3, 4)
    book = BOOK.astype(np.float32).astype(np.float64)
    for n, y, x in np.ndindex(2, 3, 4):
        distances = np.hypot(*(book - motion[n, :, y, x]).T)
        assert distances[found[n, y, x]] <= distances.min() + 1e-5


def test_every_word_is_its_own_nearest():
    motion = torch.from_numpy(BOOK.T.reshape(1, 2, 5, 8)).float()
    found = nearest_word(motion, torch.from_numpy(BOOK).float())
    np.testing.assert_array_equal(found.ravel(), np.arange(40))


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.float64, (1, WORDS, 2, 2), elements=st.floats(-20, 20)))
def test_soft_decoding_is_the_expectation_under_the_softmax(logits):
    decoded = soft_decode(torch.from_numpy(logits), torch.from_numpy(BOOK)).numpy()
    for y, x in np.ndindex(2, 2):
        weights = np.exp(logits[0, :, y, x] - logits[0, :, y, x].max())
        expected = sum(w * word for w, word in zip(weights / weights.sum(), BOOK, strict=True))
        np.testing.assert_allclose(decoded[0, :, y, x], expected, atol=1e-9)


def test_soft_decoding_of_a_certain_word_is_that_word():
    logits = torch.full((1, WORDS, 5, 8), -1e4)
    logits[0, torch.arange(40), torch.arange(40) // 8, torch.arange(40) % 8] = 0
    decoded = soft_decode(logits, torch.from_numpy(BOOK).float())
    np.testing.assert_allclose(decoded[0].permute(1, 2, 0).reshape(40, 2), BOOK, rtol=1e-6)


def expected_error(x: np.ndarray, weights: np.ndarray, book: np.ndarray) -> float:
    return float(weights @ np.hypot(*(book - x).T))


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float64, (1, WORDS, 1, 2), elements=st.floats(-8, 8)), st.sampled_from([1.0, 3.0, 30.0]))
def test_the_median_has_the_least_expected_end_point_error(logits, sharpness):
    """No worse than what a general optimiser finds, from the mean and from the best word."""
    logits = logits * sharpness
    found = median_decode(torch.from_numpy(logits), torch.from_numpy(BOOK)).numpy()
    for x in range(2):
        weights = softmax(logits[0, :, 0, x])
        errors = [expected_error(word, weights, BOOK) for word in BOOK]
        best = min(
            *errors,
            *(
                minimize(expected_error, start, (weights, BOOK), "Nelder-Mead", options={"xatol": 1e-7}).fun
                for start in (weights @ BOOK, BOOK[int(np.argmin(errors))])
            ),
        )
        assert expected_error(found[0, :, 0, x], weights, BOOK) <= best * (1 + 1e-4) + 1e-6


def test_the_median_rests_where_rest_outweighs_the_pull_of_all_motions():
    """Half the probability always does; opposite motions cancel with far less; one-sided ones with less do not."""
    book = torch.zeros(WORDS, 2)
    book[1:, 0] = torch.linspace(1, 20, WORDS - 1)
    book[20:, 0] *= -1
    one_sided, balanced = torch.full((1, WORDS, 1, 1), -1e4), torch.full((1, WORDS, 1, 1), -1e4)
    one_sided[0, [0, 19], 0, 0] = torch.tensor([0.51, 0.49]).log()
    balanced[0, [0, 19, 39], 0, 0] = torch.tensor([0.04, 0.48, 0.48]).log()
    for logits in (one_sided, balanced):
        torch.testing.assert_close(median_decode(logits, book), torch.zeros(1, 2, 1, 1), rtol=0, atol=0)
    one_sided[0, [0, 19], 0, 0] = torch.tensor([0.45, 0.55]).log()
    torch.testing.assert_close(median_decode(one_sided, book)[0, :, 0, 0], book[19], atol=1e-3, rtol=0)


def test_the_median_of_a_certain_word_is_that_word_and_keeps_the_cells_in_place():
    logits = torch.full((1, WORDS, 5, 8), -1e4)
    logits[0, torch.arange(40), torch.arange(40) // 8, torch.arange(40) % 8] = 0
    decoded = median_decode(logits, torch.from_numpy(BOOK).float())
    np.testing.assert_allclose(decoded[0].permute(1, 2, 0).reshape(40, 2), BOOK, rtol=1e-6)
