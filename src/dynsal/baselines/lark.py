"""Local steering kernels, in two or three dimensions: the descriptors of self-resemblance (Seo, Milanfar 2009).

Axes and offsets come in the order of the array's axes.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dynsal.baselines.matlab import Floats, fspecial_disk

SENSITIVITY = 0.42
"""Exponent of the local energy."""
REGULARISER = 1e-7


def kernel(dimensions: int) -> Floats:
    """Return the weights of a window, 3 x 3, or 3 x 3 x 3 with time as the last axis.

    They are a disk, or the product of the disks of every pair of axes; each slice in time is divided by its own centre.
    """
    weights = disk = fspecial_disk(1)
    if dimensions == 3:
        weights = disk[:, :, None] * disk[:, None, :] * disk
    return np.asarray(weights / weights[1, 1])


def steering(volume: Floats, weights: Floats) -> Floats:
    """Return the steering matrix C of every sample.

    The singular values and right vectors of a window's gradients come from the 2 x 2 or 3 x 3 matrix of their products,
    which costs a third of decomposing the window itself. A singular value that ought to be 0 comes out as up to 1e-8 of
    the largest, far below what the two regularising terms let through.

    Parameters
    ----------
    volume
        Samples, n-dimensional, at least 2 along each axis.
    weights
        Weights of a window, 3 samples along each axis; see `kernel`.

    Returns
    -------
    Of shape volume.shape + (n, n), symmetric.
    """
    n = volume.ndim
    slopes = np.gradient(volume)
    moments = np.empty((*volume.shape, n, n))
    for i, j in product(range(n), repeat=2):
        if i <= j:
            # Mirrored without repeating the border, like the windows themselves.
            moments[..., i, j] = ndimage.correlate(slopes[i] * slopes[j], weights**2, mode="mirror")
            moments[..., j, i] = moments[..., i, j]
    squares, vectors = np.linalg.eigh(moments)
    singular = np.sqrt(np.maximum(squares, 0))
    # Geometric mean of the other singular values: of one in two dimensions, of two in three.
    others = np.stack([np.delete(singular, i, axis=-1).prod(axis=-1) for i in range(n)], axis=-1)
    others **= 1 / (n - 1)
    energy = ((singular.prod(axis=-1) + REGULARISER) / weights.sum()) ** SENSITIVITY
    stretch = (singular + 1) / (others + 1) * energy[..., None]
    steered: Floats = (vectors * stretch[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    return steered


def descriptors(steered: Floats, smoothing: float, swapped: bool = False) -> Floats:
    """Return the kernel's values at all neighbours, each under the neighbour's own matrix.

    Parameters
    ----------
    steered
        Matrix of each sample, of `steering`.
    smoothing
        h of exp(-x' C x / 2 h^2).
    swapped
        Take the offset along the rows for that along the columns and the reverse (two dimensions).

    Returns
    -------
    Of shape samples + (3^n,), in (0, 1]; neighbours outside are mirrored ones, without repeating the border.
    """
    n = steered.shape[-1]
    samples = steered.shape[:-2]
    result = np.empty((*samples, 3**n))
    for k, offset in enumerate(product((-1, 0, 1), repeat=n)):
        x = np.array(offset[::-1] if swapped else offset)
        values = np.exp(-0.5 / smoothing**2 * np.einsum("...ij,i,j->...", steered, x, x))
        result[..., k] = values[np.ix_(*map(mirrored, samples, offset))]
    return result


def mirrored(n: int, offset: int) -> NDArray[np.intp]:
    """Return which sample of n lies ``offset`` after each one, mirrored at both ends without repeating the border."""
    places = np.abs(np.arange(n) + offset)
    return np.asarray(np.minimum(places, 2 * (n - 1) - places))
