"""Painting a demo scene: 1/f textures in luminance and colour, and the looks of the things on them.

Looks are told apart by hue, so that a small net on small frames can learn them, while their luminance is the
background's: targets and look-alikes are reddish with rings, movers bluish with stripes, distractors black and
white.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt
import scipy.fft

from dynsal.datasets.demo_scene import Scene, Thing, generator

Image = npt.NDArray[np.uint8]
_Pixels = npt.NDArray[np.float32]

_LUMA, _CONTRAST, _COLOUR = 125.0, 24.0, 7.0
_CHROMA = {
    "target": (-20.0, 34.0),
    "lookalike": (-20.0, 34.0),
    "mover": (34.0, -24.0),
    "distractor": (0.0, 0.0),
}
"""Mean (Cb, Cr) of each look; the background's mean is (-2, -6), a muted green."""


def paint(scene: Scene, seed: int) -> Iterator[Image]:
    """Yield the frames, height x width x 3 BGR."""
    rng = generator(scene.video, seed, "paint")
    world = _colours(
        np.dstack([_texture(rng, scene.world[::-1]) for _ in range(3)])
        * np.array([_CONTRAST, _COLOUR, _COLOUR], np.float32)
        + np.array([_LUMA, -2, -6], np.float32)
    )
    moving = []
    for thing in scene.things:
        sprite = _sprite(rng, thing)
        if thing.role in ("lookalike", "distractor"):
            _stamp(world, sprite, thing.path[0] + scene.origin[0])
        else:
            moving.append((sprite, thing.path))
    background = _to_bytes(world)
    for i, (x, y) in enumerate(scene.origin):
        shift = np.array([[1, 0, x], [0, 1, y]])
        view = (scene.width, scene.height)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        frame = np.asarray(cv2.warpAffine(background, shift, view, flags=flags), dtype=np.uint8)
        for sprite, path in moving:
            _stamp(frame, sprite, path[i])
        yield frame


def _texture(rng: np.random.Generator, shape: tuple[int, ...]) -> _Pixels:
    """Return noise with amplitude 1/f, mean 0 and standard deviation 1."""
    rows, columns = (scipy.fft.next_fast_len(side, real=True) for side in shape)
    fy, fx = np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None]
    frequency = np.maximum(
        np.hypot(fy, fx), 1.0 / 160
    )  # nothing larger than a quarter of the frame dominates
    spectrum = scipy.fft.rfft2(rng.standard_normal((rows, columns), dtype=np.float32))
    noise = scipy.fft.irfft2(spectrum / frequency.astype(np.float32), s=(rows, columns))[
        : shape[0], : shape[1]
    ]
    return np.asarray((noise - noise.mean()) / noise.std(), dtype=np.float32)


def _sprite(rng: np.random.Generator, thing: Thing) -> _Pixels:
    """Return B, G, R premultiplied by alpha, and alpha: side x side x 4."""
    half = int(np.ceil(thing.radius)) + 3
    offsets = np.arange(-half, half + 1) / thing.radius
    x, y = np.meshgrid(offsets, offsets)
    power, aspect, angle = rng.choice([2.0, 4.0]), rng.uniform(0.8, 1.0), rng.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    if power > 2:  # keep the corners of squarish shapes within the radius
        along, across = along * 1.15, across * 1.15
    distance = (np.abs(along) ** power + np.abs(across / aspect) ** power) ** (1 / power)
    alpha = np.clip((1 - distance) * thing.radius / 2 + 0.5, 0, 1)

    noise = _texture(rng, x.shape)
    cb, cr = _CHROMA[thing.role]
    if thing.role == "distractor":
        checks = np.sign(np.sin(along * 2.2 * np.pi) * np.sin(across * 2.2 * np.pi))
        luma, gain = _LUMA + 105 * checks, np.ones_like(x)
    else:
        rings = thing.role in ("target", "lookalike")
        pattern = np.cos(2.5 * np.pi * distance) if rings else np.cos(2.5 * np.pi * along)
        luma, gain = _LUMA + 0.6 * _CONTRAST * noise + 14 * pattern, 1 + 0.25 * pattern
    colours = _colours(np.dstack([luma, cb * gain, cr * gain]))
    return np.dstack([colours * alpha[..., None], alpha]).astype(np.float32)


def _stamp(image: Image | _Pixels, sprite: _Pixels, centre: npt.NDArray[np.float64]) -> None:
    """Blend a sprite into an image, centred with sub-pixel accuracy, clipped at the borders."""
    half = sprite.shape[0] // 2
    corner = centre - 0.5 - half  # pixel centres are at integers here
    whole = np.floor(corner).astype(int)
    part = corner - whole
    size = sprite.shape[0] + 1
    shifted = cv2.warpAffine(sprite, np.array([[1, 0, part[0]], [0, 1, part[1]]]), (size, size))
    low = np.maximum(whole, 0)
    high = np.minimum(whole + size, image.shape[1::-1])
    if (high <= low).any():
        return
    patch = shifted[low[1] - whole[1] : high[1] - whole[1], low[0] - whole[0] : high[0] - whole[0]]
    view = image[low[1] : high[1], low[0] : high[0]]
    mixed = view * (1 - patch[..., 3:]) + patch[..., :3]
    view[...] = _to_bytes(mixed) if image.dtype == np.uint8 else mixed


def _colours(planes: npt.NDArray[np.floating]) -> _Pixels:
    """Turn Y, Cb, Cr (chroma about 0) into B, G, R without clipping."""
    luma, cb, cr = planes[..., 0], planes[..., 1], planes[..., 2]
    return np.dstack([luma + 1.772 * cb, luma - 0.344 * cb - 0.714 * cr, luma + 1.402 * cr]).astype(
        np.float32
    )


def _to_bytes(pixels: npt.NDArray[np.floating]) -> Image:
    return np.asarray(np.clip(np.rint(pixels), 0, 255), dtype=np.uint8)
