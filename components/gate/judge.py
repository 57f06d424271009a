"""The gate's judgement of one span: every rule on every feature it is for, waivers, verdict."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from components.gate import causes, clusters, comparing, impact, measure, rules, verdict, waivers, weighing
from components.gate.anomalies import Expected, schema_findings
from components.gate.champion import Unusable, not_asked
from components.gate.checks import registry
from components.gate.config import GateConfig
from components.gate.findings import Against, Finding
from components.gate.impact import Asked, Impact
from components.gate.learned import NOTHING, History, measures
from components.gate.measured import Measured
from components.gate.profile import SplitStats, profile
from components.gate.sides import Roles, Sides

__all__ = ["EVAL", "FAMILIES", "SERVING", "TRAIN", "Evidence", "Judgement", "Roles", "Sides", "judge"]

EVAL, TRAIN = "eval", "train"
SERVING = "serving"

FAMILIES: tuple[Callable[[Sides], Iterable[Finding]], ...] = (registry.run,)
"""Further checks of the span against its baseline, one function a family (components/gate/checks/)."""

_NO_SCHEMA = (
    "no committed schema yet, so nothing says what this data should look like. Read the one inferred from this span, "
    "and accept it."
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
    past: History = NOTHING
    """Measures of the spans accepted before this one."""
    champion: Asked | str | None = None
    """The model whose probabilities are watched; text: why it can't be asked; None: there is none."""
    admitted: Collection[str] = (TRAIN, "tune")
    """Splits of spans that earlier runs have admitted: held against the schema where there is no baseline."""


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
    return Judgement(evidence, config, roles, identity, schema_needed).verdict()


@dataclasses.dataclass(frozen=True)
class Judgement:
    """One span, what it is held against, and by which limits; arguments as `judge`'s."""

    evidence: Evidence
    config: GateConfig
    roles: Roles
    identity: Mapping[str, Any]
    schema_needed: bool = False

    def verdict(self) -> dict[str, Any]:
        """See `judge`."""
        found, notes = self._schema_findings(), []
        if self.baseline is None:
            notes.append(_no_baseline(self.evidence, in_pipeline=self.identity.get("span_version") is not None))
            if self.evidence.schema is None:
                empty = (rules.empty(feature, Against(EVAL)) for feature in self._profiles[EVAL].features.values())
                found += [finding for finding in empty if finding is not None]
        else:
            found += comparing.findings(self._drift, self.baseline)
            notes += comparing.untold(self._drift, self.baseline)
            found += [finding for family in FAMILIES for finding in family(self.baseline)]
            notes += registry.not_made(self.baseline)
        if self.serving is None:
            notes.append("No serving statistics: skew between training and serving was not checked.")
        else:
            found += comparing.findings(self._skew, self.serving)
            notes += comparing.untold(self._skew, self.serving)
        found = causes.told_once(found)
        if self.baseline is not None:
            found, told = self._weighed(found, self.baseline)
            notes += told
        found, idle = waivers.apply(found, self.config.waivers, self.identity.get("as_of") or "", self._made)
        moved = self._impact.as_json() if isinstance(self._impact, Impact) else None
        return verdict.assemble(found, [*notes, *idle], self.identity, self._profiles[EVAL].rows, moved)

    def taught(self, verdict: Mapping[str, Any]) -> History:
        """The past with this span in it; what a waiver covers teaches nothing.

        Args:
          verdict: as `verdict` gave it.
        """
        if self.baseline is None:
            return self.evidence.past
        waived = [(f["check"], f["feature"]) for f in verdict["findings"] if f["severity"] == "waived"]
        found = ((one.check, one.feature, one.value) for one in self._drift)
        span, baseline = str(self.identity.get("span")), self.identity.get("baseline_span")
        return self.evidence.past.and_then(span, baseline, measures(found, waived))

    def skew_verdict(self) -> dict[str, Any]:
        """What serving saw, against the schema's environment SERVING and against training; no word on the span.

        The evidence's split `eval` is then the training data.

        Raises:
          ValueError: there are no serving statistics.
        """
        if self.serving is None or self.evidence.serving is None:
            raise ValueError("no serving statistics")
        stats, found = profile(self.evidence.serving), []
        if self.evidence.schema is not None:
            every = measure.anomalies(self.evidence.serving, self.evidence.schema, "SERVING")
            found = schema_findings(every, stats, self._expected, self.config, Against(SERVING))
        found += comparing.findings(self._skew, self.serving)
        as_of = self.identity.get("as_of") or ""
        found, idle = waivers.apply(found, self.config.waivers, as_of, comparing.SKEW.__contains__)
        notes = [*comparing.untold(self._skew, self.serving), *idle]
        return verdict.assemble(found, notes, self.identity, stats.rows)

    def _made(self, check: str) -> bool:
        """Whether the span's verdict holds it to the check: rows against rows only `check --join-on` can hold."""
        return check != "row_skew" and (self.serving is not None or check not in comparing.SKEW)

    def arithmetic(self, feature: str | None = None) -> list[dict[str, Any]]:
        """Everything that was measured, beyond its limit or not, with the numbers that it came of.

        Args:
          feature: only of this one.
        """
        drift = [*self._drift, *self._moves]
        return [
            one.as_json(self.config.limit(one.check, one.feature), sides.against)
            for sides, measured in ((self.baseline, drift), (self.serving, self._skew))
            if sides is not None
            for one in measured
            if feature in (None, one.feature)
        ]

    @property
    def _moves(self) -> list[Measured]:
        """What the span does to the champion, as other checks give what they measure."""
        if self.baseline is None or not isinstance(self._impact, Impact):
            return []
        return weighing.measured(self._impact, self._drift, self.baseline)

    def _weighed(self, found: list[Finding], sides: Sides) -> tuple[list[Finding], list[str]]:
        """Findings with what they do to the champion, and what to say where that is not known."""
        if not isinstance(self._impact, Impact):
            return found, [self._impact] if self._impact else []
        found = weighing.weighed(found, self._impact, sides)
        return [*found, *weighing.raised(self._moves, found, sides)], weighing.told(self._impact)

    @functools.cached_property
    def _impact(self) -> Impact | str | None:
        """What the span does to the champion; text: why that is not known."""
        champion = self.evidence.champion
        if champion is None or self.baseline is None:
            return None
        try:
            return impact.measure(champion, self.baseline) if not isinstance(champion, str) else champion
        except Unusable as error:
            return not_asked(error)

    @functools.cached_property
    def baseline(self) -> Sides | None:
        """The span against its baseline."""
        if self.evidence.baseline is None:
            return None
        name = self.identity.get("baseline_span")
        word = "the baseline span" if self.identity.get("span_version") is not None else "the baseline"
        absent = {f.feature for f in self._schema_findings() if f.kind == "missing_column" and f.split == EVAL}
        against = Against(EVAL, f"{word} {name}", name)
        both = self.evidence.splits[EVAL], self.evidence.baseline
        return self._sides(both, against, {name for name in absent if name})

    @functools.cached_property
    def _drift(self) -> list[Measured]:
        return comparing.drift(self.baseline) if self.baseline is not None else []

    @functools.cached_property
    def _skew(self) -> list[Measured]:
        return comparing.skew(self.serving) if self.serving is not None else []

    @functools.cached_property
    def serving(self) -> Sides | None:
        """What serving saw against training."""
        if self.evidence.serving is None:
            return None
        training = self.evidence.splits.get(TRAIN, self.evidence.splits[EVAL])
        # Requests carry what the model reads, and none of the other columns that training data has.
        unasked = _names(training) - _names(self.evidence.serving) - set(self.roles.features)
        absent = unasked if self.roles.features else set()
        return self._sides((self.evidence.serving, training), Against(SERVING, "training", None), absent)

    def _sides(self, statistics: tuple[Any, Any], against: Against, absent: set[str]) -> Sides:
        ours, theirs = (profile(one) for one in statistics)
        current, other = clusters.with_inflation(ours, theirs, statistics, self.roles.time)
        return Sides(
            *(current, other, self.roles, self._expected, self.config, against, absent, statistics),
            identity=self.identity,
            past=self.evidence.past,
            level=self._level,
        )

    @functools.cached_property
    def _level(self) -> float:
        sides = [self.evidence.baseline, self.evidence.serving]
        columns = [len(side.datasets[0].features) for side in sides if side is not None and side.datasets]
        return comparing.level(columns, self.config.false_alarms, registry.COMPARISONS + 2)

    @functools.cached_property
    def _profiles(self) -> Mapping[str, SplitStats]:
        return {name: profile(statistics) for name, statistics in self.evidence.splits.items()}

    @functools.cached_property
    def _expected(self) -> Mapping[str, Expected]:
        return measure.expected(self.evidence.schema) if self.evidence.schema is not None else {}

    def _schema_findings(self) -> list[Finding]:
        if self.evidence.schema is None:
            return [Finding("schema", None, EVAL, "error", _NO_SCHEMA, kind="no_schema")] if self.schema_needed else []
        first = self.evidence.baseline is None
        return _against_schema(self.evidence, self._profiles, self._expected, self.config, self.roles, first)


