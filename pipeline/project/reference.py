"""The tables of docs/project-file.md, from the models: `python -m pipeline.project.reference` renews them."""

from __future__ import annotations

import ast
import inspect
import pathlib
import re
from typing import Annotated, Any

import pydantic
from pydantic_core import PydanticUndefined

from pipeline.project.describe import fields_of, in_words, models_in
from pipeline.project.problems import shown
from pipeline.project.spec import Project

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "project-file.md"
BEGIN, END = "<!-- begin: python -m pipeline.project.reference -->", "<!-- end -->"


def renewed(page: str) -> str:
    """The page with the part between its two marks written anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def reference() -> str:
    """Every table and key: what is allowed, its default, what it means. Markdown."""
    sections = [_section("Top of the file", Project, [])]
    for name, field in fields_of(Project).items():
        for model in models_in(field.annotation):
            sections += _sections(name, model)
    return "\n".join(sections)


def _sections(name: str, model: type[pydantic.BaseModel]) -> list[str]:
    inner = [found for field in model.model_fields.values() for found in models_in(field.annotation)]
    own = [found for found in dict.fromkeys(inner) if found is not model]
    return [_section(f"`[{name}]`", model, own)]


def _section(title: str, model: type[pydantic.BaseModel], inner: list[type[pydantic.BaseModel]]) -> str:
    heading = "" if model is Project else f"{inspect.cleandoc(model.__doc__ or '')}\n\n"
    parts = [f"### {title}\n\n{heading}{_table(model)}"]
    for found in inner:
        users = [key for key, field in fields_of(model).items() if found in models_in(field.annotation)]
        names = ", ".join(f"`{key}`" for key in users)
        parts.append(f"In {names}: {inspect.cleandoc(found.__doc__ or '')}\n\n{_table(found)}")
    return "\n".join(parts)


def _table(model: type[pydantic.BaseModel]) -> str:
    texts = _field_texts(model)
    rows = ["| key | allowed | default | meaning |", "| --- | --- | --- | --- |"]
    for name, field in model.model_fields.items():
        models = models_in(field.annotation)
        if model is Project and models:
            continue
        allowed = "see below" if models else in_words(Annotated[(field.annotation, field)])
        cells = [f"`{field.alias or name}`", allowed, _default(field), texts.get(name, "")]
        rows.append("| " + " | ".join(re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _default(field: Any) -> str:
    if field.is_required():
        return "**needed**"
    value = field.default_factory() if field.default is PydanticUndefined else field.default
    if isinstance(value, pydantic.BaseModel):
        kept = {key: inner for key, inner in value.model_dump().items() if inner not in (None, (), {})}
        return ", ".join(f"`{key} = {shown(inner)}`" for key, inner in kept.items()) or "empty"
    if value is None or value == "":
        return "none"
    return "empty" if value in ((), {}) else f"`{shown(value)}`"


def _field_texts(model: type[pydantic.BaseModel]) -> dict[str, str]:
    """The text below each field of a model's class, and of those that it extends."""
    texts: dict[str, str] = {}
    for base in model.__bases__:
        if issubclass(base, pydantic.BaseModel) and base is not pydantic.BaseModel:
            texts |= _field_texts(base)
    body = ast.parse(inspect.getsource(model)).body[0]
    assert isinstance(body, ast.ClassDef)
    for field, below in zip(body.body, body.body[1:], strict=False):
        if not (isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)):
            continue
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            texts[field.target.id] = inspect.cleandoc(str(below.value.value))
    return texts


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")
