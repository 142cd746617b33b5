"""The 40 motions that the static flow net chooses from (Walker, Gupta, Hebert 2015): theirs, or found by k-means."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import scipy.io
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from torch import Tensor

from dynsal.errors import DataError
from dynsal.fileio import atomic

WORDS = 40
PIXELS = 500
"""Random pixels of a field that take part in k-means."""

_WEISZFELD, _RELAXED = 150, 1.9
"""Steps, and by how much each is lengthened: up to 2 they still converge (Ostresh 1978), in half as many."""
_TINY = 1e-6

Decoding = Literal["mean", "median"]
Codebook = NDArray[np.float64]
"""40 x 2, u (right) and v (down) in pixels over five frames at 320x240."""


def read_codebook(path: Path) -> Codebook:
    """Read the authors' codebook (clusters.mat, MATLAB 7.3; or converted to MATLAB 5), or one of ours (.npz).

    Raises
    ------
    DataError
        If the file is missing, damaged, or holds no 40 different motions.
    """
    try:
        found = np.asarray(_read(path), np.float64)
    except Exception as error:  # loadmat raises whatever damaged input leads it into
        raise DataError(
            path, f"cannot be read as a codebook ({error!r})", "Delete it and run again"
        ) from error
    if found.shape != (WORDS, 2) or not np.isfinite(found).all() or len(np.unique(found, axis=0)) != WORDS:
        raise DataError(
            path, f"holds no {WORDS} different motions (found {found.shape})", "Use the published file"
        )
    return found


def _read(path: Path) -> Any:
    if path.suffix == ".npz":
        with np.load(path) as file:
            return file["C"]
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            return file["C"][()].T  # MATLAB stores columns first
    return scipy.io.loadmat(path, variable_names=["C"])["C"]


def write_codebook(path: Path, codebook: Codebook) -> None:
    """Write a codebook as .npz, atomically."""
    with atomic(path) as part, part.open("wb") as stream:
        np.savez(stream, C=codebook)


def cluster(fields: Iterable[NDArray[np.floating]], seed: int) -> Codebook:
    """Return the centres of k-means over :data:`PIXELS` random pixels of every field, the shortest motion first.

    The shortest centre is set to no motion at all: most pixels rest, and are nearest to it; the mean of what else is
    near (.03 to .1 px on hevc33, in the direction of chance) would be predicted for every one of them. The authors' own
    has .04 px there.

    Raises
    ------
    DataError
        If the fields hold fewer than 40 different motions.
    """
    rng = np.random.default_rng(seed)
    sample = np.concatenate(
        [
            field.reshape(-1, 2)[rng.integers(field.shape[0] * field.shape[1], size=PIXELS)].astype(
                np.float64
            )
            for field in fields
        ]
    )
    if len(np.unique(sample, axis=0)) < WORDS:
        raise DataError(
            "the training videos", f"show fewer than {WORDS} different motions", "Use codebook: walker"
        )
    centres = KMeans(WORDS, n_init=4, random_state=seed).fit(sample).cluster_centers_
    found = np.asarray(centres[np.argsort(np.hypot(*centres.T), kind="stable")])
    found[0] = 0
    return found


def nearest_word(motion: Tensor, codebook: Tensor) -> Tensor:
    """Return the index of the nearest codeword: N x 2 x H x W and 40 x 2 give N x H x W int64."""
    flat = motion.movedim(1, -1).reshape(-1, 2)
    distances = torch.cdist(flat, codebook, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.argmin(1).view(len(motion), *motion.shape[2:])


def soft_decode(logits: Tensor, codebook: Tensor) -> Tensor:
    """Return the expected motion sum_k p_k C_k: N x 40 x H x W and 40 x 2 give N x 2 x H x W."""
    return torch.einsum("nkhw,kc->nchw", logits.softmax(1), codebook)


def median_decode(logits: Tensor, codebook: Tensor) -> Tensor:
    """Return the geometric median of the motions: N x 40 x H x W and 40 x 2 give N x 2 x H x W.

    It minimises the expected end-point error sum_k p_k |x - C_k|, which the expectation does not: that minimises the
    expected *squared* error, and moves what most probably rests. A word whose probability outweighs the pull of all
    others is the median itself (Vardi, Zhang 2000); elsewhere Weiszfeld's steps lead to it, to some 1e-4 pixels of expected error.
    """
    count, _, height, width = logits.shape
    p = logits.softmax(1).movedim(1, -1).reshape(-1, len(codebook))
    ways = codebook[None] - codebook[:, None]  # from word k to word j
    lengths = ways.norm(dim=-1, keepdim=True)
    pull = torch.einsum("nj,kjc->nkc", p, ways / lengths.clamp_min(_TINY)).norm(dim=-1)
    ahead, word = (p - pull).max(1)
    x = p @ codebook
    for _ in range(_WEISZFELD):
        near = p / (x[:, None] - codebook).norm(dim=-1).clamp_min(_TINY)
        x = torch.lerp(x, near @ codebook / near.sum(1, keepdim=True), _RELAXED)
    x = torch.where(ahead[:, None] >= 0, codebook[word], x)
    return x.view(count, height, width, 2).movedim(-1, 1)


DECODERS: dict[Decoding, Callable[[Tensor, Tensor], Tensor]] = {"mean": soft_decode, "median": median_decode}
"""Ways from the net's outputs and the codebook to motion."""
