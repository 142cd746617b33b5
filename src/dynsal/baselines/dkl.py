"""DKL colours (Derrington, Krauskopf, Lennie) as the GBVS toolbox computes them.

The toolbox takes each of R, G and B through a measured table of a monitor's light. Its 256 x 3 numbers are data that
may be read from the toolbox's own file; without it a polynomial per channel stands in, which follows the table to .013.
The final maps of GBVS then correlate with those of the table at .9998 or more (25 photographs of OSIE at three sizes;
with the best power law it is .9947).
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynsal.baselines.matlab import Floats
from dynsal.errors import DataError

TABLE_FILE = "rgb2dkl.m"
"""Name of the toolbox's file with the table."""

POLYNOMIALS = (
    (0.4019, 0.5072, 0.1058, -0.0347, 0.0027, 0.0217, 0.0051),
    (0.3994, 0.5209, 0.0997, -0.0395, 0.0045, 0.0228, 0.0052),
    (0.4257, 0.5049, 0.0902, -0.0366, 0.0077, 0.0200, 0.0004),
)
"""Light of R, G and B: least-squares fits to the table, as Chebyshev series over [-1, 1] for [0, 1]."""
CONES = ((18.32535, 44.60077, 7.46216), (4.09544, 28.20135, 6.66066), (0.02114, 0.10325, 1.05258))
"""L, M and S per unit of red, green and blue light."""
ADAPTED = (34.9185389578, 19.3147966765, 0.5856108185)
"""L, M and S of the grey that all three axes start from."""


@lru_cache(maxsize=1)
def fitted_table() -> Floats:
    """Return the stand-in for the monitor's table, 256 x 3."""
    values = np.linspace(-1, 1, 256)
    return np.stack([np.polynomial.chebyshev.chebval(values, series) for series in POLYNOMIALS], axis=1)


def read_table(path: Path) -> Floats:
    """Return the monitor's table (256 x 3, light of R, G and B) from the toolbox's ``rgb2dkl.m``.

    Raises
    ------
    DataError
        If the file holds no matrix ``lut_rgb`` of 768 numbers.
    """
    remedy = f"Fetch {TABLE_FILE} of the GBVS toolbox again, or leave it out: a fit takes its place."
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})", remedy) from error
    # Comments run from a percent sign, continued lines from three dots, to the end of the line.
    matrix = re.search(r"\blut_rgb\s*=\s*\[([^\]]*)\]", re.sub(r"(%|\.\.\.).*", "", text))
    if matrix is None:
        raise DataError(path, "holds no matrix lut_rgb", remedy)
    try:
        numbers = [float(word) for word in re.split(r"[\s,;]+", matrix[1].strip(" \t\r\n,;"))]
    except ValueError as error:
        raise DataError(path, f"lut_rgb is not made of numbers ({error})", remedy) from None
    if len(numbers) != 768 or not all(map(math.isfinite, numbers)):
        raise DataError(path, f"lut_rgb has {len(numbers)} numbers and not 256 x 3 finite ones", remedy)
    return np.reshape(numbers, (256, 3))


def to_dkl(rgb: NDArray[np.floating], table: Floats) -> list[Floats]:
    """Return luminance, red-green and blue-yellow (each H x W, signed) of an image in [0, 1] (H x W x 3)."""
    rows = np.clip(np.ceil(255 * rgb.astype(np.float64)), 1, 256).astype(np.intp) - 1
    red, green, blue = (table[rows[..., channel], channel] for channel in range(3))
    long, middle, short = (
        r * red + g * green + b * blue - adapted for (r, g, b), adapted in zip(CONES, ADAPTED, strict=True)
    )
    long0, middle0, short0 = ADAPTED
    scale = 1 / (long0 + middle0)
    return [
        0.5774 * math.sqrt(3) * scale * (long + middle),
        2.7525 * scale * math.hypot(long0, middle0) * (long / long0 - middle / middle0),
        0.4526 * scale * (short * (long0 + middle0) / short0 - long - middle),
    ]
