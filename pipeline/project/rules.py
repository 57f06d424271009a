"""What must hold between the keys of a project file, known without reading the data.

One small function a rule. `RULES` says which tables and keys each cannot do without; it is left out where one of them
is missing or has errors of its own.
"""

from __future__ import annotations

import pathlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from typing import get_args

from components.gate.config import Limit
from pipeline.project.positions import KeyPath
from pipeline.project.problems import Problem, listed, near, shown
from pipeline.project.rules_for_beam import (
    beam_options_are_known,
    dataflow_is_told_enough,
    flink_has_one_way_in,
    ports_are_ports,
)
from pipeline.project.rules_for_cluster import accelerators_have_a_kind, variables_differ
from pipeline.project.rules_for_paths import (
    data_files,
    push_directory,
    request_logs,
    root,
    schema_file,
    spans_pattern,
)
from pipeline.project.spec import Features, Metric, Project

Rule = Callable[[Project, pathlib.Path], Iterator[Problem]]

# Metric -> least and greatest value it can take, and whether "worse than the champion" has a meaning for it.
_METRICS: dict[str, tuple[float, float, bool]] = {
    **dict.fromkeys(("auc", "pr_auc", "accuracy", "precision", "recall", "f1"), (0.0, 1.0, True)),
    "log_loss": (0.0, float("inf"), True),
    "calibration": (0.0, float("inf"), True),
    "example_count": (0.0, float("inf"), False),
}
assert set(_METRICS) == set(get_args(Metric))


def broken(project: Project, directory: pathlib.Path, absent: Set[KeyPath]) -> list[Problem]:
    """Problems of all rules that need none of what is absent.

    Args:
      project: A project, or what is sound of one.
      directory: The project file's folder.
      absent: Paths of tables and keys that are missing from `project`, or have errors.
    """
    return [
        problem
        for needs, rule in RULES
        if not any(need[: len(path)] == path for need in needs for path in absent if path)
        for problem in rule(project, directory)
    ]


