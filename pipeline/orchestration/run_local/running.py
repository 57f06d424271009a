"""A DAG's tasks one after another, as Argo would run them: none after a failed one, but an exit handler always."""

from __future__ import annotations

import itertools
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from components.errors import ExitCode, SpanwiseError, UsageError
from pipeline.observe import NodeRun, measured
from pipeline.orchestration.run_local import conditions, driver, launcher
from pipeline.orchestration.run_local.driver import Artifact, Ended, RunOf, Scope
from pipeline.orchestration.run_local.launcher import Place
from pipeline.orchestration.run_local.spec import Spec, Value

Notice = Callable[[NodeRun, Ended], None]
_WHATEVER_HAPPENED = "ALL_UPSTREAM_TASKS_COMPLETED"


class Running:
    """One run of a spec."""

    def __init__(
        self, spec: Spec, run: RunOf, folder: pathlib.Path, started: Callable[[str], None], ended: Notice
    ) -> None:
        """Nothing is run yet.

        Args:
          spec: what to run.
          run: its id and pipeline root.
          folder: below it each task has one.
          started: told of each container that begins.
          ended: told of each that ended.
        """
        self._spec, self._run, self._folder = spec, run, folder
        self._started, self._ended = started, ended
        self._ids = itertools.count(1)
        self._imports: dict[str, Artifact] = {}
        self.all: dict[str, Ended] = {}
        """Every task that ended, by name, in order."""

    def execute(self, parameters: Mapping[str, Any]) -> Ended:
        """Run the root DAG.

        Args:
          parameters: values of run parameters.

        Raises:
          UsageError: a parameter that the spec does not have, or a value that is not of its type.
        """
        declared = self._spec.root.get("inputDefinitions", {}).get("parameters", {})
        if unknown := sorted(set(parameters) - set(declared)):
            raise UsageError(
                f"--parameter {unknown[0]}: the pipeline has none of that name. It has: {_names(declared)}."
            )
        defaults = {name: each["defaultValue"] for name, each in declared.items() if "defaultValue" in each}
        given = {name: _of_type(name, value, declared[name]) for name, value in parameters.items()}
        return self._dag(self._spec.root["dag"], Scope({**defaults, **given}, {}, {}))

    def _dag(self, dag: Value, scope: Scope) -> Ended:
        for name, task in _in_order(dag["tasks"]):
            scope.ended[name] = self.all[name] = self._task(name, task, scope)
        failed = [each for each in scope.ended.values() if each.state == "FAILED"]
        if failed:
            return Ended("FAILED", failed[0].code, failed[0].error)
        return Ended("SUCCEEDED", 0, "", _selected(dag, scope), _selected_parameters(dag, scope))

    def _task(self, name: str, task: Value, scope: Scope) -> Ended:
        policy = task.get("triggerPolicy", {})
        before = [scope.ended[each].state for each in task.get("dependentTasks", ()) if each in scope.ended]
        if policy.get("strategy") != _WHATEVER_HAPPENED and set(before) - {"SUCCEEDED"}:
            return Ended("SKIPPED")
        if any("iterator" in key.lower() for key in task):
            raise UsageError(f"{name}: loops (ParallelFor) do not run here.")
        component = self._spec.components[task["componentRef"]["name"]]
        try:
            inputs = driver.resolve(self._run, name, task, component, scope)
            place = Place(self._folder / name)
            given = driver.executor_input(self._run, name, inputs, component, place.files(component))
            if (condition := policy.get("condition")) and not conditions.holds(condition, given):
                return Ended("SKIPPED")
        except UsageError:
            raise
        except SpanwiseError as error:
            return Ended("FAILED", int(ExitCode.FAILED), str(error))
        if "dag" in component:
            return self._dag(component["dag"], Scope(inputs.parameters, inputs.artifacts, {}))
        executor = self._spec.executors[component["executorLabel"]]
        if "importer" in executor:
            return self._imported(name, executor["importer"], component, inputs.parameters)
        if "container" not in executor:
            kind = ", ".join(executor)
            return Ended("FAILED", 1, f"{name}: a {kind} is neither a container nor an importer: not implemented.")
        return self._container(name, component, given, place)

    def _imported(self, name: str, importer: Value, component: Value, parameters: Mapping[str, Any]) -> Ended:
        source = importer.get("artifactUri", {})
        uri = source.get("constant", parameters.get(source.get("runtimeParameter", ""), ""))
        if not uri:
            return Ended("FAILED", 1, f"{name}: artifact uri not provided.")
        (key,) = component["outputDefinitions"]["artifacts"]
        artifact = Artifact(next(self._ids), importer["typeSchema"], str(uri), importer.get("metadata", {}))
        if not importer.get("reimport"):
            same = json.dumps([artifact.type, artifact.uri, artifact.metadata], sort_keys=True)
            artifact = self._imports.setdefault(same, artifact)
        return Ended("SUCCEEDED", artifacts={key: artifact})

    def _container(self, name: str, component: Value, given: Value, place: Place) -> Ended:
        label = component["executorLabel"]
        container, platform = self._spec.executors[label]["container"], self._spec.platform.get(label, {})
        spent = NodeRun(name)
        self._started(name)
        try:
            with measured(spent):
                made = launcher.launch(container, platform, given, component, place, self._run.id)
            ended = Ended("SUCCEEDED", 0, "", dict(self._published(made.artifacts)), made.parameters)
        except launcher.CommandFailed as error:
            ended, spent.error = Ended("FAILED", error.code, str(error)), error
        except SpanwiseError as error:
            ended, spent.error = Ended("FAILED", int(ExitCode.FAILED), f"{name}: {error}"), error
        except KeyboardInterrupt as error:
            spent.error = error
            self._ended(spent, Ended("FAILED", int(ExitCode.INTERRUPTED), "Stopped."))
            raise
        self._ended(spent, ended)
        if ended.state == "SUCCEEDED":
            place.clear()
        return ended

    def _published(self, made: Mapping[str, Value]) -> Iterator[tuple[str, Artifact]]:
        for key, one in made.items():
            yield key, Artifact(next(self._ids), one["type"], one["uri"], one.get("metadata", {}))


