"""The style of all pictures: sizes, colours, names of rows, and how a picture is written."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.figure import Figure

from dynsal.fileio import atomic

WIDTH = 7.2
"""Inches: the widest picture that a printed page of two columns takes."""
SMALL = 6
"""Points: the smallest writing."""

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
)  # fmt: skip
GREY = "#888888"

STYLE: dict[Any, Any] = {
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "figure.labelsize": SMALL,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(  # Okabe and Ito's palette
        color=[BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK]
    ),
    "figure.dpi": 200,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.02,
    "pdf.fonttype": 42,
    "svg.hashsalt": "dynsal",
}

LABELS = {
    "spatial": "Spatial",
    "temporal": "Temporal",
    "late": "Late fusion",
    "early": "Early fusion",
    "early_aug": "Early + aug.",
    "lite": "Lite",
    "lite_stills": "Lite, stills only",
    "early_no_motion": "Early, no motion",
    "early_scratch": "Early from scratch",
    "early_video": "Early, videos only",
    "deep": "Deep Conv",
    "shallow": "Shallow Conv",
    "rudoy": "Rudoy et al.",
    "gbvs": "GBVS",
    "pqft": "PQFT",
    "icl": "Hou & Zhang",
    "itti": "Itti",
    "rare_style": "RARE-style",
    "self_resemblance": "Self-resemblance",
    "spectral_residual": "Spectral res.",
    "temporal_spectral": "Temporal spec.",
    "centre": "Centre",
    "uniform": "Uniform",
    "mean_map": "Mean map",
    "human": "Human halves",
    "oracle": "True density",
}
"""How rows of the tables are written for people; other names stand for themselves."""

KIND_COLOURS = {"net": BLUE, "baseline": VERMILION, "floor": GREY, "ceiling": GREEN, "oracle": ORANGE}
"""Kind of a row in the tables -> its colour."""


def label(model: str) -> str:
    """Return the name of a row for people."""
    return LABELS.get(model, model)


def short_name(video: str) -> str:
    """Return a video's name without the size that ends those of DIEM and the demo."""
    return video.rsplit("_", 1)[0] if "_" in video else video


def save(figure: Figure, paths: Iterable[Path]) -> None:
    """Write a figure in the format of every path's suffix, atomically and without a time stamp."""
    undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells every table of an embedded font
    for path in paths:
        kind = Path(path).suffix[1:]
        with mpl.rc_context(STYLE), atomic(path) as part:
            figure.savefig(part, format=kind, metadata=undated.get(kind))


def wrapped(text: str, width: int) -> str:
    """Break lines that are longer than ``width`` letters, after underscores too: names of videos have no spaces."""
    lines = text.replace("_", "_ ").splitlines()
    return "\n".join(textwrap.fill(line, width) for line in lines).replace("_ ", "_")


def footnote(figure: Figure, text: str) -> None:
    """Write below all panels what a reader has to know about them, in the smallest letters, left-aligned."""
    width = int(figure.get_size_inches()[0] * 72 / (0.56 * SMALL))
    lines = "\n".join(textwrap.fill(line, width) for line in text.splitlines())
    figure.supxlabel(lines, fontsize=SMALL, x=0.005, ha="left", color="#444444")
