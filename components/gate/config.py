"""What a person decides about the gate: limits, severities, waivers. Plain data, validated whole."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

import pydantic

Severity = Literal["error", "warn", "off"]
Share = Annotated[float, pydantic.Field(ge=0.0, le=1.0)]
Positive = Annotated[float, pydantic.Field(gt=0.0)]


class _Frozen(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=True)


class Limit(_Frozen):
    """One comparison's limit and what passing it means."""

    limit: Positive
    severity: Severity = "error"


class Waiver(_Frozen):
    """A named, dated, expiring exception: `check` on `feature` does not block before `until`."""

    feature: str
    check: str
    until: datetime.date
    why: Annotated[str, pydantic.Field(min_length=1)]


class GateConfig(_Frozen):
    """The `[gate]` table of the project file. Every limit has a default a team can start with."""

    numeric_drift: Limit = Limit(limit=0.1)
    """Jensen-Shannon divergence in bits (0..1) on quantile bins, this span against the baseline span."""
    categorical_drift: Limit = Limit(limit=0.1)
    """L-infinity distance (0..1) between shares of values."""
    numeric_skew: Limit = Limit(limit=0.1)
    categorical_skew: Limit = Limit(limit=0.1)
    missing: Limit = Limit(limit=0.05)
    """Change of the share of examples without the feature (0..1, points)."""
    volume: Limit = Limit(limit=0.5)
    """Relative change of the number of examples."""
    schema_severity: Severity = "error"
    """Severity of TFDV's schema anomalies that have no entry of their own."""
    features: dict[str, dict[str, Limit]] = pydantic.Field(default_factory=dict)
    """feature -> check -> limit, where one feature needs another limit or severity."""
    waivers: tuple[Waiver, ...] = ()
