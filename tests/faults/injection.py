"""Faults: what happens to tables on their way, as small functions that damage a table and say what they damaged.

A fault is written against roles (a number, a category, the key, the time, the label), so it can be put into any table:

    for fault in injection.faults():
        damaged = fault.inject(table, baseline, roles, "clear", np.random.default_rng(1))

Strengths: `faint` may well be missed; `clear` is what an on-call engineer would want to hear of; `gross` must be heard.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import pyarrow as pa

from tests.faults import tabular

Strength = Literal["faint", "clear", "gross"]
STRENGTHS: tuple[Strength, ...] = get_args(Strength)
_MODULES = ("numbers", "categories", "columns", "rows", "relations")
_WELL_FILLED = 0.7
# Shares within a fifth of each other.
_ABOUT = 0.2


@dataclasses.dataclass(frozen=True)
class Roles:
    """What the columns of a table are; each fault picks among those it can happen to."""

    numeric: tuple[str, ...] = ()
    """Amounts that vary, mostly filled."""
    fine: tuple[str, ...] = ()
    """Those of them with many distinct values."""
    scaled: tuple[str, ...] = ()
    """Those of them that have a unit, and are rarely zero or negative."""
    categorical: tuple[str, ...] = ()
    """Text of few values."""
    binary: tuple[str, ...] = ()
    """Two values, as numbers or booleans."""
    ids: tuple[str, ...] = ()
    """Text of very many values."""
    linked: tuple[tuple[str, str], ...] = ()
    """Pairs of which one tells much about the other, row by row."""
    joined: tuple[str, ...] = ()
    """Columns that come from one join with another table."""
    key: tuple[str, ...] = ()
    time: str | None = None
    label: str | None = None
    """0 or 1."""


@dataclasses.dataclass(frozen=True)
class Damaged:
    """A table with a fault in it."""

    table: pa.Table
    features: tuple[str, ...] = ()
    """The columns that are faulty: a finding on any of them is right."""
    whole: bool = False
    """A finding on the whole span is right as well."""

    def is_named_by(self, feature: str | None) -> bool:
        """Whether a finding on `feature` (None: on the whole span; several: "a, b") points to the fault."""
        if feature is None:
            return self.whole
        return feature in self.features or any(part in self.features for part in feature.replace(",", " ").split())


class NotApplicableError(Exception):
    """The table has no column of the role that the fault needs."""


@dataclasses.dataclass(frozen=True)
class Span:
    """What a fault may use."""

    table: pa.Table
    baseline: pa.Table
    roles: Roles
    rng: np.random.Generator

    def pick(self, *kinds: str, count: int = 1) -> list[str]:
        """`count` well-filled columns (fewer, if there are no more) of any of these roles."""
        names = [name for kind in kinds for name in getattr(self.roles, kind) if self._usable(name)]
        if not names:
            raise NotApplicableError(kinds)
        return [str(name) for name in self.rng.permutation(sorted(set(names)))[:count]]

    def need(self, role: str) -> str:
        """The one column of a role."""
        name: str | None = getattr(self.roles, role)
        if name is None:
            raise NotApplicableError(role)
        return name

    def some(self, share: float) -> np.ndarray:
        """A mask of about `share` of the rows, one at least, anywhere."""
        mask = self.rng.random(self.table.num_rows) < share
        mask[self.rng.integers(self.table.num_rows)] = True
        return mask

    def stretch(self, share: float) -> np.ndarray:
        """A mask of `share` of the rows, one after the other, somewhere."""
        rows = self.table.num_rows
        length = max(1, round(share * rows))
        first = int(self.rng.integers(rows - length + 1))
        return (np.arange(rows) >= first) & (np.arange(rows) < first + length)

    def value(self, share: float, but: str | None = None) -> tuple[str, str]:
        """A categorical column and a value of it: one whose share is about `share`, or comes nearest to it."""
        names = [name for name in self.roles.categorical if name != but]
        shares = {
            (name, value): abs(float(np.log(found / share)))
            for name in names
            for value, found in tabular.shares(tabular.texts(self.table, name)).items()
        }
        if not shares:
            raise NotApplicableError("categorical")
        near = [key for key, off in shares.items() if off <= max(_ABOUT, min(shares.values()))]
        return near[int(self.rng.integers(len(near)))]

    def slice(self, share: float, but: str | None = None) -> tuple[str, np.ndarray]:
        """As `value`: the column, and a mask of the rows that have the value."""
        name, value = self.value(share, but)
        return name, tabular.texts(self.table, name) == value

    def _usable(self, name: str) -> bool:
        column = self.table[name]
        return column.null_count <= (1 - _WELL_FILLED) * len(column)


Injection = Callable[[Span, float], Damaged]


@dataclasses.dataclass(frozen=True)
class Fault:
    """One kind of fault."""

    name: str
    amounts: tuple[float, float, float]
    """What faint, clear and gross mean to `damage`."""
    checks: tuple[str, ...]
    """Checks that may rightly name it, in the words of issue and documentation."""
    damage: Injection = dataclasses.field(repr=False)

    @property
    def what(self) -> str:
        """The fault in a sentence."""
        return (self.damage.__doc__ or "").split("\n")[0]

    def inject(
        self, table: pa.Table, baseline: pa.Table, roles: Roles, strength: Strength, rng: np.random.Generator
    ) -> Damaged | None:
        """`table` with this fault; None if it has no column that this can happen to.

        Args:
          table: rows in the order of the file.
          baseline: the table it will be held against: some faults mix it in.
          roles: of the columns of both.
          strength: how much of it.
          rng: chooses columns and rows.
        """
        try:
            return self.damage(Span(table, baseline, roles, rng), self.amounts[STRENGTHS.index(strength)])
        except NotApplicableError:
            return None


_REGISTER: dict[str, Fault] = {}


def fault(faint: float, clear: float, gross: float, checks: str) -> Callable[[Injection], Injection]:
    """Register a damage function; `checks` are separated by spaces."""

    def register(damage: Injection) -> Injection:
        name = damage.__name__
        _REGISTER[name] = Fault(name, (faint, clear, gross), tuple(checks.split()), damage)
        return damage

    return register


@functools.cache
def faults() -> dict[str, Fault]:
    """Name -> fault, in the order of the table."""
    for module in _MODULES:
        importlib.import_module(f"tests.faults.{module}")
    return dict(_REGISTER)