def _of_type(name: str, value: Any, declared: Value) -> Any:
    """A value from the command line as the API would take it: texts are texts, all else is JSON."""
    kind = declared.get("parameterType", "STRING")
    if kind == "STRING" or not isinstance(value, str):
        return value
    try:
        return json.loads(value.lower() if kind == "BOOLEAN" else value)
    except ValueError as error:
        raise UsageError(f"--parameter {name}={value}: not a {kind}.") from error


def _in_order(tasks: Mapping[str, Value]) -> Iterator[tuple[str, Value]]:
    """Tasks, each after those it depends on.

    Raises:
      UsageError: they depend on each other in a circle, or on one that is not there.
    """
    done: set[str] = set()
    left = dict(tasks)
    while left:
        ready = [name for name, task in left.items() if _needs(task) <= done]
        if not ready:
            raise UsageError(f"tasks that wait for each other, or for one that is not there: {', '.join(left)}.")
        for name in ready:
            yield name, left.pop(name)
            done.add(name)


def _needs(task: Value) -> set[str]:
    inputs = task.get("inputs", {})
    sources = [*inputs.get("artifacts", {}).values(), *inputs.get("parameters", {}).values()]
    produced = {each[kind]["producerTask"] for each in sources for kind in each if kind.startswith("taskOutput")}
    return {*task.get("dependentTasks", ()), *produced}


def _selected(dag: Value, scope: Scope) -> dict[str, Artifact]:
    found: dict[str, Artifact] = {}
    for key, several in dag.get("outputs", {}).get("artifacts", {}).items():
        for selector in several.get("artifactSelectors", ()):
            ended = scope.ended[selector["producerSubtask"]]
            if selector["outputArtifactKey"] in ended.artifacts:
                found[key] = ended.artifacts[selector["outputArtifactKey"]]
    return found


def _selected_parameters(dag: Value, scope: Scope) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, source in dag.get("outputs", {}).get("parameters", {}).items():
        selector = source.get("valueFromParameter", {})
        ended = scope.ended.get(selector.get("producerSubtask", ""))
        if ended is not None and selector["outputParameterKey"] in ended.parameters:
            found[key] = ended.parameters[selector["outputParameterKey"]]
    return found


def _names(declared: Mapping[str, Any]) -> str:
    return ", ".join(declared) or "no parameter"
