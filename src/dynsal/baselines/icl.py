"""Incremental coding length: Hou, Zhang 2008.

The static form is the author's program (the row "Hou & Zhang" of the paper's Table 2). The temporal form follows the
paper's text, from memory: a feature is rare if earlier frames rarely showed it. With ``half_life`` (lambda),

    activity(t) = sum over s < t of exp((s - t) / lambda) a(s),    a(s) = sum over the patches of frame s of |W x|

takes the place of a(t) when the weights of frame t are computed; s and t count every frame of the stream, kept or not, so
that a frame's map does not depend on which others are scored. Despite its name a weight falls to 1/e, not 1/2, over
lambda frames: that is the formula of the paper. The first frame has nothing before it and is treated as in the static
form.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import io

from dynsal.baselines.base import Frame, Maps
from dynsal.baselines.matlab import Floats, fspecial_gaussian, imfilter, imresize, mat2gray, rgb_float
from dynsal.baselines.stream import same_size
from dynsal.config_baselines import IclOptions
from dynsal.errors import DataError

SIZE = (80, 120)
"""Rows and columns to which every frame is squeezed."""
PATCH = 8
"""Side of a patch."""
FEATURES = 3 * PATCH**2

_AGAIN = "Download the data set `baselines` again"


class Icl:
    """Incremental coding length with the author's filters.

    Parameters
    ----------
    options
        The final form, and the decay of the temporal form.
    files
        ``AW.mat``: the author's independent components.

    Raises
    ------
    DataError
        If the file is missing or is not what it should be.
    """

    def __init__(self, options: IclOptions, files: Mapping[str, Path]) -> None:
        self._options = options
        self._filters = read_filters(files)

    def maps(self, frames: Iterable[Frame]) -> Maps:
        """Yield the map of every kept frame; see `dynsal.baselines.base.Baseline`."""
        half_life, final = self._options.half_life, self._options.final
        past = np.zeros(FEATURES)
        for frame in same_size(frames):
            if not frame.kept and half_life is None:
                continue
            responses = features(frame.bgr, self._filters)
            activity = responses.sum(axis=1)
            if frame.kept:
                weights = coding_length(past if past.any() else activity)
                whole = imresize(saliency(weights @ responses, final == "demo"), frame.bgr.shape[:2])
                yield frame.index, np.maximum(whole, 0).astype(np.float32)  # bicubic overshoots
            if half_life is not None:
                past = math.exp(-1 / half_life) * (past + activity)


def read_filters(files: Mapping[str, Path]) -> Floats:
    """Return the filter bank W, 192 x 192, of ``AW.mat``.

    Raises
    ------
    DataError
        If the file is missing, cannot be read, or holds no such matrix.
    """
    path = files.get("AW.mat")
    if path is None or not path.is_file():
        raise DataError(
            path or "AW.mat", "the filters of ICL are missing", "Download the data set `baselines`"
        )
    try:
        filters = np.asarray(io.loadmat(path, variable_names=["W"])["W"])
    except KeyError as error:
        raise DataError(path, "has no matrix W", _AGAIN) from error
    except Exception as error:  # scipy's reader raises what its parts raise
        raise DataError(path, f"is not a MATLAB 5 file, or is damaged ({error})", _AGAIN) from error
    if filters.shape != (FEATURES, FEATURES) or filters.dtype != np.float64 or not np.isfinite(filters).all():
        raise DataError(
            path,
            f"W is {' x '.join(map(str, filters.shape))} {filters.dtype}, not {FEATURES} x {FEATURES} finite float64",
            _AGAIN,
        )
    return filters


def features(bgr: NDArray[np.uint8], filters: Floats) -> Floats:
    """Return the responses |W x| to all overlapping patches, 192 x 8249 (patches row by row), of a frame."""
    image = imresize(rgb_float(bgr), SIZE)
    # Rows x columns x channel x row x column -> a patch as Matlab stores it: row fastest, then column, then channel.
    windows = sliding_window_view(image, (PATCH, PATCH), axis=(0, 1)).transpose(2, 4, 3, 0, 1)
    responses: Floats = filters @ windows.reshape(FEATURES, -1)
    return np.abs(responses, out=responses)


def coding_length(activity: Floats) -> Floats:
    """Return the weight of each feature: its incremental coding length, >= 0, of sum 1.

    Parameters
    ----------
    activity
        Sum of the responses of each feature, >= 0. One that is 0 gets no weight.

    Returns
    -------
    All zero if none gains anything by being coded: no feature is active, or only one.
    """
    weights = np.zeros_like(activity)
    active = activity > 0
    if not active.any():
        return weights
    p = activity[active] / activity[active].sum()
    information = -np.log2(p)
    gain = np.maximum(information - (p * information).sum() - p + p * information, 0)
    if gain.any():
        weights[active] = gain / gain.sum()
    return weights


def saliency(energy: Floats, demo: bool) -> Floats:
    """Return the 80 x 120 map of the patches' energies.

    Parameters
    ----------
    energy
        Energy of each patch (8249).
    demo
        Square once more and smooth, as the author's demo does.
    """
    rows, columns = SIZE[0] - PATCH + 1, SIZE[1] - PATCH + 1
    covered = np.pad(energy.reshape(rows, columns), PATCH - 1)
    for axis in (0, 1):  # every pixel gets the energy of all patches that cover it
        covered = sliding_window_view(covered, PATCH, axis=axis).sum(axis=-1)
    stretched = mat2gray(covered**2)
    return imfilter(stretched**2, fspecial_gaussian(PATCH, PATCH)) if demo else stretched
