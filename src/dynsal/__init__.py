"""Deep models of dynamic saliency: data, nets, metrics and the protocol around them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynsal.api import predict as predict

# NumPy's products here are tiny; OpenBLAS threads only fight with torch and with the jobs beside (a frame's scores took
# 62 ms instead of 0.3). Takes effect if dynsal is imported before numpy; the workflow sets it for its jobs too.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load `dynsal.predict` when it is first asked for: importing this package stays cheap."""
    if name == "predict":
        from dynsal.api import predict

        return predict
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
