"""The gate's judgement of one span: every rule on every feature it is for, waivers, verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from components.gate import binning, measure, rules, verdict, waivers
from components.gate.anomalies import Expected, schema_findings
from components.gate.config import GateConfig
from components.gate.findings import Against, Finding
from components.gate.measure import Comparison
from components.gate.profile import Distance, FeatureStats, SplitStats, profile

EVAL, TRAIN = "eval", "train"
SERVING = "serving"
# Quantile bins of a number with no more values than bins mean nothing: it is compared value by value.
_FEW_VALUES = binning.BINS

_NO_SCHEMA = (
    "no committed schema yet, so nothing says what this data should look like. Read the one inferred from this span, "
    "and accept it."
)


@dataclasses.dataclass(frozen=True)
class Roles:
    """Columns with a part of their own, which are not compared as features are."""

    time: str | None = None
    key: tuple[str, ...] = ()
    label: str | None = None
    weight: str | None = None
    categorical: tuple[str, ...] = ()
    """Features whose integers are names."""

    features: tuple[str, ...] = ()
    """Columns the model reads; those of them that are part of the key are compared nevertheless."""

    @property
    def not_features(self) -> frozenset[str]:
        """Columns that no drift is measured of."""
        key = set(self.key) - set(self.features)
        return frozenset(name for name in (self.time, self.label, self.weight, *key) if name)

    @classmethod
    def parsed(cls, config: Mapping[str, Any]) -> Roles:
        """From a component's config: its `roles` and `features`."""
        roles, features = config.get("roles", {}), config.get("features", {})
        by_kind = (features.get(kind) or () for kind in ("numeric", "bucketized", "categorical", "cyclic"))
        return cls(
            time=roles.get("time"),
            key=tuple(roles.get("key") or ()),
            label=roles.get("label"),
            weight=roles.get("weight"),
            categorical=tuple(features.get("categorical") or ()),
            features=tuple(name for kind in by_kind for name in kind),
        )


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What is judged and what it is held against; statistics are DatasetFeatureStatisticsList protos."""

    splits: Mapping[str, Any]
    """Split -> statistics. `eval` is the span judged; `train`, where there is one, is held against serving."""
    schema: Any | None = None
    """Schema proto; None: none is committed."""
    baseline: Any | None = None
    serving: Any | None = None


def judge(
    evidence: Evidence, config: GateConfig, roles: Roles, identity: Mapping[str, Any], schema_needed: bool = False
) -> dict[str, Any]:
    """The verdict: a JSON object, the same for the same arguments.

    Args:
      evidence: statistics and schema.
      config: limits, severities, waivers.
      roles: columns with a part of their own.
      identity: project, span, span_version, digest, baseline_span, as_of.
      schema_needed: without a committed schema, the span is blocked until what it looks like has been accepted.
    """
    profiles = {name: profile(statistics) for name, statistics in evidence.splits.items()}
    expected = measure.expected(evidence.schema) if evidence.schema is not None else {}
    found: list[Finding] = []
    notes: list[str] = []
    if evidence.schema is None and schema_needed:
        found.append(Finding("schema", None, EVAL, "error", _NO_SCHEMA, kind="no_schema"))
    elif evidence.schema is not None:
        found += _against_schema(evidence, profiles, expected, config, roles, first=evidence.baseline is None)
    baseline_name = identity.get("baseline_span")
    absent = {f.feature for f in found if f.kind == "missing_column" and f.split == EVAL and f.feature}
    if evidence.baseline is None:
        notes.append(_no_baseline(evidence, in_pipeline=identity.get("span_version") is not None))
        if evidence.schema is None:
            empty = (rules.empty(feature, Against(EVAL)) for feature in profiles[EVAL].features.values())
            found += [finding for finding in empty if finding is not None]
    else:
        word = "the baseline span" if identity.get("span_version") is not None else "the baseline"
        against = Against(EVAL, f"{word} {baseline_name}", baseline_name)
        compared = _Compared(profiles[EVAL], profile(evidence.baseline), roles, expected, config, against, absent)
        found += _drift(compared, measure.distances(evidence.splits[EVAL], evidence.baseline, compared.comparisons))
    if evidence.serving is None:
        notes.append("No serving statistics: skew between training and serving was not checked.")
    else:
        split = TRAIN if TRAIN in profiles else EVAL
        against = Against(SERVING, "training", None)
        compared = _Compared(profile(evidence.serving), profiles[split], roles, expected, config, against, set())
        found += _skew(compared, measure.distances(evidence.serving, evidence.splits[split], compared.comparisons))
    found, idle = waivers.apply(found, config.waivers, identity.get("as_of") or "")
    return verdict.assemble(found, [*notes, *idle], identity, profiles[EVAL].rows)


def _no_baseline(evidence: Evidence, in_pipeline: bool) -> str:
    if in_pipeline:
        return "No baseline yet: drift was not checked. This span becomes the baseline once it is accepted."
    if evidence.schema is None:
        return "Neither schema nor baseline: there is nothing to hold this data against. Give --baseline or --schema."
    return "No baseline: drift was not checked."


@dataclasses.dataclass(frozen=True)
class _Compared:
    """Two sides of a comparison and which of their features are compared, and how."""

    current: SplitStats
    other: SplitStats
    roles: Roles
    expected: Mapping[str, Expected]
    config: GateConfig
    against: Against
    absent: Collection[str]

    @property
    def comparisons(self) -> dict[str, Comparison]:
        """Feature -> numeric or categorical, for those that both sides have values of, of one kind."""
        both = ((n, f, self.other.features.get(n)) for n, f in self.current.features.items())
        found = {n: self._kind(f, o) for n, f, o in both if o is not None and f.present and o.present}
        skipped = self.roles.not_features - {self.roles.label}
        return {name: kind for name, kind in found.items() if kind is not None and name not in skipped}

    def pairs(self) -> Iterator[tuple[FeatureStats, FeatureStats]]:
        """Columns of either side but the label, with what the other side has of them."""
        for name in sorted({*self.current.features, *self.other.features} - {self.roles.label, *self.absent}):
            ours, theirs = self.current.features.get(name), self.other.features.get(name)
            known = ours or theirs
            assert known is not None
            nothing = dataclasses.replace(known, present=0, counts={}, unique=None)
            yield (
                ours or dataclasses.replace(nothing, rows=self.current.rows),
                theirs or dataclasses.replace(nothing, rows=self.other.rows),
            )

    def _kind(self, ours: FeatureStats, theirs: FeatureStats) -> Comparison | None:
        if (ours.type == "string") != (theirs.type == "string"):
            return None
        if ours.type == "string":
            return "categorical"
        counted = ours.counted_whole and theirs.counted_whole
        named = (
            ours.name in self.roles.categorical
            or ours.name == self.roles.label
            or self.expected.get(ours.name, Expected()).named
        )
        if counted and (named or (theirs.unique or 0) <= _FEW_VALUES):
            return "categorical"
        return "numeric"


def _against_schema(
    evidence: Evidence,
    profiles: Mapping[str, SplitStats],
    expected: Mapping[str, Expected],
    config: GateConfig,
    roles: Roles,
    first: bool,
) -> list[Finding]:
    """Schema findings of the span; on the first run of the training window too, which no run has admitted yet."""
    found: list[Finding] = []
    for split in sorted(evidence.splits, key=lambda name: (name != EVAL, name)):
        stats = profiles[split]
        if not stats.rows or (split != EVAL and not first):
            continue
        labelled = roles.label is None or roles.label in stats.features
        environment = "TRAINING" if labelled else "SERVING"
        every = measure.anomalies(evidence.splits[split], evidence.schema, environment)
        found += schema_findings(every, stats, expected, config, Against(split))
    return found


def _drift(sides: _Compared, distances: Mapping[str, Distance]) -> Iterator[Finding]:
    config, against = sides.config, sides.against
    found: list[Finding | None] = [rules.volume(sides.current.rows, sides.other.rows, config.limit("volume"), against)]
    for name, distance in sorted(distances.items()):
        current, other = sides.current.features[name], sides.other.features[name]
        if name == sides.roles.label:
            limit = config.limit("label_drift")
            found.append(rules.categorical_distance("label_drift", current, other, distance, limit, against))
            continue
        found.append(_distance(sides, name, distance, "drift"))
        if current.type == "string" and sides.expected.get(name, Expected()).values is None:
            found.append(rules.unseen_values(current, other, config.limit("unseen_values", name), against))
    for current, other in sides.pairs():
        if other.present:
            found.append(rules.missing("missing", current, other, config.limit("missing", current.name), against))
    return (finding for finding in found if finding is not None)


def _skew(sides: _Compared, distances: Mapping[str, Distance]) -> Iterator[Finding]:
    found = [_distance(sides, name, value, "skew") for name, value in sorted(distances.items())]
    for current, other in sides.pairs():
        if other.present:
            limit = sides.config.limit("missing_skew", current.name)
            found.append(rules.missing("missing_skew", current, other, limit, sides.against))
    return (finding for finding in found if finding is not None)


def _distance(sides: _Compared, name: str, distance: Distance, suffix: str) -> Finding | None:
    kind = sides.comparisons[name]
    check = f"{kind}_{suffix}"
    rule = rules.numeric_distance if kind == "numeric" else rules.categorical_distance
    limit = sides.config.limit(check, name)
    return rule(check, sides.current.features[name], sides.other.features[name], distance, limit, sides.against)
