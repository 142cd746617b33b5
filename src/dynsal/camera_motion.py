"""The camera's part of an optical flow field, by a homography, and the field without it.

Walker et al. remove camera motion with the homographies of improved trajectories, which match SURF points beside flow;
here the flow field itself gives the matches.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

GRID = 8
"""Pixels between the matches, in x and y."""
TOLERANCE = 1.0
"""Pixels by which a match may miss the homography and still support it."""
SUPPORT = 0.3
"""Share of the matches that must support a homography; with fewer the camera is taken to rest."""


FARTHEST = 0.5
"""Largest plausible motion of the camera between two frames, as a fraction of the picture's longer side."""


def pixel_grid(height: int, width: int) -> Field:
    """Return the x and y of every pixel, H x W x 2."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.dstack([x, y])


def camera_field(flow: NDArray[np.floating]) -> Field:
    """Return the flow that the camera alone would cause, H x W x 2 in pixels; zero if no plausible homography is found.

    Parameters
    ----------
    flow
        H x W x 2, u and v in pixels. The result depends on nothing else: the random samples of RANSAC have a fixed seed.
    """
    height, width = flow.shape[:2]
    grid = pixel_grid(height, width)
    source = grid[GRID // 2 :: GRID, GRID // 2 :: GRID].reshape(-1, 2)
    target = source + np.asarray(flow, np.float32)[GRID // 2 :: GRID, GRID // 2 :: GRID].reshape(-1, 2)
    if len(source) < 4:
        return np.zeros((height, width, 2), np.float32)
    matrix, inliers = cv2.findHomography(source, target, cv2.RANSAC, TOLERANCE)
    if matrix is None or inliers.mean() < SUPPORT:
        return np.zeros((height, width, 2), np.float32)
    moved = cv2.perspectiveTransform(grid.reshape(1, -1, 2), matrix).reshape(height, width, 2)
    field = np.asarray(moved - grid, np.float32)
    # A homography whose horizon crosses the picture sends pixels beside it anywhere.
    farthest = np.hypot(field[..., 0], field[..., 1]).max()
    if not farthest <= FARTHEST * max(height, width):
        return np.zeros((height, width, 2), np.float32)
    return field


def remove_camera(flow: NDArray[np.floating]) -> Field:
    """Return a field without the camera's part, H x W x 2 float32."""
    return np.asarray(flow, np.float32) - camera_field(flow)