def _names(statistics: Any) -> set[str]:
    return {feature.path.step[0] for dataset in statistics.datasets for feature in dataset.features}


def _no_baseline(evidence: Evidence, in_pipeline: bool) -> str:
    if in_pipeline:
        return "No baseline yet: drift was not checked. This span becomes the baseline once it is accepted."
    if evidence.schema is None:
        return "Neither schema nor baseline: there is nothing to hold this data against. Give --baseline or --schema."
    return "No baseline: drift was not checked."


def _against_schema(
    evidence: Evidence,
    profiles: Mapping[str, SplitStats],
    expected: Mapping[str, Expected],
    config: GateConfig,
    roles: Roles,
    first: bool,
) -> list[Finding]:
    """Schema findings of the span; on the first run of all splits, of which no run has admitted any yet."""
    found: list[Finding] = []
    for split in sorted(evidence.splits, key=lambda name: (name != EVAL, name)):
        stats = profiles[split]
        if not stats.rows or (split in evidence.admitted and not first):
            continue
        labelled = roles.label is None or roles.label in stats.features
        environment = "TRAINING" if labelled else "SERVING"
        every = measure.anomalies(evidence.splits[split], evidence.schema, environment)
        news = {finding.feature for finding in found if finding.kind == "new_column"}
        found += [
            _if_used(finding, roles)
            for finding in schema_findings(every, stats, expected, config, Against(split))
            if finding.kind != "new_column" or finding.feature not in news
        ]
    return found


def _if_used(finding: Finding, roles: Roles) -> Finding:
    """A column that the project uses and the schema does not know is no mere novelty: Transform cannot find it."""
    if finding.kind != "new_column" or finding.feature not in {*roles.features, roles.label, roles.weight}:
        return finding
    message = f"{finding.feature}: the project uses this column, and the schema does not know it."
    return dataclasses.replace(finding, severity="error", message=message)
