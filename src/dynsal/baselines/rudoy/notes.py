"""What stands in for the parts of Rudoy et al. that are not public."""

from __future__ import annotations

from typing import NamedTuple


class Substitution(NamedTuple):
    """A part that is not the authors' own."""

    part: str
    here: str
    there: str


SUBSTITUTIONS = (
    Substitution("flow", "OpenCV's estimator named in the options", "Ce Liu's coarse-to-fine flow"),
    Substitution("people", "OpenCV's HOG detector on the frame enlarged twice, its own scores", "poselets"),
    Substitution("faces", "OpenCV's cascade, or none (option faces)", "the same cascade in an older OpenCV"),
    Substitution("suppression", "overlap above 1/2 (intersection over union)", "Dollar's mean-shift variant"),
    Substitution("scale", "144 rows, area averaging", "DIEM at about 1/5, by an unknown method"),
    Substitution("mean shift", "flat kernel, seeds on a grid", "MeanShiftCluster"),
    Substitution(
        "shot cuts",
        "histogram differences and random anchors (on DIEM the authors' list)",
        "a list of cuts, for DIEM alone",
    ),
    Substitution(
        "forest", "scikit-learn's, trained here", "randomforest-matlab, trained on 62 videos of DIEM"
    ),
)
"""What differs from the authors' release, for the notes of tables and models."""
