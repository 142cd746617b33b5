"""The demo's world: what is where in every frame, and the gaze density that follows from it.

Every scene is built to mislead a model that sees one cue alone. *Targets* have one look and move against the
background; *look-alikes* have that look but are fixed to the background; *movers* move like targets but look
different; *distractors* are static and of blinding contrast. Under a camera pan everything moves in the image.
Gaze goes mostly to the targets, the only things with both the look **and** motion relative to the background.

Positions are in pixels of the movie with (0, 0) the outer corner of its first pixel, as gaze is in event files.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dynsal.datasets.demo_names import KINDS, VIDEOS, parse_name
from dynsal.errors import DataError

Floats = npt.NDArray[np.float64]

FPS = 30
PX_PER_DEG = 50.0
"""Screen pixels per degree of visual angle, as for DIEM; the movie is shown at native size."""
NOISE_DEG = 0.3
"""Standard deviation of landing errors and calibration; part of the true density."""
SPREAD = 0.6
"""Standard deviation of the gaze on a thing, as a share of its radius."""
GRID = (60, 80)
"""Rows and columns of the stored true density."""

ROLES = ("target", "lookalike", "mover", "distractor")
SHARE = {"centre": 0.11, "target": 0.80, "lookalike": 0.03, "mover": 0.02, "distractor": 0.04}
"""Share of the gaze that the centre of the frame and all visible things of a role attract together."""
_COUNT = {
    "still": {"target": (1, 2), "lookalike": (8, 9), "mover": (6, 7), "distractor": (2, 2)},
    "pan": {"target": (1, 2), "lookalike": (8, 9), "mover": (5, 6), "distractor": (2, 2)},
    "crowd": {"target": (2, 2), "lookalike": (9, 10), "mover": (8, 9), "distractor": (2, 3)},
}
"""Fewest and most things per frame's area, by kind of scene."""
_RADIUS = {
    "target": (0.055, 0.08),
    "lookalike": (0.055, 0.08),
    "mover": (0.055, 0.08),
    "distractor": (0.05, 0.07),
}
"""Smallest and largest radius as a share of the movie's width."""
_SPEED = {"target": (2.5, 5.0), "mover": (3.0, 6.0)}
"""Pixels per frame in a movie 640 pixels wide; movers are a little faster than targets."""
_PAN_SPEED = (2.5, 4.5)
_RELATIVE_SPEED = 3.0
"""Least speed against a panned background, likewise per 640 pixels of width."""


@dataclass(frozen=True)
class Thing:
    """One object: its role, radius in pixels and centre (x, y) in every frame."""

    role: str
    radius: float
    path: Floats


@dataclass(frozen=True)
class Scene:
    """Everything about a video that does not depend on how it is painted.

    Attributes
    ----------
    pan
        The camera's motion, pixels per frame; the background moves by its negative in the image.
    world
        Width and height of the background, which contains every view of the camera.
    origin
        The view's upper left corner on the background in every frame, n x 2.
    """

    video: str
    kind: str
    width: int
    height: int
    pan: tuple[float, float]
    world: tuple[int, int]
    origin: Floats
    things: tuple[Thing, ...]

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.origin)


@dataclass(frozen=True)
class Mixture:
    """The density as a mixture of axis-parallel Gaussians; component 0 is the centre, k + 1 is thing k.

    Attributes
    ----------
    weights
        n x k, each row sums to 1.
    means
        n x k x 2, (x, y) in pixels.
    sigmas
        k x 2, landing errors included.
    """

    weights: Floats
    means: Floats
    sigmas: Floats


def generator(video: str, seed: int, stream: str) -> np.random.Generator:
    """Return the random numbers of one purpose in one video: the same whatever else is generated, and where."""
    return np.random.default_rng([seed, zlib.crc32(video.encode()), zlib.crc32(stream.encode())])


def make_scene(video: str, seed: int, n_frames: int | None = None) -> Scene:
    """Lay out a scene; the video's name gives its kind and size, the name and the seed everything else.

    Raises
    ------
    DataError
        If the name is not one of a demo video.
    """
    name = parse_name(video)
    if name is None:
        raise DataError(
            video,
            f"is no demo video's name, which is demo_<{'|'.join(KINDS)}>_<number>_<width>x<height> with even sides",
            f"Use one of {', '.join(VIDEOS)}",
        )
    rng = generator(video, seed, "scene")
    n = n_frames or int(rng.integers(60, 76))
    size = np.array([name.width, name.height], dtype=float)
    scale = name.width / 640
    pan = _pan(rng, scale) if name.kind == "pan" else np.zeros(2)
    travel = pan * (n - 1)
    margin = 4.0
    origin = margin + np.maximum(-travel, 0) + np.arange(n)[:, None] * pan
    world = np.ceil(size + np.abs(travel) + 2 * margin).astype(int)

    things: list[Thing] = []
    fixed: list[Floats] = []
    for role in ("distractor", "lookalike", "mover", "target"):  # painted in this order
        low, high = _COUNT[name.kind][role]
        count = int(rng.integers(low, high + 1))
        static = role in ("lookalike", "distractor")
        if static:
            count = round(count * float(np.prod(world)) / float(np.prod(size)))
        for _ in range(count):
            radius = float(rng.uniform(*_RADIUS[role])) * name.width
            if static:
                spot = _apart(rng, fixed, world.astype(float), radius)
                fixed.append(spot)
                path = spot - origin
            else:
                path = _bounce(rng, size, radius, n, _velocity(rng, role, pan, scale), scale)
            things.append(Thing(role, radius, path))
    return Scene(
        video, name.kind, name.width, name.height, (pan[0], pan[1]), (int(world[0]), int(world[1])), origin,
        tuple(things),
    )  # fmt: skip


