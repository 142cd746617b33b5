"""The authors' list of shot cuts in DIEM's videos, from their own file or from the copy of it as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy import io

from dynsal.errors import DataError

_AGAIN = "Download it again (registry `baselines`)"


def read_cuts(path: Path) -> dict[str, list[int]]:
    """Return video -> its raw shot cuts, frames counted from 0.

    Parameters
    ----------
    path
        ``00_cuts.mat`` of the release (MATLAB 5; cells ``videos`` and ``cuts``), or ``diem_list_cuts.json`` (``videos``,
        each with ``name`` and ``cuts``). Both count frames from 1.

    Raises
    ------
    DataError
        If the file is missing, damaged or neither.
    """
    if not path.is_file():
        raise DataError(path, "there is no such list of cuts", _AGAIN)
    try:
        if path.suffix == ".json":
            videos = json.loads(path.read_text(encoding="utf-8"))["videos"]
            found = {str(video["name"]): video["cuts"] for video in videos}
        else:
            stored = io.loadmat(path, squeeze_me=True)
            found = dict(zip(map(str, stored["videos"]), stored["cuts"], strict=True))
        return {name: [int(cut) - 1 for cut in np.atleast_1d(cuts)] for name, cuts in found.items()}
    except Exception as error:  # scipy's reader raises what its parts raise
        raise DataError(path, f"is no list of cuts, or is damaged ({error})", _AGAIN) from error
