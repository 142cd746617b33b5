"""What stands below Table 3: the definitions behind its figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from dynsal import tables
from dynsal.config import TableConfig
from dynsal.still_metrics import SALICON_SIGMA, SALICON_WIDTH, STILL_METRICS, salicon_sigma
from dynsal.table3 import RULE

GAZE = {
    "demo_stills": "synthetic images and viewers: the numbers show that the pipeline works, nothing about people",
    "osie": "eye tracking of 15 viewers of each of 700 images, not SALICON: a stand-in at hand",
    "salicon": "mouse movements of online workers in place of eye movements; the public validation labels",
}
"""Data set -> what its gaze is."""


@dataclass(frozen=True)
class Setting:
    """How the images were scored.

    Parameters
    ----------
    dataset
        Name of the data set.
    size
        Width and height of the maps.
    sigma_deg
        Degrees of the Gaussian of the ground truth.
    pool_images
        Images drawn of each shard for the negatives.
    table
        Of the bootstrap.
    """

    dataset: str
    size: tuple[int, int]
    sigma_deg: float
    pool_images: int
    table: TableConfig


def notes(
    setting: Setting, table: pd.DataFrame, scores: pd.DataFrame, said: Mapping[str, str]
) -> dict[str, str]:
    """Return heading -> text of every note.

    Parameters
    ----------
    setting
        How the images were scored.
    table, scores
        As `dynsal.table3` makes and reads them.
    said
        The verdicts, `dynsal.table3.verdicts`.
    """
    skipped = tables.skipped(scores)
    measured = table[table["kind"] != "quoted"]
    quoted = table.loc[table["kind"] == "quoted", "model"]
    width, height = setting.size
    found = {
        "data set": f"{setting.dataset}: {_gaze(setting.dataset)}",
        "images": f"{measured['n_images'].max()}, each counted once; every row on the same ones; maps {width}x{height}",
        "sAUC": "exact rank form, ties one half; negatives are the fixations of all other test images, of "
        f"{setting.pool_images} images at most of each shard",
        "AUC-Borji": "against all pixels: the limit of many random draws; AUC-Judd: against all pixels without a fixation",
        "density": f"Gaussian, sigma {setting.sigma_deg:g} degree; chi-square, SIM, KLD and CC are against it",
        "SALICON's code": "thresholds every .01, random pixels, at the size of the maps (there 640x480); its CC against "
        f"fixations blurred by {salicon_sigma(width):.3g} pixels ({SALICON_SIGMA:g} at width {SALICON_WIDTH}); "
        + _filter(setting.dataset),
        "intervals": f"95 %, {setting.table.resamples} bootstrap resamples over images, the same for all rows; "
        "differences between rows: table3_differences.csv",
        "skipped images": json.dumps(skipped) if skipped else "none",
        "printed": "from SALICON's evaluation server, whose test labels are unpublished: comparable with nothing here",
    }
    if len(quoted):
        found["quoted rows"] = f"{', '.join(quoted)}: printed in the paper, not computed here"
    if "human" in set(table["model"]):
        found["human"] = (
            "half the viewers as predictors of the other half, which understates what all could do"
        )
    if "rare_style" in set(table["model"]):
        found["rare_style"] = (
            "a reconstruction in the manner of RARE2012; the printed Rare 2012 Improved is another program"
        )
    spread = tables.seed_spread(scores, "sauc", STILL_METRICS).dropna()
    if len(spread):
        found["seeds"] = "standard deviation of sAUC over seeds: " + ", ".join(
            f"{name} {value:.3f}" for name, value in spread.items()
        )
    found |= said
    if said:
        found["verdicts"] = f"{RULE}; table3_ablation.csv"
    return found


def _gaze(dataset: str) -> str:
    return next((text for name, text in GAZE.items() if dataset.startswith(name)), "unknown origin")


def _filter(dataset: str) -> str:
    if dataset.startswith("salicon"):
        return "of a point seen m times in an image it keeps m - 1"
    return "its filter of points seen once is off: eye-tracking points never repeat"