def special_columns_differ(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """Label, time and weight are three columns."""
    if project.label.column == project.data.time:
        yield Problem(("label", "column"), f"{project.label.column!r} is [data] time as well. Name the label's column.")
    if project.data.weight == project.label.column:
        yield Problem(("data", "weight"), f"{project.data.weight!r} is the label. Name a column of weights, or none.")
    if project.data.weight == project.data.time:
        yield Problem(("data", "weight"), f"{project.data.weight!r} is [data] time. Name a column of weights, or none.")
    for index, column in enumerate(project.data.key):
        if column in (project.label.column, project.data.weight):
            part = "the label" if column == project.label.column else "[data] weight"
            yield Problem(("data", "key", index), f"{column!r} is {part}, which does not name a row. Leave it out.")


def used_columns_are_kept(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """A column in `[data] drop` never enters the pipeline, so nothing else can use it."""
    dropped = set(project.data.drop)
    out = "Take it out of one of the two."
    for path, column in named_columns(project):
        if column in dropped:
            yield Problem(path, f"{column!r} is in [data] drop, so it never enters the pipeline. {out}")


def features_are_inputs(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """Label, time, weight and a row's name are nothing a model may learn from."""
    reasons = {project.data.time: "[data] time: the newest span's times are all new to the model. Use its parts (hour)"}
    if len(project.data.key) == 1:
        reasons[project.data.key[0]] = "[data] key: it names the row, and rows would be learnt by heart. Leave it out"
    if project.data.weight:
        reasons[project.data.weight] = "[data] weight, which the model does not see when it serves. Leave it out"
    reasons[project.label.column] = "the label: the model would read the answer. Leave it out"
    for path, column in _feature_columns(project):
        if column in reasons:
            yield Problem(path, f"{column!r} can't be a feature; it is {reasons[column]}.")


def features_exist(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """A model needs an input."""
    if not project.features.columns:
        yield Problem(("features",), "has no feature. Name columns under numeric, bucketized, categorical or cyclic.")


def crosses_have_parts(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """A cross is made of values with few ids: categories and buckets."""
    features = project.features
    crossable = [*features.categorical, *features.bucketized]
    for number, cross in enumerate(features.crosses):
        for index, column in enumerate(cross.features):
            if column in crossable:
                continue
            way = f"Add it to [features.categorical] or [features] bucketized.{near(column, crossable)}"
            yield Problem(
                ("features", "crosses", number, "features", index),
                f"{column!r} is neither categorical nor bucketized, so it can't be crossed. {way}",
                f"Allowed: {listed(dict.fromkeys(crossable))}.",
            )


def features_differ(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """No feature, cross, or part of a cross is named twice."""
    yield from _twice(("features", "numeric"), project.features.numeric)
    crosses = project.features.crosses
    yield from _twice(("features", "crosses"), [" x ".join(sorted(set(cross.features))) for cross in crosses])
    for number, cross in enumerate(crosses):
        yield from _twice(("features", "crosses", number, "features"), cross.features)


def data_columns_differ(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """No column is named twice in one list."""
    yield from _twice(("data", "key"), project.data.key)
    yield from _twice(("data", "drop"), project.data.drop)


def slices_differ(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """No slice, or column of a slice, is named twice."""
    slices = project.evaluation.slices
    yield from _twice(("evaluation", "slices"), [", ".join(sorted(set(item.columns))) for item in slices])
    for number, item in enumerate(slices):
        yield from _twice(("evaluation", "slices", number, "columns"), item.columns)


def slices_have_examples(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """A slice holds more than one row, and both labels."""
    reasons = {project.data.time: "[data] time, so every slice has few examples. Slice by its parts (month, weekday)"}
    if len(project.data.key) == 1:
        reasons[project.data.key[0]] = "[data] key, so every slice has one example. Slice by a category"
    if project.data.weight:
        reasons[project.data.weight] = "[data] weight. Slice by a category"
    reasons[project.label.column] = "the label, and most metrics need both labels in a slice. Slice by a category"
    for number, item in enumerate(project.evaluation.slices):
        for index, column in enumerate(item.columns):
            if column in reasons:
                path = ("evaluation", "slices", number, "columns", index)
                yield Problem(path, f"{column!r} can't make slices; it is {reasons[column]}.")


def thresholds_can_be_met(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """Bounds lie within what the metric can be, and one another."""
    for metric, bounds in project.evaluation.thresholds.items():
        path = ("evaluation", "thresholds", metric)
        least, most, _loss = _METRICS[metric]
        allowed = f"{metric} is between 0 and 1" if most == 1.0 else f"{metric} is 0 or more"
        if bounds.min is None and bounds.max is None and bounds.max_loss is None:
            yield Problem(path, "has no bound. Allowed: min, max, max_loss, at least one of them.")
        if bounds.min is not None and bounds.min > most:
            yield Problem((*path, "min"), f"{bounds.min:g} can't be met: {allowed}. Give a lower min.")
        if bounds.max is not None and bounds.max < least:
            yield Problem((*path, "max"), f"{bounds.max:g} can't be met: {allowed}. Give a higher max.")
        if bounds.min is not None and bounds.max is not None and bounds.min > bounds.max:
            yield Problem(path, f"min = {bounds.min:g} is above max = {bounds.max:g}: nothing lies between. Swap them?")


def something_is_held(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """A model is blessed by a bound it keeps, and the first one has no champion to be held against."""
    bounds = project.evaluation.thresholds.values()
    if all(bound.min is None and bound.max is None for bound in bounds):
        what = "has no min or max, so the first model, which has no champion to beat, could never be blessed."
        yield Problem(("evaluation", "thresholds"), f"{what} Give one, such as auc = {{ min = 0.6 }}.")


def losses_mean_something(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """`max_loss` needs a metric with a worse direction, and room to lose."""
    for metric, bounds in project.evaluation.thresholds.items():
        path = ("evaluation", "thresholds", metric, "max_loss")
        least, most, has_direction = _METRICS[metric]
        if bounds.max_loss is None:
            continue
        if not has_direction:
            meant = listed(name for name, (_, _, directed) in _METRICS.items() if directed)
            what = f"{bounds.max_loss:g} has no meaning: {metric} says nothing about the model."
            yield Problem(path, f"{what} Use min and max.", f"max_loss is for {meant}.")
        elif bounds.max_loss >= most - least:
            what = f"{bounds.max_loss:g} allows any loss: {metric} is between 0 and 1."
            yield Problem(path, f"{what} Give less than 1, or leave it out.")


def one_length_of_training(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """Training ends after `epochs` or after `steps`."""
    epochs, steps = project.model.epochs, project.model.steps
    if epochs is None and steps is None:
        yield Problem(("model",), "has neither epochs nor steps. Give exactly one of them, such as epochs = 10.")
    elif epochs is not None and steps is not None:
        yield Problem(("model", "steps"), f"{steps} stands beside epochs = {epochs}. Give exactly one of them.")


def window_can_fill(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """A window of at most `spans` can hold `min_spans`."""
    spans, least = project.window.spans, project.window.min_spans
    if spans is not None and spans < least:
        what = f"{spans} is less than min_spans = {least}, so no span could ever run."
        yield Problem(("window", "spans"), f"{what} Raise spans, or lower min_spans.")


_OF_THE_SPAN = ("volume", "day_volume", "duplicates", "repeated_rows")
_OF_TIME = ("freshness", "sentinel", "schema", "gap", "missing", "row_skew")


def gate_levels_in_order(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """What is reported is reported before it blocks."""
    gate = project.gate
    limits: list[tuple[KeyPath, Limit]] = [(("gate", n), limit) for n, limit in gate if isinstance(limit, Limit)]
    for feature, own in gate.features.items():
        limits += [(("gate", "features", feature, n), limit) for n, limit in own if isinstance(limit, Limit)]
    for path, limit in limits:
        if limit.warn is not None and limit.error is not None and limit.warn > limit.error:
            what = f"warn = {limit.warn:g} is above error = {limit.error:g}: it blocks before it warns."
            yield Problem(path, f"{what} Lower warn, or leave it out.")


def waivers_reach_something(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """A waiver names what a finding of its check is about, once."""
    for index, waiver in enumerate(project.gate.waivers):
        path = ("gate", "waivers", index, "feature")
        if waiver.check in _OF_THE_SPAN and waiver.feature != "*":
            what = f"{waiver.feature!r} has no {waiver.check} of its own: {waiver.check} is about the whole span."
            yield Problem(path, f"{what} Write feature = '*'.")
        elif waiver.check == "label_drift" and waiver.feature != project.label.column:
            what = f"{waiver.feature!r} is not the label, which label_drift is about."
            yield Problem(path, f"{what} Write feature = {project.label.column!r}.")
        elif waiver.check not in {*_OF_THE_SPAN, "schema"} and waiver.feature == "*":
            yield Problem(path, f"'*' is the whole span, and {waiver.check} is about columns. Name one column.")
    names = [f"{waiver.check} on {waiver.feature}" for waiver in project.gate.waivers]
    yield from _twice(("gate", "waivers"), names)


def gate_watches(project: Project, _: pathlib.Path) -> Iterator[Problem]:
    """`[data] time` is never compared, so a limit or waiver on it does nothing."""
    for path, column in _gate_columns(project):
        of_time = path[1] == "waivers" and project.gate.waivers[int(path[2])].check in _OF_TIME
        if column == project.data.time and not of_time:
            yield Problem(path, f"{column!r} is [data] time, which the gate does not compare. Leave it out.")


def named_columns(project: Project) -> Iterator[tuple[KeyPath, str]]:
    """Every column that the project uses, with the key that names it; `[data] drop` aside."""
    data = project.data
    yield ("data", "time"), data.time
    yield from ((("data", "key", index), column) for index, column in enumerate(data.key))
    if data.weight is not None:
        yield ("data", "weight"), data.weight
    yield ("label", "column"), project.label.column
    yield from _feature_columns(project)
    for number, item in enumerate(project.evaluation.slices):
        yield from ((("evaluation", "slices", number, "columns", i), column) for i, column in enumerate(item.columns))
    yield from _gate_columns(project)
    yield from ((("serving", "redact", index), column) for index, column in enumerate(project.serving.redact))


def _gate_columns(project: Project) -> Iterator[tuple[KeyPath, str]]:
    yield from ((("gate", "features", feature), feature) for feature in project.gate.features)
    for index, waiver in enumerate(project.gate.waivers):
        if waiver.feature != "*":
            yield ("gate", "waivers", index, "feature"), waiver.feature


def _feature_columns(project: Project) -> Iterator[tuple[KeyPath, str]]:
    features = project.features
    yield from ((("features", "numeric", index), column) for index, column in enumerate(features.numeric))
    for kind in ("bucketized", "categorical", "cyclic"):
        yield from ((("features", kind, column), column) for column in getattr(features, kind))
    for number, cross in enumerate(features.crosses):
        path = ("features", "crosses", number, "features")
        yield from (((*path, index), column) for index, column in enumerate(cross.features))


def _twice(path: KeyPath, names: Iterable[str]) -> Iterator[Problem]:
    for name, count in Counter(names).items():
        if count > 1:
            yield Problem(path, f"{shown(name)} stands there {count} times. Once is enough.")


def _needs(*keys: str) -> tuple[KeyPath, ...]:
    return tuple(tuple(key.split(".")) for key in keys)


RULES: tuple[tuple[tuple[KeyPath, ...], Rule], ...] = (
    (_needs("data.spans"), spans_pattern),
    (_needs("data.serving"), data_files),
    (_needs("data.serving", "serving.logs"), request_logs),
    (_needs("schema.path"), schema_file),
    (_needs("run.root", "data.spans", "schema.path"), root),
    (_needs("name", "push.directory", "run.root"), push_directory),
    (_needs("data.time", "label.column"), special_columns_differ),
    (_needs("data.spans"), data_columns_differ),
    (_needs("data.drop", "data.time", "label.column", "features", "evaluation", "gate"), used_columns_are_kept),
    (_needs("data.key", "data.time", "label.column", "features"), features_are_inputs),
    (_needs(*(f"features.{kind}" for kind in Features.model_fields)), features_exist),
    (_needs("features.categorical", "features.bucketized"), crosses_have_parts),
    (_needs("features"), features_differ),
    (_needs("evaluation"), slices_differ),
    (_needs("data.key", "data.time", "label.column", "evaluation"), slices_have_examples),
    (_needs("evaluation"), thresholds_can_be_met),
    (_needs("evaluation.thresholds"), something_is_held),
    (_needs("evaluation"), losses_mean_something),
    (_needs("model.epochs", "model.steps"), one_length_of_training),
    (_needs("window.spans", "window.min_spans"), window_can_fill),
    (_needs("gate"), gate_levels_in_order),
    (_needs("label.column", "gate"), waivers_reach_something),
    (_needs("data.time", "gate"), gate_watches),
    (_needs("cluster.env", "cluster.secrets"), variables_differ),
    (_needs("cluster.resources"), accelerators_have_a_kind),
    (_needs("beam"), beam_options_are_known),
    (_needs("beam.flink"), flink_has_one_way_in),
    (_needs("beam"), ports_are_ports),
    (_needs("beam", "cluster.image"), dataflow_is_told_enough),
)
