"""What TFDV measures: anomalies against a schema, distances against other statistics. Protos in, plain data out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.gate import binning
from components.gate.anomalies import Anomaly, Expected
from components.gate.profile import Distance, value_counts

Comparison = Literal["numeric", "categorical"]
_TYPES = {schema_pb2.INT: "int", schema_pb2.FLOAT: "float", schema_pb2.BYTES: "string"}


def anomalies(
    statistics: statistics_pb2.DatasetFeatureStatisticsList, schema: schema_pb2.Schema, environment: str
) -> list[Anomaly]:
    """Departures of one split from the schema, reason by reason, in order of feature.

    Args:
      statistics: of the split.
      schema: comparators in it are not used: distances are measured by `distances`.
      environment: such as TRAINING; ignored by a schema that does not know it.
    """
    known = environment if environment in schema.default_environment else None
    found = tfdv.validate_statistics(statistics, schema, environment=known)
    result = []
    for _, info in sorted(found.anomaly_info.items()):
        feature = info.path.step[0] if info.path.step else None
        result += [_anomaly(feature, reason) for reason in info.reason]
    return result + [_anomaly(None, reason) for reason in found.dataset_anomaly_info.reason]


def distances(
    current: statistics_pb2.DatasetFeatureStatisticsList,
    other: statistics_pb2.DatasetFeatureStatisticsList,
    comparisons: Mapping[str, Comparison],
) -> dict[str, Distance]:
    """TFDV's distance for each feature: Jensen-Shannon on QUANTILES for numbers, L-infinity for categories.

    TFDV passes numbers in silence under L-infinity, and compares integers as numbers even if they are names; here
    integers that are names are handed to it as text, from their counts by value, and other integers that are counted
    by value in bins that both sides share.

    Args:
      current: the side judged.
      other: the side it is held against.
      comparisons: feature -> how. Features that one side lacks are left out of the result.
    """
    schema = schema_pb2.Schema()
    for name, comparison in sorted(comparisons.items()):
        feature = schema.feature.add(name=name)
        if comparison == "numeric":
            feature.type = schema_pb2.FLOAT
            divergence = feature.drift_comparator.jensen_shannon_divergence
            divergence.threshold = 1.0
            divergence.source.type = schema_pb2.HistogramSelection.QUANTILES
        else:
            feature.type = schema_pb2.BYTES
            feature.drift_comparator.infinity_norm.threshold = 1.0
    bins = _shared_bins(current, other, comparisons)
    found = tfdv.validate_statistics(
        _compared(current, comparisons, bins), schema, previous_statistics=_compared(other, comparisons, bins)
    )
    measured = {i.path.step[0]: i.drift_measurements[0].value for i in found.drift_skew_info if i.drift_measurements}
    # TFDV compares histograms with edges of their own on the union of both.
    return {n: Distance(v, len(bins[n]) - 1 if n in bins else 2 * binning.BINS) for n, v in measured.items()}


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


def _shared_bins(current: Any, other: Any, comparisons: Mapping[str, Comparison]) -> dict[str, list[float]]:
    """Bin edges for integers that are compared as numbers and that both sides have counted by value."""
    ours, theirs = _counts(current), _counts(other)
    both = (name for name, kind in comparisons.items() if kind == "numeric" and ours.get(name) and theirs.get(name))
    return {name: binning.edges(ours[name], theirs[name]) for name in both}


def _counts(statistics: Any) -> dict[str, dict[str, int]]:
    features = [f for data in statistics.datasets[:1] for f in data.features if f.HasField("num_stats")]
    counted = ((feature.path.step[0], value_counts(feature)) for feature in features)
    return {name: counts for name, counts in counted if counts}


def _compared(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    comparisons: Mapping[str, Comparison],
    bins: Mapping[str, list[float]],
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Only the features compared, each under the type it is compared as."""
    result = statistics_pb2.DatasetFeatureStatisticsList()
    if not statistics.datasets:
        return result
    source = statistics.datasets[0]
    target = result.datasets.add(num_examples=source.num_examples)
    for feature in source.features:
        name = feature.path.step[0] if len(feature.path.step) == 1 else ""
        counts = value_counts(feature)
        if comparisons.get(name) == "numeric" and feature.HasField("num_stats"):
            copy = target.features.add()
            copy.CopyFrom(feature)
            copy.type = statistics_pb2.FeatureNameStatistics.FLOAT
            if name in bins:
                _set_quantiles(copy.num_stats, bins[name], counts or {})
        elif comparisons.get(name) == "categorical" and counts is not None:
            _as_text(target.features.add(), feature, counts)
    return result


def _set_quantiles(numbers: Any, bounds: list[float], counts: Mapping[str, int]) -> None:
    kept = [h for h in numbers.histograms if h.type != statistics_pb2.Histogram.QUANTILES]
    del numbers.histograms[:]
    numbers.histograms.extend(kept)
    quantiles = numbers.histograms.add(type=statistics_pb2.Histogram.QUANTILES)
    for low, high, count in zip(bounds, bounds[1:], binning.histogram(counts, bounds)):
        quantiles.buckets.add(low_value=low, high_value=high, sample_count=count)


def _as_text(target: Any, feature: Any, counts: Mapping[str, int]) -> None:
    target.path.CopyFrom(feature.path)
    target.type = statistics_pb2.FeatureNameStatistics.STRING
    source = feature.string_stats if feature.HasField("string_stats") else feature.num_stats
    target.string_stats.common_stats.CopyFrom(source.common_stats)
    target.string_stats.unique = len(counts)
    for rank, (value, count) in enumerate(counts.items()):
        target.string_stats.rank_histogram.buckets.add(low_rank=rank, high_rank=rank, label=value, sample_count=count)
