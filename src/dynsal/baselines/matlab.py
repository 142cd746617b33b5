"""Functions of Matlab that the baselines' programs call, with the same numbers.

OpenCV, SciPy and Pillow offer most of them under similar names, but differ in antialiasing, borders, rounding or the
centre of even kernels; a map computed with those no longer agrees with the authors' program.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[Any]
Floats = NDArray[np.float64]
Numbers = TypeVar("Numbers", bound=Array)
Method = Literal["bicubic", "bilinear"]

GREY_WEIGHTS = np.array([0.298936021293775, 0.587043074451121, 0.114020904255103])
"""Share of R, G and B in `rgb2gray`: the first row of the inverse of the NTSC matrix."""

_BORDERS = {"zero": cv2.BORDER_CONSTANT, "replicate": cv2.BORDER_REPLICATE}


def imresize(array: Numbers, size_or_scale: tuple[int, int] | float, method: Method = "bicubic") -> Numbers:
    """Resize the first two axes, with antialiasing where an axis shrinks and a mirrored border.

    Parameters
    ----------
    array
        H x W or H x W x C; uint8, float32 or float64.
    size_or_scale
        (rows, columns) of the result, or one scale for both axes, whose result has ceil(scale * side) samples.
    method
        Keys' cubic with a = -1/2, or the triangle.

    Returns
    -------
    Of the input's type. uint8 is rounded and clipped after each axis, the axis that shrinks more coming first;
    floating point may overshoot.
    """
    if isinstance(size_or_scale, tuple):
        size = size_or_scale
        scales = (size[0] / array.shape[0], size[1] / array.shape[1])
    else:
        scales = (float(size_or_scale), float(size_or_scale))
        size = (math.ceil(scales[0] * array.shape[0]), math.ceil(scales[1] * array.shape[1]))
    whole = array.dtype == np.uint8
    # The order matters only if values are rounded in between. Otherwise the first axis, whose product copies nothing,
    # takes the larger array.
    rows_first = scales[0] <= scales[1] if whole else scales[0] < 1
    result: Array = array
    for axis in (0, 1) if rows_first else (1, 0):
        weights = _weights(array.shape[axis], size[axis], scales[axis], method)
        result = along(weights, result, axis)
        if whole:
            result = np.floor(np.clip(result, 0, 255) + 0.5).astype(np.uint8)
    return cast(Numbers, np.ascontiguousarray(result, dtype=array.dtype))


def along(weights: sparse.csr_array, array: Array, axis: int) -> Array:
    """Return the product of a sparse matrix with one axis of an array, in float64; never threaded."""
    moved = np.moveaxis(array, axis, 0)
    flat = moved.reshape(moved.shape[0], -1).astype(np.float64, copy=False)
    product: Floats = weights @ flat
    return np.moveaxis(product.reshape(-1, *moved.shape[1:]), 0, axis)


@lru_cache(maxsize=256)
def _weights(n_in: int, n_out: int, scale: float, method: Method) -> sparse.csr_array:
    """Return the matrix that takes n_in samples to n_out."""
    kernel, support = _KERNELS[method]
    stretch = min(scale, 1.0)
    support /= stretch
    centres = (np.arange(n_out) + 0.5) / scale - 0.5
    taps = np.floor(centres - support)[:, None] + np.arange(2 * math.ceil(support) + 2)
    values = kernel(stretch * (centres[:, None] - taps))
    values /= values.sum(axis=1, keepdims=True)
    # Mirror with the border sample repeated: 1 0 | 0 1 2 ... n-1 | n-1 n-2.
    folded = taps.astype(np.int64) % (2 * n_in)
    columns = np.minimum(folded, 2 * n_in - 1 - folded)
    rows = np.broadcast_to(np.arange(n_out)[:, None], columns.shape)
    matrix = sparse.csr_array((values.ravel(), (rows.ravel(), columns.ravel())), shape=(n_out, n_in))
    matrix.eliminate_zeros()
    return matrix


def _cubic(x: Floats) -> Floats:
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _triangle(x: Floats) -> Floats:
    values: Floats = np.maximum(1 - np.abs(x), 0)
    return values


_KERNELS: dict[Method, tuple[Callable[[Floats], Floats], float]] = {
    "bicubic": (_cubic, 2.0),
    "bilinear": (_triangle, 1.0),
}


def mat2gray(array: Array) -> Array:
    """Return the values stretched to [0, 1]; zeros if they are all equal."""
    low, high = array.min(), array.max()
    if low == high:
        return np.zeros_like(array)
    stretched: Array = (array - low) / (high - low)
    return stretched


def rgb2gray(rgb: Numbers) -> Numbers:
    """Return the grey values (H x W) of an RGB image (H x W x 3); uint8 comes back as rounded uint8."""
    grey = rgb @ GREY_WEIGHTS
    if rgb.dtype == np.uint8:
        grey = np.floor(grey + 0.5)
    return cast(Numbers, grey.astype(rgb.dtype))


def round_half_away(values: Array | float) -> Floats:
    """Return the nearest whole numbers, halves away from zero (`numpy.round` takes them to even ones)."""
    whole = np.trunc(values)
    return np.asarray(whole + np.copysign(np.abs(values - whole) >= 0.5, values), dtype=np.float64)


def imfilter(array: Array, kernel: Array, border: Literal["zero", "replicate"] = "zero") -> Array:
    """Correlate an image with a kernel, same size.

    Parameters
    ----------
    array
        H x W or H x W x C, float32 or float64.
    kernel
        h x w. The centre of n taps is tap (n - 1) // 2: 8 taps cover the offsets -3 to 4.
    border
        What lies outside the image: zeros, or its nearest pixel.
    """
    anchor = ((kernel.shape[1] - 1) // 2, (kernel.shape[0] - 1) // 2)
    filtered = cv2.filter2D(array, -1, kernel, anchor=anchor, borderType=_BORDERS[border])
    return cast(Array, filtered)


def fspecial_gaussian(n: int, sigma: float) -> Floats:
    """Return an n x n Gaussian of sum 1; the centre of an even one lies between the taps."""
    squares = (np.arange(n) - (n - 1) / 2) ** 2
    kernel: Floats = np.exp(-(squares[:, None] + squares) / (2 * sigma**2))
    kernel /= kernel.sum()
    return kernel


def fspecial_disk(radius: int) -> Floats:
    """Return (2 radius + 1)^2 taps of sum 1, each in proportion to the area of its square inside the circle."""
    edges = np.arange(-radius - 0.5, radius + 1)
    corner = _corner_area(np.abs(edges)[:, None], np.abs(edges), radius)
    corner *= np.sign(edges)[:, None] * np.sign(edges)
    # Squares outside the circle come out a rounding error below zero.
    kernel = np.maximum(np.diff(np.diff(corner, axis=0), axis=1), 0)
    kernel /= kernel.sum()
    return kernel


def _corner_area(width: Floats, height: Floats, radius: float) -> Floats:
    """Return the area inside the circle of the rectangle from its centre to (width, height), both >= 0."""
    width, height = np.minimum(width, radius), np.minimum(height, radius)

    def under_arc(x: Floats) -> Floats:
        area: Floats = (x * np.sqrt(radius**2 - x**2) + radius**2 * np.arcsin(x / radius)) / 2
        return area

    # Up to here the rectangle is cut off by its own upper side, further out by the circle.
    bend = np.minimum(np.sqrt(radius**2 - height**2), width)
    return height * bend + under_arc(width) - under_arc(bend)


def rgb_float(bgr: NDArray[np.uint8]) -> Floats:
    """Return an RGB image in [0, 1] (H x W x 3, float64) from OpenCV's BGR uint8."""
    return cast(Floats, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB) / 255.0)
