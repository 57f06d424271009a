"""Positions in a TOML text, the words for what is allowed, and the reference page made of them."""

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from pipeline.project import reference
from pipeline.project.describe import in_words, keys_at, type_at
from pipeline.project.positions import positions
from pipeline.project.spec import Project

TEXT = '''\
a = 1 # [not.a.table]
b.c = """
[not]
d = 3
"""

[t]
x = [
  1, # , ]
  { y = "]" },
  [[2]],
]
"q.r" = 'a "quote'

[[t.list]]
n = 2013-02-01 07:00:00
[[t.list]]
n = 2
[t.list.sub]
m = -1.5e3
'''


def test_positions_are_the_lines_of_keys_and_elements() -> None:
    found = {path: position.line for path, position in positions(TEXT).items()}
    assert found == {
        ("a",): 1,
        ("b",): 2,
        ("b", "c"): 2,
        ("t",): 7,
        ("t", "x"): 8,
        ("t", "x", 0): 9,
        ("t", "x", 1): 10,
        ("t", "x", 1, "y"): 10,
        ("t", "x", 2): 11,
        ("t", "x", 2, 0): 11,
        ("t", "x", 2, 0, 0): 11,
        ("t", "q.r"): 13,
        ("t", "list"): 15,
        ("t", "list", 0): 15,
        ("t", "list", 0, "n"): 16,
        ("t", "list", 1): 17,
        ("t", "list", 1, "n"): 18,
        ("t", "list", 1, "sub"): 19,
        ("t", "list", 1, "sub", "m"): 20,
    }
    assert positions(TEXT)[("t", "list", 1, "n")].table == ("t", "list", 1)


def paths_of(value: object, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path} - {()} | {inner for key, item in items for inner in paths_of(item, (*path, key))}


KEYS = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=5)
VALUES = st.recursive(
    st.one_of(st.integers(-5, 5), st.booleans(), st.floats(-9, 9), st.text(st.characters(codec="utf-8"), max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


def quoted(text: str) -> str:
    escaped = "".join(c if 32 <= ord(c) != 127 and c not in '\\"' else f"\\u{ord(c):04x}" for c in text)
    return f'"{escaped}"'


def inline(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)} = {inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",\n# ]\n".join(map(inline, value)) + "]"
    return quoted(value) if isinstance(value, str) else str(value).lower()


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=3), max_size=3))
def test_positions_find_every_key_of_any_text(document: dict[str, dict[str, object]]) -> None:
    tables = [f"[{quoted(name)}]\n" + "".join(f"{quoted(k)} = {inline(v)}\n" for k, v in table.items())
              for name, table in document.items()]  # fmt: skip
    text = "\n".join(tables)
    assert tomli.loads(text) == document
    assert set(positions(text)) == paths_of(document)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("model.epochs", "a whole number from 1 to 100,000"),
        ("window.tune_days", "a whole number, at least 1"),
        ("model.dropout", "a number, at least 0, less than 1"),
        ("model.optimizer", "'adam', 'adamw' or 'sgd'"),
        ("model.warm_start", "true or false"),
        ("data.key", "a list; each: a column's name, in quotes"),
        (
            "features.bucketized",
            "a table; each key: a column's name, in quotes; each value: a whole number from 2 to 10,000",
        ),
        ("features.categorical.x", "a table with vocabulary, optionally oov_buckets or a table with hash"),
    ],
)
def test_what_is_allowed_in_words(key: str, words: str) -> None:
    assert in_words(type_at(Project, tuple(key.split(".")))) == words


def test_keys_of_tables() -> None:
    assert keys_at(Project, ("push",)) == ["directory", "keep"]
    assert keys_at(Project, ("features", "categorical", "x")) == ["vocabulary", "oov_buckets", "hash"]
    assert keys_at(Project, ("features", "categorical")) == [] == keys_at(Project, ("model", "epochs"))


def test_reference_page_is_current() -> None:
    page = reference.PAGE.read_text("utf-8")
    assert reference.renewed(page) == page, "renew it: python -m pipeline.project.reference"


def test_reference_has_every_table_with_a_meaning_for_every_key() -> None:
    text = reference.reference()
    for name, field in Project.model_fields.items():
        assert f"`{field.alias or name}`" in text or f"`[{field.alias or name}]`" in text
    empty = [line for line in text.splitlines() if line.startswith("| `") and line.endswith("|  |")]
    own = [line for line in empty if "see below" not in line]
    assert own == []
