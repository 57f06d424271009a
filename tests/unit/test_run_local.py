"""Run-local on small specs: what the driver and the launcher do, with a shell in each container."""

from __future__ import annotations

import io
import json
import pathlib
from typing import Any

import pytest
import yaml

from components import objects
from components.errors import ExitCode, UsageError
from pipeline.orchestration import run_local
from pipeline.orchestration.run_local import conditions
from tests.object_server import s3_server, stand_in, use

ROOT = "s3://lake/root"
TYPE = {"instanceSchema": "title: tfx.Examples\ntype: object\n"}


def shell(script: str, *arguments: str) -> dict[str, Any]:
    return {"container": {"image": "none", "command": ["sh", "-c", script], "args": list(arguments)}}


def component(
    label: str,
    inputs: dict[str, Any] | None = None,
    outputs: list[str] | tuple[str, ...] = (),
    parameters: dict[str, str] | None = None,
    out: tuple[str, ...] = (),
) -> dict[str, Any]:
    return {
        "executorLabel": label,
        "inputDefinitions": {
            "artifacts": {key: {"artifactType": TYPE} for key in inputs or ()},
            "parameters": {key: {"parameterType": kind} for key, kind in (parameters or {}).items()},
        },
        "outputDefinitions": {
            "artifacts": {key: {"artifactType": TYPE} for key in outputs},
            "parameters": {key: {"parameterType": "NUMBER_INTEGER"} for key in out},
        },
    }


