"""A second writer of .caffemodel files, straight in protobuf's wire format, for the tests of the reader.

Field numbers from BVLC/caffe, caffe.proto. It shares nothing with ``dynsal.nets.caffe``, not even the library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

GENERATIONS = ("V2", "V1", "V0")


def varint(number: int) -> bytes:
    """Encode seven bits a byte, the lowest first, all but the last with the high bit set."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def counted(field: int, payload: bytes) -> bytes:
    """Return a field of wire type 2: text, message or packed numbers."""
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def number(field: int, value: int) -> bytes:
    """Return a field of wire type 0."""
    return varint(field << 3) + varint(value)


def blob(array: NDArray[Any], legacy: bool = False, packed: bool = True, double: bool = False) -> bytes:
    """Return a BlobProto: four sides (legacy) or a shape; packed numbers or one field each; float or double."""
    field, kind, wire = (8, "<f8", 1) if double else (5, "<f4", 5)
    data = array.astype(kind)
    if packed:
        numbers = counted(field, data.tobytes())
    else:
        numbers = b"".join(varint(field << 3 | wire) + value.tobytes() for value in data.ravel())
    if legacy:
        sides = [1] * (4 - array.ndim) + list(array.shape)
        return b"".join(number(i, side) for i, side in enumerate(sides, 1)) + numbers
    dims = [varint(side) for side in array.shape]
    shape = counted(1, b"".join(dims)) if packed else b"".join(varint(1 << 3) + dim for dim in dims)
    return numbers + counted(7, shape)


def layer(generation: str, name: str, blobs: Iterable[bytes] = ()) -> bytes:
    """Return one layer as a field of NetParameter, with some fields that a reader of weights has to skip."""
    title = name.encode()
    if generation == "V2":
        body = counted(1, title) + counted(2, b"Convolution") + counted(3, b"data") + number(10, 0)
        return counted(100, body + b"".join(counted(7, each) for each in blobs))
    if generation == "V1":
        body = counted(2, b"data") + counted(4, title) + number(5, 4)
        return counted(2, body + b"".join(counted(6, each) for each in blobs))
    inner = counted(1, title) + counted(2, b"conv") + b"".join(counted(50, each) for each in blobs)
    return counted(2, counted(1, inner) + counted(2, b"data") + counted(3, title))


def net(
    arrays: Mapping[str, Iterable[NDArray[Any]]], generation: str = "V2", name: str = "net", **form: bool
) -> bytes:
    """Return a whole file: a layer without arrays first, as every net has."""
    form = {"legacy": generation != "V2", **form}
    layers = [layer(generation, key, (blob(array, **form) for array in each)) for key, each in arrays.items()]
    return counted(1, name.encode()) + layer(generation, "data") + b"".join(layers)


SALNET = {
    "conv1": (96, 3, 7), "conv2": (256, 96, 5), "conv3": (512, 256, 3), "conv4": (512, 512, 5), "conv5": (512, 512, 5),
    "conv6": (256, 512, 7), "conv7": (128, 256, 11), "conv8": (32, 128, 11), "conv9": (1, 32, 13),
}  # fmt: skip
"""Layer -> outputs, inputs, side of the kernel (Pan et al. 2016)."""


def salnet(seed: int = 0, layers: Iterable[str] = SALNET) -> dict[str, list[NDArray[np.float32]]]:
    """Return arrays of SalNet's shapes whose activations keep their scale, biases included."""
    rng = np.random.default_rng(seed)
    made = {}
    for name in layers:
        outputs, inputs, side = SALNET[name]
        std = np.float32(np.sqrt(2 / (inputs * side * side)))
        weight = rng.standard_normal((outputs, inputs, side, side), np.float32) * std
        made[name] = [weight, rng.uniform(-0.1, 0.1, outputs).astype(np.float32)]
    if set(made) == set(SALNET):
        made["deconv1"] = [rng.uniform(0, 0.1, (1, 1, 8, 8)).astype(np.float32)]
    return made
