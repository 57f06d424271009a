"""TensorProto and numpy: the same layout as TensorFlow's Tensor::FromProto and AsProtoField.

Written out because `tf.make_ndarray` and `tf.make_tensor_proto` cost more than a small model does, and because
they forgive what a server must refuse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from serving.errors import invalid

Array = npt.NDArray[Any]

FLOAT, DOUBLE, INT32, UINT8, INT16, INT8, STRING = 1, 2, 3, 4, 5, 6, 7
COMPLEX64, INT64, BOOL, BFLOAT16, UINT16, COMPLEX128, HALF, UINT32, UINT64 = 8, 9, 10, 14, 17, 18, 19, 22, 23

# dtype -> (its name in messages, numpy's type, the field of TensorProto that holds its values)
DTYPES: dict[int, tuple[str, Any, str]] = {
    FLOAT: ("float", np.dtype(np.float32), "float_val"),
    DOUBLE: ("double", np.dtype(np.float64), "double_val"),
    INT32: ("int32", np.dtype(np.int32), "int_val"),
    UINT8: ("uint8", np.dtype(np.uint8), "int_val"),
    INT16: ("int16", np.dtype(np.int16), "int_val"),
    INT8: ("int8", np.dtype(np.int8), "int_val"),
    STRING: ("string", np.dtype(object), "string_val"),
    COMPLEX64: ("complex64", np.dtype(np.complex64), "scomplex_val"),
    INT64: ("int64", np.dtype(np.int64), "int64_val"),
    BOOL: ("bool", np.dtype(np.bool_), "bool_val"),
    BFLOAT16: ("bfloat16", np.dtype(ml_dtypes.bfloat16), "half_val"),
    UINT16: ("uint16", np.dtype(np.uint16), "int_val"),
    COMPLEX128: ("complex128", np.dtype(np.complex128), "dcomplex_val"),
    HALF: ("half", np.dtype(np.float16), "half_val"),
    UINT32: ("uint32", np.dtype(np.uint32), "uint32_val"),
    UINT64: ("uint64", np.dtype(np.uint64), "uint64_val"),
}
_OF_NUMPY = {numpy_type: dtype for dtype, (_, numpy_type, _) in DTYPES.items()}
_OTHER_NAMES = {20: "resource", 21: "variant", 11: "qint8", 12: "quint8", 13: "qint32"}
_INT_FIELDS = frozenset({UINT8, INT16, INT8, UINT16})
_PLAIN = frozenset({FLOAT, DOUBLE, INT32, INT64, BOOL, UINT32, UINT64})
_PAIRS = {COMPLEX64: np.float32, COMPLEX128: np.float64}
# A proto of a few bytes may claim any shape (missing values repeat the last): what it may grow to.
_MOST_BYTES, _MOST_SIZE = 1 << 31, 1 << 56


def dtype_name(dtype: int) -> str:
    """As TensorFlow's DataTypeString: `float`, `int64`, ..."""
    entry = DTYPES.get(dtype)
    return entry[0] if entry else _OTHER_NAMES.get(dtype, f"unknown dtype enum ({dtype})")


def dtype_of(array: Array) -> int:
    """TensorFlow's enum of a numpy array; object arrays hold strings. 0 where TensorFlow has none."""
    return _OF_NUMPY.get(array.dtype, STRING if array.dtype.kind in "OSU" else 0)


