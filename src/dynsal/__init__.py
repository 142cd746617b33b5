"""Deep models of dynamic saliency: data, nets, metrics and the protocol around them."""

import os

# NumPy's products here are tiny; OpenBLAS threads only fight with torch and with the jobs beside (a frame's scores took
# 62 ms instead of 0.3). Takes effect if dynsal is imported before numpy; the workflow sets it for its jobs too.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
