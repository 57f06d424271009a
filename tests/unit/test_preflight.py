"""The preflight: a failing file for each rule, real specs of TFX's compiler, and silence on the kfp SDK's."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import operator
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.errors import SpanwiseError, UsageError
from pipeline import cli
from pipeline.orchestration import preflight
from tests.integration.workbench import environment
from tests.preflight import tfx_pipelines

FOLDER = pathlib.Path(__file__).parents[1] / "preflight"
# <rule>[--<variant>].yaml is a sound pipeline but for what its rule is about.
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".yaml", ".json"))
# What is wrong with TFX's own specs, as was measured on Kubeflow Pipelines 2.17.
OF_TFX = {
    "taxi.yaml": {"stock-entrypoint"},
    "taxi-default.json": {"stock-entrypoint", "pipeline-job", "schema-version"},
    "taxi-resolver.yaml": {"stock-entrypoint", "resolver", "task-id"},
    "taxi-condition.yaml": {"stock-entrypoint"},
    "taxi-condition-no-thresholds.yaml": {"stock-entrypoint", "blessed-condition"},
    "taxi-runtime-parameter.yaml": {"stock-entrypoint", "dropped-default"},
    "taxi-span.yaml": {"stock-entrypoint", "span-pattern"},
    "taxi-ids.yaml": {"stock-entrypoint", "task-id"},
    "taxi-own-entrypoint.yaml": set(),
    "value.yaml": {"stock-entrypoint", "unknown-producer"},
    "exit-handler.yaml": {"stock-entrypoint"},
}


def rules(path: pathlib.Path, severity: str | None = None, target: preflight.Target = "kubeflow") -> set[str]:
    findings = preflight.check(preflight.read(path), target)
    return {finding.rule for finding in findings if severity in (None, finding.severity)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_file_is_found_out_by_its_rule_and_by_no_other(path: pathlib.Path) -> None:
    rule = path.stem.split("--")[0]
    target: preflight.Target = "vertex" if rule.startswith("vertex") else "kubeflow"
    assert rules(path, target=target) == ({rule} if rule != "good" else set())


def test_every_rule_has_a_file_that_fails_it() -> None:
    named = {path.stem.split("--")[0] for path in FILES} | {"too-large"}  # made below: a file of a megabyte
    assert {preflight.name_of(rule) for each in preflight.RULES.values() for rule in each} <= named


def test_every_rule_is_in_the_documents() -> None:
    page = (FOLDER.parents[1] / "docs" / "compile.md").read_text()
    named = {preflight.name_of(rule) for each in preflight.RULES.values() for rule in each}
    assert {name for name in named if f"`{name}`" not in page} == set()


def test_a_file_that_would_not_fit_into_kubernetes_is_named() -> None:
    good = (FOLDER / "good.yaml").read_text()
    padded = good.replace("name: acme-pipeline", f"name: acme-pipeline\n  description: {'x' * 1_000_000}")
    assert [finding.rule for finding in preflight.check(preflight.parsed(padded, "x"))] == ["too-large"]


def test_every_finding_says_where_what_and_the_way_out() -> None:
    for path in FILES:
        for finding in preflight.check(preflight.read(path)):
            assert finding.where and finding.what.endswith((".", ")")) and finding.way_out.endswith((".", ")")), path


@pytest.mark.parametrize("name", OF_TFX)
def test_specs_of_tfxs_own_compiler_are_told_what_kubeflow_refuses(name: str) -> None:
    path = FOLDER / "tfx" / name
    assert rules(path, "error") == OF_TFX[name]
    # TFX's ExampleGen looks for its files in a hook that only Vertex runs; a spec without its job loses the root.
    hooked, bare = name not in tfx_pipelines.OF_FUNCTIONS, name.endswith(".yaml")
    assert rules(path, "warn") == {*(["driver-hook"] if hooked else []), *(["pipeline-root"] if bare else [])}
    assert {"stock-entrypoint", "resolver", "pipeline-job"}.isdisjoint(rules(path, target="vertex"))


def test_specs_of_tfx_are_of_all_its_variants() -> None:
    assert set(OF_TFX) == {*(variant.file for variant in tfx_pipelines.VARIANTS), *tfx_pipelines.OF_FUNCTIONS}
    assert set(OF_TFX) == {path.name for path in (FOLDER / "tfx").iterdir()}


_ODD = [None, [], {}, "x", "", 3, -1, math.inf, math.nan, True, "{{$.inputs}}", ["a"], {"a": 1}, "9" * 20 + "s", "NaN"]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in nested dicts and lists something stands."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


@given(data=st.data(), path=st.sampled_from(FILES), target=st.sampled_from(["kubeflow", "vertex"]))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_file_with_anything_anywhere_is_judged_or_refused(data: Any, path: pathlib.Path, target: Any) -> None:
    documents = list(yaml.safe_load_all(path.read_text()))
    *way, last = data.draw(st.sampled_from(sorted(places(documents[0]), key=repr)))
    inside = functools.reduce(operator.getitem, way, documents[0])
    if data.draw(st.booleans()):
        del inside[last]
    else:
        inside[last] = data.draw(st.sampled_from(_ODD))
    with contextlib.suppress(SpanwiseError):
        for finding in preflight.check(preflight.parsed(yaml.safe_dump_all(documents), "x"), target):
            assert finding.what and finding.way_out


@pytest.mark.slow
def test_tfx_still_writes_these_specs(tmp_path: pathlib.Path) -> None:
    tfx_pipelines.make(tmp_path)
    for name in OF_TFX:
        made, kept = (preflight.read(folder / name) for folder in (tmp_path, FOLDER / "tfx"))
        assert made.spec == kept.spec and made.deployment == kept.deployment


def test_specs_of_the_kfp_sdk_raise_no_alarm(tmp_path: pathlib.Path) -> None:
    subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.preflight.sdk_pipelines", str(tmp_path)],
        cwd=FOLDER.parents[1],
        env=environment(),
        check=True,
    )
    found = {path.name: rules(path) for path in sorted(tmp_path.iterdir())}
    assert len(found) == 9
    # Said to whoever gives names of their own to be shown; the SDK's own example of what fails on older servers.
    assert found.pop("display-names.yaml") == {"display-name"}
    assert found == {name: set() for name in found}


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("", "holds no pipeline"),
        ("a: [", "neither YAML nor JSON"),
        ("{", "neither YAML nor JSON"),
        ("- 1\n- 2\n", "holds no pipeline"),
        ("just text", "holds no pipeline"),
        ("apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n", "an Argo workflow, as Kubeflow Pipelines v1 took"),
        ("[spans]\n", "holds no pipeline"),
        ("? [a, b]\n: 1\nroot: {}", "neither YAML nor JSON"),
    ],
)
def test_what_is_no_pipeline_is_a_sentence(text: str, phrase: str) -> None:
    with pytest.raises(UsageError, match=phrase):
        preflight.parsed(text, "x.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "root: 3",
        "root: {dag: []}",
        "components: [a]\nroot: {}",
        "root: {dag: {tasks: {a: null}}}",
        "pipelineInfo: {name: 3}",
        "deploymentSpec: {executors: {a: {container: {args: 3}}}}\nroot: {}",
        "root: {}\ndeploymentSpec: 7",
        "root: {}\n---\nplatforms: [1]",
        "root: {dag: {tasks: {a: {inputs: {parameters: {x: {runtimeValue: {constant: [1, {y: .nan}]}}}}}}}}",
        "1: 2\nroot: {dag: {tasks: {a: {}}}}",
    ],
)
def test_whatever_stands_there_the_answer_is_findings(text: str) -> None:
    assert preflight.check(preflight.parsed(text, "x.yaml"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["compile", "--check", *arguments])
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out, told.err


def test_the_command_line_tells_findings_and_exits_by_them(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, str(FOLDER / "tfx" / "taxi-default.json"), "--format", "json")
    found = json.loads(out)
    assert code == 1 and found["errors"] == 3
    assert {each["rule"] for each in found["findings"] if each["severity"] == "error"} == OF_TFX["taxi-default.json"]
    code, out, _ = run(capsys, str(FOLDER / "image-tag.yaml"))
    assert code == 0 and "image-tag.yaml: 1 warning, for kubeflow." in out
    assert out.startswith("WARN   executor exec-make: image 'ghcr.io/acme/steps:latest' has no tag of its own")
    code, _, err = run(capsys, "nothing.yaml")
    assert code == 2 and "nothing.yaml: cannot be read: No such file" in err
