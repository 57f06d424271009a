"""Rules about what refers to what: components, executors, producers, inputs, order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from pipeline.orchestration.preflight.finding import Problem
from pipeline.orchestration.preflight.subject import ROOT, Json, Subject, Task

_OPTIONAL = ("isOptional", "defaultValue")
_SINGULAR = {"artifacts": "Artifact", "parameters": "Parameter"}


def unknown_component(subject: Subject) -> Iterator[Problem]:
    """Every task refers to a component that is there."""
    for task in subject.tasks():
        if task.component not in subject.components:
            yield Problem(
                task.where,
                f"refers to component {task.component!r}, which is not there.",
                f"Components there: {', '.join(sorted(subject.components)) or 'none'}.",
            )


def unknown_executor(subject: Subject) -> Iterator[Problem]:
    """Every component runs an executor that is there, or is a DAG."""
    for name, component in subject.components.items():
        label = component.get("executorLabel")
        if "dag" not in component and label not in subject.executors:
            yield Problem(
                f"component {name}",
                f"runs executor {label!r}, which is not there." if label else "has neither a DAG nor an executor.",
                f"Executors there: {', '.join(sorted(subject.executors)) or 'none'}.",
            )


def no_executor_kind(subject: Subject) -> Iterator[Problem]:
    """An executor does something."""
    for label, executor in subject.executors.items():
        if not executor:
            yield Problem(f"executor {label}", "does nothing: no container, no importer.", "Give it a container.")


def unknown_producer(subject: Subject) -> Iterator[Problem]:
    """Inputs come from tasks of the same DAG."""
    for dag in subject.dags():
        names = {task.name for task in subject.tasks(dag)}
        for task in subject.tasks(dag):
            for producer in (*task.producers, *task.watched):
                if producer in names:
                    continue
                hint = ""
                if producer.removesuffix("_task") in names:
                    hint = f" TFX writes '{producer}' for a parameter that comes from a component's output; the task "
                    hint += f"is {producer.removesuffix('_task')!r}."
                yield Problem(
                    task.where,
                    f"takes an output of task {producer!r}, which is not in its DAG.{hint}",
                    f"Tasks there: {', '.join(sorted(names))}. Into a DAG, outputs go by its inputs.",
                )


def unknown_dependency(subject: Subject) -> Iterator[Problem]:
    """A task waits for tasks of its own DAG."""
    for dag in subject.dags():
        names = {task.name for task in subject.tasks(dag)}
        for task in subject.tasks(dag):
            for name in task.spec.get("dependentTasks", ()):
                if name not in names:
                    yield Problem(
                        task.where,
                        f'waits for task {name!r}, which is not in its DAG; Argo: "invalid dependency".',
                        f"Tasks there: {', '.join(sorted(names))}.",
                    )


def unknown_output(subject: Subject) -> Iterator[Problem]:
    """What a task takes of another, that one has."""
    for dag in subject.dags():
        beside = {task.name: task for task in subject.tasks(dag)}
        for task in subject.tasks(dag):
            for kind, given in task.inputs:
                key = _SINGULAR[kind]
                for name, each in given.items():
                    source = each.get(f"taskOutput{key}", {})
                    producer, output = beside.get(source.get("producerTask")), source.get(f"output{key}Key")
                    if producer is None or output in _outputs(subject, producer, kind):
                        continue
                    yield Problem(
                        task.where,
                        f"input {name!r} is output {output!r} of {producer.name}, which has none of that name.",
                        f"Its {kind}: {', '.join(_outputs(subject, producer, kind)) or 'none'}.",
                    )


def unknown_dag_output(subject: Subject) -> Iterator[Problem]:
    """What a DAG hands out, a task in it makes."""
    for dag in subject.dags():
        names = {task.name for task in subject.tasks(dag)}
        outputs = subject.component(dag).get("dag", {}).get("outputs", {})
        for producer in _selected(outputs):
            if producer not in names:
                yield Problem(
                    f"outputs of {dag}",
                    f"are taken from task {producer!r}, which is not in that DAG.",
                    f"Tasks there: {', '.join(sorted(names))}.",
                )


def undeclared_input(subject: Subject) -> Iterator[Problem]:
    """What a task is given, its component says that it takes."""
    for task, component in _known(subject):
        for kind, given in task.inputs:
            declared = component.get("inputDefinitions", {}).get(kind, {})
            if extra := sorted(set(given) - set(declared)):
                yield Problem(
                    task.where,
                    f"is given {', '.join(extra)}, which component {task.component} does not list among its input "
                    f"{kind}: handed on without a type, or not at all.",
                    f"List them under inputDefinitions.{kind} of the component.",
                )


def missing_input(subject: Subject) -> Iterator[Problem]:
    """What a component cannot do without, its task is given."""
    for task, component in _known(subject):
        for kind, given in task.inputs:
            declared = component.get("inputDefinitions", {}).get(kind, {})
            needed = {name for name, each in declared.items() if not any(key in each for key in _OPTIONAL)}
            if missing := sorted(needed - set(given) - _iterated(task)):
                yield Problem(
                    task.where,
                    f"is not given {', '.join(missing)}, which component {task.component} needs.",
                    f"Give them under inputs.{kind}, or make them optional in the component.",
                )


def same_artifact(subject: Subject) -> Iterator[Problem]:
    """Metadata stores link an artifact to a task once, under one name."""
    for dag in subject.dags():
        beside = {task.name: task for task in subject.tasks(dag)}
        for task in subject.tasks(dag):
            seen: dict[str, str] = {}
            for name, source in sorted(task.artifacts.items()):
                if (first := seen.setdefault(_identity(subject, beside, source), name)) != name:
                    yield Problem(
                        task.where,
                        f"takes one artifact twice, as {first} and as {name}. Kubeflow's metadata store takes it once "
                        '("Given event already exists"), and Vertex hands on one of the two.',
                        "Take it once, or make two of it: other addresses, or reimport, where importers give it.",
                    )


def undeclared_parent_input(subject: Subject) -> Iterator[Problem]:
    """What a task takes of the DAG around it, that DAG is given."""
    for task in subject.tasks():
        around = subject.component(task.dag).get("inputDefinitions", {})
        for kind, given in task.inputs:
            key = f"componentInput{_SINGULAR[kind]}"
            wanted = {each[key] for each in given.values() if key in each}
            if missing := sorted(wanted - set(around.get(kind, {}))):
                where = "the pipeline" if task.dag == ROOT else task.dag
                yield Problem(
                    task.where,
                    f"takes {', '.join(missing)} from {where}, which has no input of that name among its {kind}.",
                    f"List it under inputDefinitions.{kind} of {where}.",
                )


def cycle(subject: Subject) -> Iterator[Problem]:
    """No task waits for itself, by whatever way round."""
    for dag in subject.dags():
        waits = {task.name: sorted(set(task.depends)) for task in subject.tasks(dag)}
        if around := _cycle(waits):
            yield Problem(
                f"task {around[0]}",
                f"waits for itself: {' <- '.join([*around, around[0]])}.",
                "Take one of these dependencies away.",
            )


def orphan_ending(subject: Subject) -> Iterator[Problem]:
    """What runs at the end of something says of what."""
    for task in subject.tasks():
        if task.is_ending and not task.depends:
            yield Problem(
                task.where,
                "is to run when others have completed, and waits for none: Kubeflow never runs it.",
                "Name in dependentTasks what it comes after.",
            )


def _known(subject: Subject) -> Iterator[tuple[Task, Json]]:
    for task in subject.tasks():
        if task.component in subject.components:
            yield task, subject.component(task.component)


def _identity(subject: Subject, beside: Mapping[str, Task], source: Json) -> str:
    """What tells an artifact from others. Importers of one address, type and metadata find the same one."""
    producer = beside.get(source.get("taskOutputArtifact", {}).get("producerTask", ""))
    importer = subject.executor(producer).get("importer", {}) if producer is not None else {}
    uri = importer.get("artifactUri", {})
    if importer and not importer.get("reimport") and "runtimeParameter" not in uri:
        source = {key: importer.get(key) for key in ("artifactUri", "typeSchema", "metadata")}
    return json.dumps(source, sort_keys=True)


def _iterated(task: Task) -> set[str]:
    """Inputs that a loop gives."""
    iterators = (task.spec.get("parameterIterator", {}), task.spec.get("artifactIterator", {}))
    return {str(each["itemInput"]) for each in iterators if "itemInput" in each}


def _outputs(subject: Subject, task: Task, kind: str) -> list[str]:
    found: Mapping[str, Json] = subject.component(task.component).get("outputDefinitions", {}).get(kind, {})
    # Beside its own, a component may hand out what the server adds.
    return [*sorted(found), *(["executor-logs"] if kind == "artifacts" else [])]


def _selected(outputs: Json) -> Iterator[str]:
    for each in outputs.get("artifacts", {}).values():
        yield from (str(one.get("producerSubtask", "")) for one in each.get("artifactSelectors", ()))
    for each in outputs.get("parameters", {}).values():
        if "valueFromParameter" in each:
            yield str(each["valueFromParameter"].get("producerSubtask", ""))
        for one in each.get("valueFromOneof", {}).get("parameterSelectors", ()):
            yield str(one.get("producerSubtask", ""))


def _cycle(waits: Mapping[str, list[str]]) -> list[str]:
    """Tasks that wait for one another in a ring; empty where there is none."""
    done: set[str] = set()
    for start in sorted(waits):
        path: list[str] = []
        stack = [(start, iter(waits[start]))] if start not in done else []
        path += [start] if stack else []
        while stack:
            name, rest = stack[-1]
            following = next((each for each in rest if each in waits and each not in done), None)
            if following is None:
                done.add(name)
                stack.pop()
                path.pop()
            elif following in path:
                return path[path.index(following) :]
            else:
                stack.append((following, iter(waits[following])))
                path.append(following)
    return []
