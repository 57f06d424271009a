"""Where each key of a TOML text stands: its line and the table header above it.

tomli gives values without positions. This reads the same text once more, and only when an error is to be told, so it
relies on the text being valid TOML.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator

KeyPath = tuple[str | int, ...]

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\])*"|\'[^\']*\'|#[^\n]*|\n|[\[\]{},=.]|[^\s\[\]{},=.#"\']+',
    re.DOTALL,
)


@dataclasses.dataclass(frozen=True)
class Position:
    """Line (1 is the first) and the path of the table whose header is above it; `()` before the first header."""

    line: int
    table: KeyPath


def positions(text: str) -> dict[KeyPath, Position]:
    """Position of every key, table and array element of a valid TOML text, by its path from the top."""
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._table: KeyPath = ()
        self._arrays: dict[KeyPath, int] = {}
        self._found: dict[KeyPath, Position] = {}

    def read(self) -> dict[KeyPath, Position]:
        while self._at < len(self._tokens):
            token = self._peek()
            if token == "\n":
                self._at += 1
            elif token == "[":
                self._header()
            else:
                self._pair(self._table)
        return self._found

    def _peek(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else "\n"

    def _note(self, path: KeyPath) -> None:
        line = self._tokens[min(self._at, len(self._tokens) - 1)][1]
        self._found.setdefault(path, Position(line, self._table))

    def _header(self) -> None:
        start = self._at
        is_array = self._tokens[start + 1][0] == "["
        self._at += 2 if is_array else 1
        path: KeyPath = ()
        for key in self._keys("]"):
            path = (*self._within(path), key)
        if is_array:
            self._arrays[path] = self._arrays.get(path, -1) + 1
            self._found.setdefault(path, Position(self._tokens[start][1], path))
        self._table = self._within(path)
        self._found.setdefault(self._table, Position(self._tokens[start][1], self._table))
        self._at += 1 if is_array else 0

    def _within(self, path: KeyPath) -> KeyPath:
        """`path`, and the number of the element now open where it is an array of tables."""
        return (*path, self._arrays[path]) if path in self._arrays else path

    def _keys(self, end: str) -> list[str]:
        keys = []
        while (token := self._peek()) != end and self._at < len(self._tokens):
            if token != ".":
                keys.append(_plain(token))
            self._at += 1
        self._at += 1
        return keys

    def _pair(self, table: KeyPath) -> None:
        start = self._at
        path = table
        for key in self._keys("="):
            path += (key,)
            self._found.setdefault(path, Position(self._tokens[start][1], self._table))
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        token = self._peek()
        if token == "[":
            self._items(path, "]")
        elif token == "{":
            self._items(path, "}")
        else:
            while self._peek() not in ("\n", ",", "]", "}"):
                self._at += 1

    def _items(self, path: KeyPath, end: str) -> None:
        self._at += 1
        index = 0
        while (token := self._peek()) != end and self._at < len(self._tokens):
            if token in ("\n", ","):
                self._at += 1
            elif end == "}":
                self._pair(path)
            else:
                self._note((*path, index))
                self._value((*path, index))
                index += 1
        self._at += 1


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line = 1
    last = 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", last, match.start())
        last = match.start()
        if not match.group().startswith("#"):
            yield match.group(), line


def _plain(token: str) -> str:
    if token.startswith("'"):
        return token[1:-1]
    if token.startswith('"'):
        try:
            return str(json.loads(token))
        except ValueError:
            return token[1:-1]
    return token