def from_proto(proto: Any, name: str) -> Array:
    """The tensor in a TensorProto. Strings are bytes in an object array; the result may share nothing with `proto`.

    Values missing at the end repeat the last one, as in TensorFlow; none at all are zeros or empty strings.

    Raises:
      ServingError: "tensor parsing error: <name>", TensorFlow Serving's sentence, for what is no tensor.
    """
    dtype, dims = proto.dtype, proto.tensor_shape.dim
    entry = DTYPES.get(dtype)
    shape = (dims[0].size,) if len(dims) == 1 else tuple(dimension.size for dimension in dims)
    if entry is None or (not dims and proto.tensor_shape.unknown_rank):
        raise invalid(f"tensor parsing error: {name}")
    count = math.prod(shape)
    numpy_type = entry[1]
    if count * numpy_type.itemsize > _MOST_BYTES or len(shape) > 32 or (shape and min(shape) < 0):
        raise invalid(f"tensor parsing error: {name}")
    if not count and math.prod(size or 1 for size in shape) >= _MOST_SIZE:  # empty, and yet beyond numpy
        raise invalid(f"tensor parsing error: {name}")
    content = proto.tensor_content
    if not content:
        values = getattr(proto, entry[2])[:]
        if len(values) == count and dtype in _PLAIN:
            flat = np.array(values, numpy_type)
        else:
            flat = _from_field(dtype, values, numpy_type, count, name)
    elif dtype == STRING:
        flat = _strings(_packed_strings(content, count, name), count)
    elif len(content) != count * numpy_type.itemsize:
        raise invalid(f"tensor parsing error: {name}")
    else:
        flat = np.frombuffer(content, numpy_type)
    return flat if len(shape) == 1 else flat.reshape(shape)


def _from_field(dtype: int, values: list[Any], numpy_type: Any, count: int, name: str) -> Array:
    if dtype == STRING:
        return _strings(values, count)
    if dtype in (HALF, BFLOAT16):
        flat = np.array(values, np.int32).astype(np.uint16).view(numpy_type)
    elif dtype in _PAIRS:
        if len(values) % 2:
            raise invalid(f"tensor parsing error: {name}")
        flat = np.array(values, _PAIRS[dtype]).view(numpy_type)
    elif dtype in _INT_FIELDS:
        flat = np.array(values, np.int32).astype(numpy_type)  # wraps, as TensorFlow's cast does
    else:
        flat = np.array(values, numpy_type)
    if len(flat) == count:
        return flat
    if len(flat) == 0:
        return np.zeros(count, numpy_type)
    return np.concatenate([flat, np.full(max(count - len(flat), 0), flat[-1], numpy_type)])[:count]


def _strings(values: list[bytes], count: int) -> Array:
    if len(values) < count:
        values += [values[-1] if values else b""] * (count - len(values))
    array = np.empty(count, object)
    array[:] = values[:count]
    return array


def _packed_strings(content: bytes, count: int, name: str) -> list[bytes]:
    """TensorFlow's packed form: varint lengths, then the bytes of all."""
    lengths, position = [], 0
    for _ in range(count):
        value = shift = 0
        while True:
            if position >= len(content) or shift > 63:
                raise invalid(f"tensor parsing error: {name}")
            byte = content[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        lengths.append(value)
    if position + sum(lengths) != len(content):
        raise invalid(f"tensor parsing error: {name}")
    found = []
    for length in lengths:
        found.append(content[position : position + length])
        position += length
    return found


def to_proto(array: Array, proto: Any, *, as_content: bool = False) -> None:
    """Fill an empty TensorProto with typed fields, as TensorFlow Serving answers (Tensor::AsProtoField).

    `as_content`: numbers as their bytes (Tensor::AsProtoTensorContent); strings stay typed, which `tf.make_ndarray`
    can read.
    """
    dtype = dtype_of(array)
    proto.dtype = dtype
    shape = proto.tensor_shape
    shape.SetInParent()
    for size in array.shape:
        shape.dim.add().size = size
    if dtype == STRING:
        proto.string_val.extend(strings_of(array))
        return
    if as_content:
        proto.tensor_content = array.tobytes()
        return
    flat = array.ravel()
    if dtype in (HALF, BFLOAT16):
        flat = flat.view(np.uint16)
    elif array.dtype.kind == "c":
        flat = flat.view(flat.real.dtype)
    getattr(proto, DTYPES[dtype][2]).extend(flat.tolist())


def strings_of(array: Array) -> list[bytes]:
    """Elements of a string tensor, in order, as bytes."""
    return [value if isinstance(value, bytes) else str(value).encode() for value in array.ravel().tolist()]


def shape_text(shape: Sequence[int]) -> str:
    """As TensorShape::DebugString: `[2,3]`."""
    return "[" + ",".join(map(str, shape)) + "]"
