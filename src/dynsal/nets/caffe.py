"""Reading .caffemodel files without Caffe: every layer's arrays, from any of the three generations of the format.

The messages are described in code, with the few fields that hold weights (numbers from BVLC/caffe, caffe.proto); the
rest of a file (what the layers do, solver, data) is skipped by the protobuf library as unknown.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from dynsal.errors import FETCH_AGAIN, DataError

_Field = descriptor_pb2.FieldDescriptorProto
_REPEATED, _OPTIONAL = _Field.LABEL_REPEATED, _Field.LABEL_OPTIONAL
_INT32, _INT64, _FLOAT, _DOUBLE, _STRING = (
    _Field.TYPE_INT32, _Field.TYPE_INT64, _Field.TYPE_FLOAT, _Field.TYPE_DOUBLE, _Field.TYPE_STRING,
)  # fmt: skip

_LEGACY = ("num", "channels", "height", "width")
_MESSAGES: dict[str, list[tuple[str, int, Any, Any]]] = {
    "BlobShape": [("dim", 1, _INT64, _REPEATED)],
    "BlobProto": [
        *((name, number, _INT32, _OPTIONAL) for number, name in enumerate(_LEGACY, 1)),
        ("data", 5, _FLOAT, _REPEATED),
        ("shape", 7, "BlobShape", _OPTIONAL),
        ("double_data", 8, _DOUBLE, _REPEATED),
    ],
    "V0LayerParameter": [("name", 1, _STRING, _OPTIONAL), ("blobs", 50, "BlobProto", _REPEATED)],
    "V1LayerParameter": [
        ("layer", 1, "V0LayerParameter", _OPTIONAL),
        ("name", 4, _STRING, _OPTIONAL),
        ("blobs", 6, "BlobProto", _REPEATED),
    ],
    "LayerParameter": [("name", 1, _STRING, _OPTIONAL), ("blobs", 7, "BlobProto", _REPEATED)],
    "NetParameter": [
        ("layers", 2, "V1LayerParameter", _REPEATED),
        ("layer", 100, "LayerParameter", _REPEATED),
    ],
}
"""Message -> (field, number, type, label)."""


@functools.cache
def net_parameter() -> type[Message]:
    """Return the message class of a .caffemodel file, in a pool of its own beside any real caffe.proto."""
    file = descriptor_pb2.FileDescriptorProto(
        name="dynsal/caffe.proto", package="dynsal.caffe", syntax="proto2"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, label in fields:
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = _Field.TYPE_MESSAGE, f".dynsal.caffe.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("dynsal.caffe.NetParameter"))


def read_caffemodel(path: Path) -> dict[str, list[NDArray[np.float32]]]:
    """Return the arrays of every layer that has any, in the order of the file.

    Parameters
    ----------
    path
        A .caffemodel file: a serialised NetParameter with layers of the present form (``layer``), or of the two older
        ones (``layers``, V1 and V0).

    Returns
    -------
    dict
        Layer name -> float32 arrays, usually weight and bias, in the shape the file gives them; the older forms
        always give four sides (a bias is 1 x 1 x 1 x n). The arrays own their memory.

    Raises
    ------
    DataError
        If the file is missing, cut short, a web page, no protobuf message or one without weights; or if a layer's
        name is missing or taken, or an array's shape does not fit its numbers.

    Notes
    -----
    The peak of memory is about twice the file's size (the message beside the arrays), or three times where the numbers
    are not packed.
    """
    path = Path(path)
    found: dict[str, list[NDArray[np.float32]]] = {}
    for name, blobs in _layers(_parse(path)):
        if not blobs:
            continue
        if not name or name in found:
            said = (
                f"two layers with arrays are called {name!r}" if name else "a layer with arrays has no name"
            )
            raise DataError(path, said, FETCH_AGAIN)
        found[name] = [_array(blob, f"{name}, array {number}", path) for number, blob in enumerate(blobs)]
    if not found:
        raise DataError(
            path, "holds no layer with arrays: it is no .caffemodel, or an empty one", FETCH_AGAIN
        )
    return found


def _layers(net: Any) -> Iterator[tuple[str, Sequence[Any]]]:
    for old in net.layers:
        layer = old.layer if old.HasField("layer") else old
        yield layer.name, layer.blobs
    for layer in net.layer:
        yield layer.name, layer.blobs


def _parse(path: Path) -> Any:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})", "Check the path") from None
    if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml)", data[:256], re.IGNORECASE):
        raise DataError(
            path, "is a web page, not a .caffemodel (a download that got an error page?)", FETCH_AGAIN
        )
    try:
        return net_parameter().FromString(data)
    except DecodeError:
        raise DataError(
            path, f"is no .caffemodel, or is cut short ({len(data)} bytes)", FETCH_AGAIN
        ) from None


def _array(blob: Any, where: str, path: Path) -> NDArray[np.float32]:
    numbers = np.array(blob.data or blob.double_data, np.float32)
    if any(blob.HasField(side) for side in _LEGACY):
        shape = tuple(getattr(blob, side) for side in _LEGACY)
    else:
        shape = tuple(blob.shape.dim)
    if any(side < 0 for side in shape) or math.prod(shape) != numbers.size:
        sides = "x".join(map(str, shape)) or "none"
        raise DataError(path, f"{where}: {numbers.size} numbers do not fit its shape {sides}", FETCH_AGAIN)
    return numbers.reshape(shape)
