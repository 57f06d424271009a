"""Artifact types of the gate."""

from __future__ import annotations

from typing import ClassVar

from tfx.types.artifact import Artifact, Property, PropertyType


class Verdict(Artifact):
    """The gate's verdict on a span: one file, verdict.json."""

    TYPE_NAME = "SpanwiseVerdict"
    PROPERTIES: ClassVar = {
        "verdict": Property(type=PropertyType.STRING),
        "findings": Property(type=PropertyType.INT),
    }
