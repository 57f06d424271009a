"""What every table of the project file has in common."""

from __future__ import annotations

import pydantic


class Table(pydantic.BaseModel):
    """One table of the project file: no unknown keys, no silent conversions, no changes afterwards."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
