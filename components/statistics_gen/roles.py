"""What columns are for, as far as statistics need it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class DataRoles:
    """Columns with a part of their own; none of them is needed."""

    time: str | None = None
    """Integers: seconds since 1970. With it, rows and values are counted by day."""
    key: tuple[str, ...] = ()
    """Columns that together name a row. With them, repeated keys are counted."""

    @classmethod
    def parsed(cls, config: Mapping[str, Any]) -> DataRoles:
        """From a component's config: its `roles`."""
        roles = config.get("roles") or {}
        return cls(time=roles.get("time"), key=tuple(roles.get("key") or ()))