def mixture(scene: Scene) -> Mixture:
    """Return the components of the true gaze density in every frame.

    A thing counts by how much of it lies within the frame; the share of a role is divided among its things, and
    roles without a visible thing leave theirs to the others.
    """
    size = np.array([scene.width, scene.height], dtype=float)
    paths = np.stack([thing.path for thing in scene.things], axis=1)
    radii = np.array([thing.radius for thing in scene.things])
    roles = np.array([thing.role for thing in scene.things])
    inside = np.minimum(paths, size - paths).min(axis=2)
    visible = np.clip((inside + radii) / (2 * radii), 0, 1)
    weights = np.empty((scene.n_frames, 1 + len(radii)))
    weights[:, 0] = SHARE["centre"]
    for role in ROLES:
        mine = roles == role
        weights[:, 1:][:, mine] = (
            SHARE[role] * visible[:, mine] / np.maximum(visible[:, mine].sum(1), 1)[:, None]
        )
    weights /= weights.sum(axis=1, keepdims=True)
    centre = np.broadcast_to(size / 2, (scene.n_frames, 1, 2))
    spread = np.concatenate([(size / 6)[None], np.repeat(SPREAD * radii[:, None], 2, axis=1)])
    return Mixture(weights, np.concatenate([centre, paths], axis=1), np.hypot(spread, NOISE_DEG * PX_PER_DEG))


def density(scene: Scene, grid: tuple[int, int] = GRID) -> npt.NDArray[np.float32]:
    """Return the true gaze density, n x rows x columns over the movie's area; every frame sums to 1."""
    parts = mixture(scene)
    ys = (np.arange(grid[0]) + 0.5) * scene.height / grid[0]
    xs = (np.arange(grid[1]) + 0.5) * scene.width / grid[1]
    bell_x = np.exp(-0.5 * ((xs - parts.means[..., :1]) / parts.sigmas[:, :1]) ** 2)
    bell_y = np.exp(-0.5 * ((ys - parts.means[..., 1:]) / parts.sigmas[:, 1:]) ** 2)
    heights = parts.weights / parts.sigmas.prod(axis=1)
    maps = np.matmul((heights[..., None] * bell_y).transpose(0, 2, 1), bell_x)
    maps /= maps.sum(axis=(1, 2), keepdims=True)
    return np.asarray(maps, dtype=np.float32)


def _pan(rng: np.random.Generator, scale: float) -> Floats:
    """Draw a camera motion within 30 degrees of the horizontal, either way."""
    angle = rng.uniform(-np.pi / 6, np.pi / 6)
    speed = rng.uniform(*_PAN_SPEED) * scale * rng.choice([-1.0, 1.0])
    return np.asarray(np.array([np.cos(angle), np.sin(angle)]) * speed)


def _velocity(rng: np.random.Generator, role: str, pan: Floats, scale: float) -> Floats:
    """Draw a velocity that differs from the background's in the image before and after any bounce."""
    flips = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    while True:
        angle = rng.uniform(0, 2 * np.pi)
        velocity = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(*_SPEED[role]) * scale
        if not pan.any() or np.hypot(*(flips * velocity + pan).T).min() >= _RELATIVE_SPEED * scale:
            return np.asarray(velocity)


def _bounce(
    rng: np.random.Generator, size: Floats, radius: float, n: int, velocity: Floats, scale: float
) -> Floats:
    """Return a path that bounces within the frame, with a slow wobble across its course."""
    room = size - 2 * radius
    steps = np.arange(n)
    across = np.array([-velocity[1], velocity[0]]) / np.hypot(*velocity)
    phase = 2 * np.pi * (steps / rng.uniform(40, 80) + rng.uniform())
    course = rng.uniform(0, room) + steps[:, None] * velocity + 8 * scale * np.sin(phase)[:, None] * across
    return np.asarray(radius + room - np.abs(course % (2 * room) - room))


def _apart(rng: np.random.Generator, taken: list[Floats], world: Floats, radius: float) -> Floats:
    """Draw the candidate farthest from the places taken."""
    candidates = rng.uniform(radius, world - radius, size=(30, 2))
    if not taken:
        return np.asarray(candidates[0])
    gaps = np.hypot(*(candidates[:, None] - np.array(taken)).transpose(2, 0, 1)).min(axis=1)
    return np.asarray(candidates[int(gaps.argmax())])
