"""Predict's request off the wire with its tensors left as bytes, and the short way from those bytes to an array.

Most requests are one row: a tensor an input, one value each. Building a TensorProto of each and asking it for its
parts costs several times what the value does; here its bytes are compared with how protobuf writes such a tensor
(fields in the order of their numbers: dtype, tensor_shape, then the typed field). Whatever is written otherwise takes
the long way, through TensorProto, to the same array.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2
from google.protobuf.message import DecodeError
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import model_pb2

from serving.errors import Code, ServingError
from serving.protos import classes
from serving.tensors import DOUBLE, DTYPES, FLOAT, INT32, INT64, STRING, Array, from_proto

_Field = descriptor_pb2.FieldDescriptorProto


def _request_class() -> Any:
    """predict.proto's PredictRequest: on the wire a map is a repeated entry, and a message is bytes."""
    file = descriptor_pb2.FileDescriptorProto(
        name="spanwise/serving/predict.proto",
        package="spanwise.serving",
        syntax="proto3",
        dependency=[model_pb2.DESCRIPTOR.name],
    )
    entry = file.message_type.add(name="Input")
    one, many = {"label": _Field.LABEL_OPTIONAL}, {"label": _Field.LABEL_REPEATED}
    entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, **one)
    entry.field.add(name="value", number=2, type=_Field.TYPE_BYTES, **one)
    request = file.message_type.add(name="PredictRequest")
    spec, of_entry = ".tensorflow.serving.ModelSpec", ".spanwise.serving.Input"
    request.field.add(name="model_spec", number=1, type=_Field.TYPE_MESSAGE, type_name=spec, **one)
    request.field.add(name="inputs", number=2, type=_Field.TYPE_MESSAGE, type_name=of_entry, **many)
    request.field.add(name="output_filter", number=3, type=_Field.TYPE_STRING, **many)
    return classes(file)["PredictRequest"]


PredictRequest: Any = _request_class()


def _forms() -> Mapping[bytes, int]:
    """How one value of shape [1] begins, up to and with the tag of the field that holds it -> its dtype."""
    found = {}
    for dtype in (FLOAT, DOUBLE, INT32, INT64, STRING):
        proto = tensor_pb2.TensorProto(dtype=dtype)
        proto.tensor_shape.dim.add().size = 1
        head = len(proto.SerializeToString())
        getattr(proto, DTYPES[dtype][2]).append(b"" if dtype == STRING else 0)
        found[proto.SerializeToString()[: head + 1]] = dtype
    return found


_FORMS = _forms()
_HEAD = len(next(iter(_FORMS)))  # 8 bytes of dtype and shape, the tag; then the length, and the value


def inputs_of(request: Any) -> dict[str, Array]:
    """The tensors of a `PredictRequest` of this module, by name; of a name twice, the last, as in a map.

    Raises:
      ServingError: as `from_proto`; INTERNAL, with gRPC's own sentence, for bytes that are no TensorProto.
    """
    return {entry.key: _tensor(entry.value, entry.key) for entry in request.inputs}


def _tensor(data: bytes, name: str) -> Array:
    dtype = _FORMS.get(data[:_HEAD])
    if dtype is not None:
        array = _one_value(data, dtype)
        if array is not None:
            return array
    proto = tensor_pb2.TensorProto()
    try:
        proto.ParseFromString(data)
    except DecodeError as error:
        raise ServingError(Code.INTERNAL, "Exception deserializing request!") from error
    return from_proto(proto, name)


def _one_value(data: bytes, dtype: int) -> Array | None:
    """None where more than one value follows, or none."""
    start = _HEAD + 1
    if len(data) <= start or data[_HEAD] != len(data) - start or data[_HEAD] > 127:
        return None
    if dtype == STRING:
        array = np.empty(1, object)
        array[0] = data[start:]
        return array
    numpy_type = DTYPES[dtype][1]
    if dtype in (FLOAT, DOUBLE):
        return np.frombuffer(data, numpy_type, 1, start) if len(data) - start == numpy_type.itemsize else None
    if len(data) - start == 1 and data[start] < 128:
        return np.array((data[start],), numpy_type)
    return _varint(data[start:], dtype)


def _varint(data: bytes, dtype: int) -> Array | None:
    value = 0
    for at, byte in enumerate(data[:-1]):
        if byte < 128 or at > 8:
            return None
        value |= (byte & 127) << 7 * at
    last = len(data) - 1
    if data[-1] > 127 or last > 9:
        return None
    value = (value | data[-1] << 7 * last) & (1 << 64) - 1
    signed = value - (1 << 64) if value >> 63 else value
    if dtype == INT32 and not -(1 << 31) <= signed < 1 << 31:
        return None
    return np.array((signed,), DTYPES[dtype][1])
