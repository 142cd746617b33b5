"""Folds of hevc33's videos, relatives together, and the measures of a cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

RELATIVES = (
    ("Simo", "Male", "Female", "Lee", "Yan", "Couple"),
    ("Vidyo1", "Vidyo3", "Vidyo4", "FourPeople", "KristenAndSara", "Johnny"),
    ("BasketballDrill", "BasketballDrillText", "BasketballDrive", "BasketballPass"),
    ("RaceHorsesC", "RaceHorsesD"),
    ("SlideEditing", "SlideShow"),
    ("PartyScene", "BlowingBubbles"),
)
"""Videos of hevc33 that show the same scene, the same people or the same kind of recording."""
METRICS = ("sauc", "sauc_same_video", "chi2", "nss", "cc", "sim", "kld")


def folds(videos: Sequence[str], count: int) -> list[list[str]]:
    """Share videos out to ``count`` folds, relatives together: the largest groups first, each to the smallest fold."""
    grouped = [[video for video in group if video in videos] for group in RELATIVES]
    known = {video for group in grouped for video in group}
    grouped += [[video] for video in videos if video not in known]
    parts: list[list[str]] = [[] for _ in range(count)]
    for group in sorted(grouped, key=len, reverse=True):
        min(parts, key=len).extend(group)
    return parts
