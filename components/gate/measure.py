"""What TFDV measures: anomalies against a schema. Protos in, plain data out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.gate.anomalies import Anomaly, Expected

_TYPES = {schema_pb2.INT: "int", schema_pb2.FLOAT: "float", schema_pb2.BYTES: "string"}


def anomalies(
    statistics: statistics_pb2.DatasetFeatureStatisticsList, schema: schema_pb2.Schema, environment: str
) -> list[Anomaly]:
    """Departures of one split from the schema, reason by reason, in order of feature.

    Args:
      statistics: of the split.
      schema: comparators in it are not used: distances are the gate's own.
      environment: such as TRAINING; ignored by a schema that does not know it.
    """
    known = environment if environment in schema.default_environment else None
    found = tfdv.validate_statistics(statistics, schema, environment=known)
    result = []
    for _, info in sorted(found.anomaly_info.items()):
        feature = info.path.step[0] if info.path.step else None
        result += [_anomaly(feature, reason) for reason in info.reason]
    return result + [_anomaly(None, reason) for reason in found.dataset_anomaly_info.reason]


def expected(schema: schema_pb2.Schema) -> dict[str, Expected]:
    """What the schema says of each feature, as far as sentences and comparisons need it."""
    domains = {domain.name: frozenset(domain.value) for domain in schema.string_domain}
    return {feature.name: _expected(feature, domains) for feature in schema.feature}


def _expected(feature: schema_pb2.Feature, domains: Mapping[str, frozenset[str]]) -> Expected:
    values = domains.get(feature.domain) if feature.domain else None
    if feature.HasField("string_domain"):
        values = frozenset(feature.string_domain.value)
    bounds = next((getattr(feature, n) for n in ("int_domain", "float_domain") if feature.HasField(n)), None)
    low = high = None
    if bounds is not None:
        low = float(bounds.min) if bounds.HasField("min") else None
        high = float(bounds.max) if bounds.HasField("max") else None
    present = feature.presence.min_fraction if feature.presence.HasField("min_fraction") else None
    named = feature.HasField("bool_domain") or (feature.HasField("int_domain") and feature.int_domain.is_categorical)
    return Expected(_TYPES.get(feature.type, ""), values, low, high, present, named)


def _anomaly(feature: str | None, reason: Any) -> Anomaly:
    return Anomaly(feature, anomalies_pb2.AnomalyInfo.Type.Name(reason.type), reason.description)
