"""What a key of the project file may hold, in words, from the models themselves."""

from __future__ import annotations

import datetime
import types
import typing
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import pydantic
from pydantic.fields import FieldInfo

from pipeline.project.positions import KeyPath

UNBOUNDED = 2**31 - 1
"""An upper limit that is there for TensorFlow's sake alone, and not told."""

_PLAIN = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    datetime.date: "a date such as 2013-07-01",
}


def fields_of(model: type[pydantic.BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields under the names that the file uses."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def models_in(annotation: Any) -> list[type[pydantic.BaseModel]]:
    """Models that a value of this type may be, or hold as elements."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in models_in(part)]


def type_at(model: type[pydantic.BaseModel], path: KeyPath) -> Any:
    """Type annotation of the value at `path`; None where the models have no such key."""
    annotation: Any = model
    for part in path:
        annotation = _step(annotation, part)
        if annotation is None:
            return None
    return annotation


def keys_at(model: type[pydantic.BaseModel], path: KeyPath) -> list[str]:
    """Keys that the table at `path` may have."""
    options = [option for option in _options(type_at(model, path)) if isinstance(option, type)]
    return [key for found in options if issubclass(found, pydantic.BaseModel) for key in fields_of(found)]


def in_words(annotation: Any) -> str:
    """What is allowed: `a whole number, at least 1`."""
    metadata: list[Any] = []
    while typing.get_origin(annotation) is Annotated:
        annotation, *more = typing.get_args(annotation)
        metadata = [*more, *metadata]
    constraints = [c for item in metadata for c in (item.metadata if isinstance(item, FieldInfo) else [item])]
    described = next((item.description for item in metadata if isinstance(item, FieldInfo) and item.description), "")
    if described:
        return described
    base, *each = _base(annotation).split("; ", 1)
    return "; ".join([f"{base}{_limits(constraints, typing.get_origin(annotation) is tuple)}", *each])


def _step(annotation: Any, part: str | int) -> Any:
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, pydantic.BaseModel):
            field = fields_of(option).get(str(part))
            if field is not None:
                return Annotated[(field.annotation, field)]
        elif typing.get_origin(option) is dict and isinstance(part, str):
            return typing.get_args(option)[1]
        elif typing.get_origin(option) is tuple and isinstance(part, int):
            return typing.get_args(option)[0]
    return None


def _bare(annotation: Any) -> Any:
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation


def _options(annotation: Any) -> list[Any]:
    bare = _bare(annotation)
    if typing.get_origin(bare) in (typing.Union, types.UnionType):
        return [option for part in typing.get_args(bare) for option in _options(part)]
    return [bare]


def _base(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return _either(repr(value) for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return _either(in_words(option) for option in arguments if option is not type(None))
    if origin is tuple:
        return f"a list; each: {in_words(arguments[0])}"
    if origin is dict:
        key, value = (in_words(argument) for argument in arguments)
        return f"a table; each key: {key}; each value: {value}"
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        fields = fields_of(annotation)
        needed = [name for name, field in fields.items() if field.is_required()]
        optional = [name for name in fields if name not in needed]
        parts = [*needed, *([f"optionally {', '.join(optional)}"] if optional else [])]
        return f"a table with {', '.join(parts)}"
    return _PLAIN.get(annotation, str(annotation))


def _limits(constraints: Iterable[Any], is_list: bool) -> str:
    """`, at least 1`, ` from 1 to 5`, `, not empty`: what follows the type."""
    found: dict[str, Any] = {}
    for constraint in constraints:
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length"):
            if (value := getattr(constraint, name, None)) is not None:
                found[name] = f"{value:,}" if isinstance(value, int) else f"{value:g}"
    if found.get("le") == f"{UNBOUNDED:,}":
        del found["le"]
    if "ge" in found and "le" in found:
        return f" from {found['ge']} to {found['le']}"
    words = {
        "ge": "at least {}",
        "gt": "more than {}",
        "le": "at most {}",
        "lt": "less than {}",
        "min_length": "at least {} of them" if is_list else "not empty",
        "max_length": "at most {} of them" if is_list else "at most {} characters",
    }
    return "".join(f", {words[name].format(value)}" for name, value in found.items())


def _either(options: Iterable[str]) -> str:
    every = list(options)
    return every[0] if len(every) == 1 else f"{', '.join(every[:-1])} or {every[-1]}"
