"""A SavedModel loaded by TensorFlow's C API: what TensorFlow Serving does, without TensorFlow's Python.

Importing TensorFlow costs three seconds of CPU, its library alone a third of one; and the model goes through the C++
loader that servers use (`LoadSavedModel`), not through the Python one that knows the model's history. The functions
are those of tensorflow/c/c_api.h and tf_tstring, which TensorFlow keeps compatible.
"""

from __future__ import annotations

import ctypes
import importlib.util
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Answer = Mapping[str, npt.NDArray[Any]]
Signature = Callable[[Mapping[str, Any]], Answer]

_LIBRARIES = ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2")
_STRING = 7
_DTYPES = {1: np.float32, 2: np.float64, 3: np.int32, 4: np.uint8, 5: np.int16, 6: np.int8, 9: np.int64, 10: np.bool_}
_TSTRING_BYTES = 24
_ONE_THREAD = b"\x10\x01\x28\x01"  # ConfigProto: intra_op_parallelism_threads (2) and inter_op_... (5) are 1

_POINTER, _INT, _SIZE, _TEXT = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "TF_NewStatus": (_POINTER, []),
    "TF_GetCode": (_INT, [_POINTER]),
    "TF_Message": (_TEXT, [_POINTER]),
    "TF_NewGraph": (_POINTER, []),
    "TF_NewBuffer": (_POINTER, []),
    "TF_NewSessionOptions": (_POINTER, []),
    "TF_SetConfig": (None, [_POINTER, _TEXT, _SIZE, _POINTER]),
    "TF_LoadSessionFromSavedModel": (_POINTER, [_POINTER, _POINTER, _TEXT, _POINTER, _INT, *[_POINTER] * 3]),
    "TF_GraphOperationByName": (_POINTER, [_POINTER, _TEXT]),
    "TF_AllocateTensor": (_POINTER, [_INT, _POINTER, _INT, _SIZE]),
    "TF_DeleteTensor": (None, [_POINTER]),
    "TF_TensorData": (_POINTER, [_POINTER]),
    "TF_TensorType": (_INT, [_POINTER]),
    "TF_NumDims": (_INT, [_POINTER]),
    "TF_Dim": (ctypes.c_int64, [_POINTER, _INT]),
    "TF_TensorByteSize": (_SIZE, [_POINTER]),
    "TF_SessionRun": (
        None,
        [_POINTER, _POINTER, _POINTER, _POINTER, _INT, _POINTER, _POINTER, _INT, _POINTER, _INT, _POINTER, _POINTER],
    ),
    "TF_StringInit": (None, [_POINTER]),
    "TF_StringCopy": (None, [_POINTER, _TEXT, _SIZE]),
    "TF_StringGetDataPointer": (_POINTER, [_POINTER]),
    "TF_StringGetSize": (_SIZE, [_POINTER]),
}


class Unavailable(Exception):
    """This TensorFlow has no C API where it is looked for."""


class _Output(ctypes.Structure):
    _fields_ = (("operation", _POINTER), ("index", _INT))


class _Buffer(ctypes.Structure):
    _fields_ = (("data", _POINTER), ("length", _SIZE), ("deallocator", _POINTER))


def load(model: pathlib.Path) -> dict[str, Signature]:
    """Signatures of a SavedModel by name, on one thread; each takes and gives arrays by name.

    For a process that loads one model and ends: the session is not closed, and strings given, which an answer may
    share, are not freed.

    Raises:
      Unavailable: no C API here.
      RuntimeError: TensorFlow can't load the model; a signature raises it when the model fails.
    """
    api = _Api()
    graph, buffer, options = api.TF_NewGraph(), api.TF_NewBuffer(), api.TF_NewSessionOptions()
    api.TF_SetConfig(options, _ONE_THREAD, len(_ONE_THREAD), api.status)
    tags = (_TEXT * 1)(b"serve")
    session = api.TF_LoadSessionFromSavedModel(options, None, str(model).encode(), tags, 1, graph, buffer, api.status)
    api.check()
    held = ctypes.cast(buffer, ctypes.POINTER(_Buffer)).contents
    meta_graph = ctypes.string_at(held.data, held.length)
    return {
        name: _signature(api, session, graph, definition)
        for name, definition in _entries(meta_graph, _SIGNATURE_DEF).items()
        if not name.startswith("__")
    }


