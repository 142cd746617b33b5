"""Synthetic viewers of a demo scene and their recordings, in the format of DIEM's event files.

Each fixation is drawn from the true density at its mid-time and carried along with what it landed on, so that in
every frame the fixating viewers are (very nearly) a sample of the true density of that frame. Blinks, saccades,
dropped frames and points off the screen come at the rates measured on real files.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dynsal.datasets.demo_scene import Floats, Mixture, Scene, generator, mixture

Events = npt.NDArray[np.int_]

SCREEN = (1280, 960)
N_VIEWERS = 24
DROPPED, BLINK, FIXATION, SACCADE = -1, 0, 1, 2

_FIXATION_FRAMES, _FIXATION_SHAPE = 11.0, 4.0  # gamma; the mean is 370 ms
_BLINKS_PER_FRAME = 0.0065
_BAD_RECORDING = 0.04  # probability of a viewer who is often lost


@dataclass(frozen=True)
class Recording:
    """One viewer's file: its name and its text, CRLF line ends included."""

    filename: str
    text: str


def record(scene: Scene, seed: int, n_viewers: int = N_VIEWERS) -> list[Recording]:
    """Return the recordings of all viewers, the first two thirds in experiment 1, the others in experiment 2."""
    rng = generator(scene.video, seed, "viewers")
    parts = mixture(scene)
    n_rows = scene.n_frames - int(rng.integers(1, 3))  # event files end 1-2 rows before the video
    lost_frame = int(rng.integers(n_rows // 4, 3 * n_rows // 4)) if rng.random() < 0.15 else None
    recordings = []
    for i in range(n_viewers):
        experiment, subject = _subject(i, n_viewers)
        trial = int(rng.integers(1, 27))
        name = f"diem{experiment}s{subject}.asc_{trial}_{scene.video}.txt"
        traits = np.random.default_rng([seed, zlib.crc32(f"{experiment}s{subject}".encode())])
        points, events = _watch(rng, scene, parts, n_rows)
        recordings.append(Recording(name, _rows(rng, traits, scene, points, events, lost_frame)))
    return recordings


def _subject(i: int, n_viewers: int) -> tuple[int, str]:
    """Return experiment and subject: plain numbers, padded ones, and one with a letter, as in the release."""
    first = (2 * n_viewers + 2) // 3
    if i < first:
        return 1, str(i + 1)
    return 2, f"{i - first + 1:02d}" + ("b" if i - first == 3 else "")


def _watch(rng: np.random.Generator, scene: Scene, parts: Mixture, n_rows: int) -> tuple[Floats, Events]:
    """Return gaze (n x 2, movie pixels) and left event (fixation or saccade) in every frame."""
    points = np.full((n_rows, 2), np.nan)
    events = np.full(n_rows, SACCADE)
    start = -int(rng.integers(0, 12))  # the clip cuts into a running fixation
    while start < n_rows:
        length = max(2, round(rng.gamma(_FIXATION_SHAPE, _FIXATION_FRAMES / _FIXATION_SHAPE)))
        rows = np.arange(max(start, 0), min(start + length, n_rows))
        if rows.size:
            middle = int(rows[rows.size // 2])
            part = int(rng.choice(parts.weights.shape[1], p=parts.weights[middle]))
            points[rows] = parts.means[rows, part] + rng.normal(0, parts.sigmas[part])
            events[rows] = FIXATION
        start += length + int(rng.choice([1, 2], p=[0.7, 0.3]))
    known = np.flatnonzero(events == FIXATION)
    for axis in range(2):
        points[:, axis] = np.interp(np.arange(n_rows), known, points[known, axis])
    return points, events


def _rows(
    rng: np.random.Generator,
    traits: np.random.Generator,
    scene: Scene,
    points: Floats,
    events: Events,
    lost_frame: int | None,
) -> str:
    """Write one recording: both eyes, pupils, blinks and faults."""
    n = len(points)
    half_gap = traits.normal(0, (4.0, 2.0))
    pupils = traits.uniform(900, 1700, size=2)
    blinks = _BLINKS_PER_FRAME * traits.uniform(0.4, 1.6)
    if rng.random() < _BAD_RECORDING:
        blinks *= 8
    border = (np.array(SCREEN) - (scene.width, scene.height)) / 2
    wander = rng.normal(0, 1.0, size=(n, 2))
    eyes = np.stack([points + border + half_gap + wander, points + border - half_gap - wander])
    sizes = pupils[:, None] + 30 * np.cumsum(rng.normal(0, 0.3, size=(2, n)), axis=1)
    flags = np.stack([events, np.full(n, FIXATION)])
    blank = np.zeros((2, n), dtype=bool)

    for start in map(int, np.flatnonzero(rng.random(n) < blinks)):
        stop = min(start + int(rng.integers(4, 9)), n)
        flags[:, start:stop] = BLINK
        blank[:, start:stop] = True
        if rng.random() < 0.7 and start > 0:  # one eye closes first, still tracked for a moment
            eye = int(rng.random() < 0.4)
            flags[eye, start - 1] = BLINK
            blank[eye, start - 1] = rng.random() < 0.3
        if rng.random() < 0.7 and stop < n:
            eye = int(rng.random() < 0.4)
            flags[eye, stop] = BLINK
            blank[eye, stop] = rng.random() < 0.3
    glitches = rng.random(n) < 0.001  # the tracker loses the pupil and reports a place far off the screen
    eyes[:, glitches] += rng.uniform(1500, 3000, size=(int(glitches.sum()), 2)) * rng.choice([-1, 1])
    dropped = rng.random(n) < 0.0005
    if lost_frame is not None and rng.random() < 0.95:
        dropped[lost_frame] = True

    lines = []
    for t in range(n):
        cells = [str(t + 1)]
        for eye in range(2):
            if dropped[t]:
                cells += ["0", "0", "0", str(DROPPED)]
            elif blank[eye, t]:
                cells += ["0", "0", "0.0", str(BLINK)]
            else:
                x, y = eyes[eye, t]
                cells += [f"{x:.1f}", f"{y:.1f}", f"{sizes[eye, t]:.1f}", str(flags[eye, t])]
        lines.append("\t".join(cells) + "\r\n")
    return "".join(lines)