def task(
    name: str,
    after: tuple[str, ...] = (),
    artifacts: dict[str, tuple[str, str]] | None = None,
    parameters: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    sources = {
        key: {"taskOutputArtifact": {"producerTask": node, "outputArtifactKey": output}}
        for key, (node, output) in (artifacts or {}).items()
    }
    given = {
        key: value if isinstance(value, dict) else {"runtimeValue": {"constant": value}}
        for key, value in (parameters or {}).items()
    }
    return {
        "componentRef": {"name": f"comp-{name}"},
        "taskInfo": {"name": name},
        "dependentTasks": list(after),
        "inputs": {"artifacts": sources, "parameters": given},
        **more,
    }


def spec(tasks: dict[str, Any], components: dict[str, Any], executors: dict[str, Any], **root: Any) -> str:
    return yaml.safe_dump_all(
        [
            {
                "pipelineInfo": {"name": "small"},
                "schemaVersion": "2.1.0",
                "defaultPipelineRoot": ROOT,
                "components": {f"comp-{name}": value for name, value in components.items()},
                "deploymentSpec": {"executors": executors},
                "root": {"dag": {"tasks": tasks}, **root},
            }
        ]
    )


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    use(monkeypatch, stand_in(tmp_path / "objects"))
    return tmp_path / "objects" / "s3" / "lake"


def ran(text: str, folder: pathlib.Path, **parameters: str) -> tuple[run_local.Ran, str]:
    screen = io.StringIO()
    result = run_local.run(run_local.parsed(text, "small.yaml"), folder / "work", screen, parameters)
    return result, screen.getvalue()


MAKE = 'mkdir -p "$0/deep" && printf "$1" > "$0/deep/data"'
MADE = "{{$.outputs.artifacts['made'].path}}"
TOOK = "{{$.inputs.artifacts['took'].path}}"


def two_nodes(script: str) -> str:
    return spec(
        {
            "first": task("first", parameters={"n": 3}),
            "second": task("second", ("first",), {"took": ("first", "made")}),
        },
        {
            "first": component("one", outputs=["made"], parameters={"n": "NUMBER_INTEGER"}),
            "second": component("two", inputs={"took": 1}, outputs=["made"]),
        },
        {
            "one": shell(MAKE, MADE, "number {{$.inputs.parameters['n']}}"),
            "two": shell(script, TOOK, MADE),
        },
    )


def test_artifacts_go_from_task_to_task_through_the_object_store_alone(
    lake: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    copy = 'mkdir -p "$1" && cp -r "$0/deep" "$1/" && test "$(dirname $PWD)" != "$SPANWISE_MOUNTS"'
    result, screen = ran(two_nodes(copy), tmp_path)
    assert result.exit_code == ExitCode.DONE
    made = result.tasks["second"].artifacts["made"].uri
    assert made.startswith(f"{ROOT}/small/{result.id}/second/") and made.endswith("/made")
    assert (objects.read(f"{made}/deep/data") or pytest.fail()).data == b"number 3"
    assert [line.split()[:2] for line in screen.splitlines()] == [["ok", "first"], ["ok", "second"]]
    assert [path.name for path in sorted((result.folder / "first").iterdir())] == ["log.txt"], "mounts are gone"


def test_it_works_the_same_on_an_s3_server(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    with s3_server("lake") as environment:
        use(monkeypatch, environment)
        result, _ = ran(two_nodes('mkdir -p "$1" && cp -r "$0/deep" "$1/"'), tmp_path)
        assert result.exit_code == ExitCode.DONE
        found = objects.read(f"{result.tasks['second'].artifacts['made'].uri}/deep/data")
        assert found is not None and found.data == b"number 3"


def test_executor_input_is_as_the_driver_sends_it(lake: pathlib.Path, tmp_path: pathlib.Path) -> None:
    text = spec(
        {
            "import": task("import"),
            "look": task(
                "look", ("import",), {"took": ("import", "result")}, {"n": 3, "run": "{{$.pipeline_job_uuid}}"}
            ),
        },
        {
            "import": component("imp", outputs=["result"]),
            "look": component("look", {"took": 1}, ["made"], {"n": "NUMBER_INTEGER", "run": "STRING"}),
        },
        {
            "imp": {
                "importer": {
                    "artifactUri": {"constant": "s3://lake/imports/x"},
                    "typeSchema": TYPE,
                    "metadata": {"span": 7, "names": '["eval"]', "good": True, "by": {"eval": 1}, "some": [1]},
                }
            },
            "look": shell(
                'mkdir -p "$1"; printf "%s" "$0" > "$1/input"; printf "%s" "$2" > "$1/word"',
                "{{$}}",
                MADE,
                "{{$.pipeline_job_uuid}}",
            ),
        },
    )
    result, _ = ran(text, tmp_path)
    made = result.tasks["look"].artifacts["made"].uri
    given = json.loads((objects.read(f"{made}/input") or pytest.fail()).data)
    assert given["inputs"]["parameterValues"] == {"n": 3.0, "run": result.id}
    assert type(given["inputs"]["parameterValues"]["n"]) is float
    (took,) = given["inputs"]["artifacts"]["took"]["artifacts"]
    assert took["type"] == {"instanceSchema": ""}
    assert took["metadata"] == {
        "display_name": "took",
        "store_session_info": "{}",
        "span": 7.0,
        "names": '["eval"]',
        "good": 1.0,
        "by": {"struct": {"eval": 1.0}},
        "some": {"list": [1.0]},
    }
    assert set(given["outputs"]["artifacts"]) == {"made", "executor-logs"}
    word = (objects.read(f"{made}/word") or pytest.fail()).data
    assert word == b"{{$.pipeline_job_uuid}}", "the launcher fills nothing in there, and so run-local does not"


def handled(middle: str, last: str = "true") -> str:
    """A DAG in an exit handler."""
    inner = {"first": task("first"), "second": task("second", ("first",))}
    return spec(
        {
            "nodes": task("nodes"),
            "last": task(
                "last",
                ("nodes",),
                parameters={"status": {"taskFinalStatus": {"producerTask": "nodes"}}},
                triggerPolicy={"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
            ),
        },
        {
            "nodes": {"dag": {"tasks": inner}},
            "first": component("one"),
            "second": component("two"),
            "last": component("three", parameters={"status": "STRUCT"}),
        },
        {"one": shell(middle), "two": shell("true"), "three": shell(last, "{{$.inputs.parameters['status']}}")},
    )


@pytest.mark.parametrize(("code", "expected"), [(10, 10), (12, 12), (2, 2), (7, 1)])
def test_a_failure_stops_what_comes_after_but_not_the_exit_handler(
    lake: pathlib.Path, tmp_path: pathlib.Path, code: int, expected: int
) -> None:
    script = f"echo noise; echo 'spanwise: first: no good.' >&2; exit {code}"
    result, screen = ran(handled(script, f'echo "$0" > {tmp_path}/status'), tmp_path)
    assert {name: one.state for name, one in result.tasks.items()} == {
        "first": "FAILED",
        "second": "SKIPPED",
        "nodes": "FAILED",
        "last": "SUCCEEDED",
    }
    assert result.exit_code == expected
    assert "FAILED  spanwise: first: no good." in screen
    status = json.loads((tmp_path / "status").read_text())
    assert (status["state"], status["error"]["code"]) == ("FAILED", code)
    assert "noise" in (result.folder / "first" / "log.txt").read_text()


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ('{"artifacts": {}, "extra": 1}', "unknown field 'extra'"),
        ('{"artifacts": {"made": {"artifacts": [{"uri": "s3://lake/x", "state": "LIVE"}]}}}', "unknown field 'state'"),
        ('{"artifacts": {"made": {"artifacts": [{"metadata": {"x": null}}]}}}', "null cannot be recorded"),
        ("{", "failed to unmarshal"),
    ],
)
def test_the_output_file_is_held_to_what_the_launcher_takes(
    lake: pathlib.Path, tmp_path: pathlib.Path, written: str, complaint: str
) -> None:
    script = "import json, sys; open(json.loads(sys.argv[1])['outputs']['outputFile'], 'w').write(sys.argv[2])"
    writes = {"container": {"command": ["python", "-c", script], "args": ["{{$}}", written]}}
    text = spec({"only": task("only")}, {"only": component("one", outputs=["made"])}, {"one": writes})
    result, screen = ran(text, tmp_path)
    assert result.exit_code == ExitCode.FAILED
    assert complaint in screen


def test_parameters_have_defaults_and_conditions_skip(lake: pathlib.Path, tmp_path: pathlib.Path) -> None:
    condition = "inputs.parameter_values['word'] == 'go' && int(inputs.parameter_values['n']) > 2"
    given = {
        "word": {"componentInputParameter": "word"},
        "n": {"taskOutputParameter": {"producerTask": "count", "outputParameterKey": "n"}},
    }
    text = spec(
        {
            "count": task("count"),
            "maybe": task("maybe", ("count",), parameters=given, triggerPolicy={"condition": condition}),
            "after": task("after", ("maybe",)),
        },
        {
            "count": component("count", out=("n",)),
            "maybe": component("maybe", parameters={"word": "STRING", "n": "NUMBER_INTEGER"}),
            "after": component("after"),
        },
        {
            "count": shell("echo 3 > $0", "{{$.outputs.parameters['n'].output_file}}"),
            "maybe": shell("true"),
            "after": shell("true"),
        },
        inputDefinitions={"parameters": {"word": {"parameterType": "STRING", "defaultValue": "stay"}}},
    )
    states = lambda result: [one.state for one in result.tasks.values()]  # noqa: E731
    assert states(ran(text, tmp_path)[0]) == ["SUCCEEDED", "SKIPPED", "SKIPPED"]
    assert states(ran(text, tmp_path, word="go")[0]) == ["SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]
    with pytest.raises(UsageError, match="--parameter wrod: the pipeline has none of that name"):
        ran(text, tmp_path, wrod="go")


def test_what_kfp_compiles_runs(lake: pathlib.Path, tmp_path: pathlib.Path) -> None:
    text = (pathlib.Path(__file__).parent / "specs" / "kfp-2.5.0.yaml").read_text()
    done, _ = ran(text, tmp_path)
    assert done.exit_code == ExitCode.DONE
    assert (done.folder / "show" / "log.txt").read_text().split("\n") == ["3", "hi there", ""]
    fewer, _ = ran(text, tmp_path, n="1")
    assert (fewer.tasks["condition-2"].state, fewer.tasks["bye"].state) == ("SKIPPED", "SUCCEEDED")
    assert "show" not in fewer.tasks
    with pytest.raises(UsageError, match="--parameter n=many: not a NUMBER_INTEGER"):
        ran(text, tmp_path, n="many")


def test_conditions_are_tfxs_and_kfps() -> None:
    blessed = {"inputs": {"artifacts": {"b": {"artifacts": [{"metadata": {"blessed": 1.0}}]}}, "parameterValues": {}}}
    text = "inputs.artifacts['b'].artifacts[0].metadata['blessed']"
    assert conditions.holds(f"{text} == 1.0", blessed)
    assert not conditions.holds(f"!({text} == 1.0) || {text} > 1.0", blessed)
    for broken in ("inputs.artifacts['none'].artifacts[0].uri == ''", "__import__('os')", "{text", "inputs.x()"):
        with pytest.raises(Exception, match="condition"):
            conditions.holds(broken, blessed)


def test_what_does_not_run_here_is_a_sentence(lake: pathlib.Path, tmp_path: pathlib.Path) -> None:
    loop = spec({"only": task("only", parameterIterator={})}, {"only": component("one")}, {"one": shell("true")})
    circle = spec({"only": task("only", ("only",))}, {"only": component("one")}, {"one": shell("true")})
    for text, complaint in (
        ("a: [", "neither YAML nor JSON"),
        ("a: 1", "not a compiled pipeline"),
        (loop, "do not run here"),
        (circle, "wait for each other"),
    ):
        with pytest.raises(UsageError, match=complaint):
            ran(text, tmp_path)
    resolver = spec({"only": task("only")}, {"only": component("one")}, {"one": {"resolver": {}}})
    assert "not implemented" in ran(resolver, tmp_path)[1]
    command = spec(
        {"only": task("only")}, {"only": component("one")}, {"one": {"container": {"command": ["no-such-program"]}}}
    )
    assert "not a command of this machine" in ran(command, tmp_path)[1]


@pytest.mark.parametrize("again", [False, True])
def test_imports_of_one_address_are_one_artifact_which_a_task_takes_once(
    again: bool, lake: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    importer = {"importer": {"artifactUri": {"constant": "s3://lake/none"}, "typeSchema": TYPE, "reimport": again}}
    both = spec(
        {
            "one": task("one"),
            "other": task("other"),
            "use": task("use", ("one", "other"), {"a": ("one", "made"), "b": ("other", "made")}),
        },
        {
            "one": component("one", outputs=["made"]),
            "other": component("other", outputs=["made"]),
            "use": component("use", inputs={"a": 1, "b": 1}),
        },
        {"one": importer, "other": importer, "use": shell("true")},
    )
    told = ran(both, tmp_path)[1]
    assert ("use: inputs a and b are one artifact: given event already exists." in told) is not again


def test_the_environment_has_what_the_spec_and_the_platform_say(lake: pathlib.Path, tmp_path: pathlib.Path) -> None:
    executor = shell(f'echo "$COLOUR $KFP_RUN_ID" > {tmp_path}/said')
    executor["container"]["env"] = [{"name": "COLOUR", "value": "red"}]
    (first,) = yaml.safe_load_all(spec({"only": task("only")}, {"only": component("one")}, {"one": executor}))
    field = {"name": "KFP_RUN_ID", "fieldPath": "metadata.labels['pipeline/runid']"}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"one": {"fieldPathAsEnv": [field]}}}}}}
    result, _ = ran(yaml.safe_dump_all([first, platform]), tmp_path)
    assert (tmp_path / "said").read_text() == f"red {result.id}\n"