class _Api:
    """The C functions, declared, and one status for all calls."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("tensorflow")
        if spec is None or not spec.submodule_search_locations:
            raise Unavailable("TensorFlow is not installed")
        folder = pathlib.Path(spec.submodule_search_locations[0])
        try:
            libraries = [ctypes.CDLL(str(folder / name), mode=ctypes.RTLD_GLOBAL) for name in _LIBRARIES]
            for name, (result, arguments) in _FUNCTIONS.items():
                function = getattr(libraries[-1], name)
                function.restype, function.argtypes = result, arguments
                setattr(self, name, function)
        except (OSError, AttributeError) as error:
            raise Unavailable(str(error)) from error
        self.status = self.TF_NewStatus()

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def check(self) -> None:
        """Raise what the last call left in the status."""
        if self.TF_GetCode(self.status):
            raise RuntimeError(self.TF_Message(self.status).decode(errors="replace"))


def _signature(api: _Api, session: Any, graph: Any, definition: bytes) -> Signature:
    inputs, outputs = (_tensors(api, graph, _entries(definition, field)) for field in (_INPUTS, _OUTPUTS))
    fed = (_Output * len(inputs))(*(output for output, _ in inputs.values()))
    fetched = (_Output * len(outputs))(*(output for output, _ in outputs.values()))

    def ask(request: Mapping[str, Any]) -> Answer:
        given = [_to_tensor(api, request[name], dtype) for name, (_, dtype) in inputs.items()]
        got = (_POINTER * len(outputs))()
        values = (_POINTER * len(given))(*given)
        api.TF_SessionRun(session, None, fed, values, len(given), fetched, got, len(outputs), None, 0, None, api.status)
        for tensor in given:
            api.TF_DeleteTensor(tensor)
        api.check()
        return {name: _to_array(api, tensor) for name, tensor in zip(outputs, got, strict=True)}

    return ask


def _tensors(api: _Api, graph: Any, infos: Mapping[str, bytes]) -> dict[str, tuple[_Output, int]]:
    found = {}
    for key, info in infos.items():
        fields = dict(_fields(info))
        name, _, index = fields.get(_TENSOR_NAME, b"").decode().partition(":")
        operation = api.TF_GraphOperationByName(graph, name.encode())
        if not operation:
            raise RuntimeError(f"'{key}' of a signature is no dense tensor of the graph")
        found[key] = (_Output(operation, int(index or 0)), int(fields[_TENSOR_DTYPE]))
    return found


def _to_tensor(api: _Api, values: Any, dtype: int) -> Any:
    array = np.ascontiguousarray(values, dtype=object if dtype == _STRING else _DTYPES[dtype])
    shape = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
    size = array.size * _TSTRING_BYTES if dtype == _STRING else array.nbytes
    tensor = api.TF_AllocateTensor(dtype, shape, array.ndim, size)
    data = api.TF_TensorData(tensor)
    if dtype != _STRING:
        ctypes.memmove(data, array.ctypes.data, size)
        return tensor
    for position, value in enumerate(array.ravel()):
        content = value.encode() if isinstance(value, str) else bytes(value)
        api.TF_StringInit(data + position * _TSTRING_BYTES)
        api.TF_StringCopy(data + position * _TSTRING_BYTES, content, len(content))
    return tensor


def _to_array(api: _Api, tensor: Any) -> npt.NDArray[Any]:
    shape = tuple(api.TF_Dim(tensor, i) for i in range(api.TF_NumDims(tensor)))
    data, dtype = api.TF_TensorData(tensor), api.TF_TensorType(tensor)
    if dtype == _STRING:
        places = [data + i * _TSTRING_BYTES for i in range(int(np.prod(shape, dtype=np.int64)))]
        texts = [ctypes.string_at(api.TF_StringGetDataPointer(p), api.TF_StringGetSize(p)) for p in places]
        array: npt.NDArray[Any] = np.array([*texts, None], dtype=object)[:-1].reshape(shape)
    else:
        content = ctypes.string_at(data, api.TF_TensorByteSize(tensor)) if data else b""
        array = np.frombuffer(content, _DTYPES[dtype]).reshape(shape)
    api.TF_DeleteTensor(tensor)
    return array


# Field numbers of MetaGraphDef.signature_def, SignatureDef.inputs and .outputs, TensorInfo.name and .dtype: reading
# these four needs no generated code, which lies behind the import of TensorFlow.
_SIGNATURE_DEF, _INPUTS, _OUTPUTS, _TENSOR_NAME, _TENSOR_DTYPE = 5, 1, 2, 1, 2


def _entries(message: bytes, field: int) -> dict[str, bytes]:
    """A protobuf map of messages, by key."""
    pairs = [dict(_fields(value)) for number, value in _fields(message) if number == field]
    return {pair[1].decode(): pair.get(2, b"") for pair in pairs}


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Fields of a serialized protobuf message: (number, int or bytes)."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if kind == 2:
            length, position = _varint(message, position)
        else:
            length = {1: 8, 5: 4}[kind]
        yield key >> 3, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position
