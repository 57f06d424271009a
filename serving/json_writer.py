"""Tensors as TensorFlow Serving writes them in JSON: its numbers, its line breaks, bytes in base64.

Numbers have six significant digits where those read back as the same number, else nine (float) or seventeen (double),
and never look like integers. Strings go out as the bytes they are.
"""

from __future__ import annotations

import base64
import functools
import struct
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any

import numpy as np

from serving.errors import invalid
from serving.tensors import BOOL, DOUBLE, DTYPES, FLOAT, STRING, Array, dtype_name, dtype_of, strings_of

_WHOLE = frozenset(dtype for dtype, (_, kind, _) in DTYPES.items() if kind.kind in "iu" and dtype != 17)
_FEW = 16
_PACKED = struct.Struct("f").pack


def predictions(outputs: Mapping[str, Array]) -> bytes:
    """The answer to a request in row format; the name is left out where there is one output.

    Raises:
      ServingError: an output has no batch dimension, or another one than the rest.
    """
    size = 0
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if array.shape[0] < 1:
            raise invalid(f"Tensor name: {name} has invalid batch size: {array.shape[0]}")
        if size not in (0, array.shape[0]):
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {array.shape[0]} expecting: {size}")
        size = array.shape[0]
    columns = {name: _rows(name, array) for name, array in outputs.items()}
    if len(columns) == 1:
        (rows,) = columns.values()
        text = ", ".join(rows)
    else:
        keys = list(map(_key, columns))
        lines = zip(*columns.values())
        text = ",".join("\n        {\n" + ",\n".join(map(str.__add__, keys, line)) + "\n        }" for line in lines)
    return _bytes(f'{{\n    "predictions": [{text}\n    ]\n}}')


def columns(outputs: Mapping[str, Array]) -> bytes:
    """The answer to a request in column format."""
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return _bytes(f'{{\n    "outputs": {_tall(_texts(name, array, 4), array.shape, 4)}\n}}')
    members = ",\n".join(
        f"        {_string(name.encode())}: {_tall(_texts(name, array, 8), array.shape, 8)}"
        for name, array in outputs.items()
    )
    return _bytes(f'{{\n    "outputs": {{\n{members}\n    }}\n}}')


def classifications(result: Any) -> bytes:
    """The answer to `:classify`."""
    rows = [
        "[" + ", ".join(f"[{_string(c.label.encode())}, {_single(c.score)}]" for c in row.classes) + "]"
        for row in result.classifications
    ]
    return _bytes(f'{{\n    "results": [{", ".join(rows)}\n    ]\n}}')


def regressions(result: Any) -> bytes:
    """The answer to `:regress`."""
    return _bytes(f'{{\n    "results": [{", ".join(_single(r.value) for r in result.regressions)}]\n}}')


def error(message: str) -> bytes:
    """The body of a refusal."""
    return _bytes(f'{{\n    "error": {_string(message.encode("utf-8", "surrogateescape"))}\n}}')


def decimal_text(value: float, *, single: bool) -> str:
    """A number as TensorFlow Serving writes it; `single`: it is a float, not a double."""
    return _single(value) if single else _double(value)


def _rows(name: str, array: Array) -> list[str]:
    texts = _texts(name, array, 12)
    if array.ndim == 1:
        return texts
    each = len(texts) // array.shape[0]
    return [_flat(texts[at * each : (at + 1) * each], array.shape[1:]) for at in range(array.shape[0])]


def _flat(texts: Sequence[str], shape: Sequence[int]) -> str:
    """Nested lists on one line."""
    if len(shape) == 1:
        return "[" + ", ".join(texts) + "]"
    each = len(texts) // shape[0] if shape[0] else 0
    return "[" + ", ".join(_flat(texts[i * each : (i + 1) * each], shape[1:]) for i in range(shape[0])) + "]"


def _tall(texts: Sequence[str], shape: Sequence[int], indent: int) -> str:
    """Nested lists with an element a line."""
    if not shape:
        return texts[0]
    if not shape[0]:
        return "[]"
    each = len(texts) // shape[0]
    inner = " " * (indent + 4)
    items = [inner + _tall(texts[i * each : (i + 1) * each], shape[1:], indent + 4) for i in range(shape[0])]
    return "[\n" + ",\n".join(items) + "\n" + " " * indent + "]"


def _texts(name: str, array: Array, indent: int) -> list[str]:
    """Each element's text, in order."""
    dtype = dtype_of(array)
    if dtype in (FLOAT, DOUBLE):
        return _decimals(array.ravel(), dtype == FLOAT)
    if dtype == BOOL:
        return ["true" if value else "false" for value in array.ravel().tolist()]
    if dtype in _WHOLE:
        return list(map(str, array.ravel().tolist()))
    if dtype == STRING:
        write: Callable[[bytes], str] = _string
        if name.endswith("_bytes"):
            inner, outer = " " * (indent + 4), " " * indent
            return [f'{{\n{inner}"b64": "{base64.b64encode(value).decode()}"\n{outer}}}' for value in strings_of(array)]
        return [write(value) for value in strings_of(array)]
    raise invalid(f"Failed to write JSON value for tensor type: {dtype_name(dtype)}")


def _decimals(flat: Array, single: bool) -> list[str]:
    values = flat.tolist()
    if len(values) <= _FEW:
        write = _single if single else _double
        return [write(value) for value in values]
    texts = [f"{value:g}" for value in values]
    with np.errstate(over="ignore"):
        same = np.array(texts, np.float64).astype(flat.dtype) == flat
    precise = ".9g" if single else ".17g"
    return [
        _finished(text if kept else format(value, precise)) for text, kept, value in zip(texts, same.tolist(), values)
    ]


def _single(value: float) -> str:
    text = f"{value:g}"
    # As packed bytes: numpy's way from a text to a float costs more than the rest of the answer.
    return _finished(text if _PACKED(float(text)) == _PACKED(value) else f"{value:.9g}")


def _double(value: float) -> str:
    text = f"{value:g}"
    return _finished(text if float(text) == value else f"{value:.17g}")


def _finished(text: str) -> str:
    if "." in text or "e" in text:
        return text
    if "n" in text:  # nan, inf
        return "NaN" if "a" in text else text.replace("inf", "Infinity")
    return text + ".0"


def _string(value: bytes) -> str:
    return encode_basestring(value.decode("utf-8", "surrogateescape"))


@functools.lru_cache(maxsize=1024)
def _key(name: str) -> str:
    return f"            {encode_basestring(name)}: "


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
