"""The container's entrypoint around executors of its own: what they are given, what becomes of what they raise."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest
from tfx.dsl.components.base import base_beam_executor, base_executor

from components import objects
from components.errors import DataBlocked, UsageError
from pipeline.orchestration import entrypoint
from pipeline.orchestration.arguments import Interface, entrypoint_arguments
from tests.object_server import stand_in, use

ROOT = "s3://lake/root/flights"
RUN = "2c635484-f5a5-464e-a758-8e1cc4e702d0"
MADE = f"{ROOT}/pipeline/flights/{RUN}/Node/3e0af760-58f3-4f46-af19-f3a4e200c160/statistics"
TYPES = "tfx.types.standard_artifacts"


class Looking(base_executor.BaseExecutor):
    """Keeps what it was given, and makes statistics."""

    seen: dict[str, Any]

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> None:
        Looking.seen = {"inputs": input_dict, "outputs": output_dict, "parameters": exec_properties}
        (statistics,) = output_dict["statistics"]
        pathlib.Path(statistics.uri, "FeatureStats.pb").write_bytes(b"made")
        statistics.split_names = '["eval"]'
        statistics.span = 4
        statistics.set_int_custom_property("rows", 7)
        statistics.set_float_custom_property("share", 1.0)
        statistics.set_string_custom_property("from", input_dict["examples"][0].uri)
        statistics.set_json_value_custom_property("by", {"eval": 1})


class Beaming(base_beam_executor.BaseBeamExecutor):
    """Keeps its Beam arguments."""

    arguments: list[str]

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> None:
        Beaming.arguments = list(self._beam_pipeline_args)


class Refusing(base_executor.BaseExecutor):
    def Do(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> None:
        raise DataBlocked("BLOCKED  span 5: no good.")


class Misled(base_executor.BaseExecutor):
    def Do(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> None:
        raise UsageError("flights.toml: no such column.")


class Broken(base_executor.BaseExecutor):
    def Do(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> None:
        raise KeyError("ours")


class Missing(base_executor.BaseExecutor):
    def Do(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> None:
        pathlib.Path("/nowhere/at/all").read_bytes()


class Stopped(base_executor.BaseExecutor):
    def Do(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> None:
        raise KeyboardInterrupt


@pytest.fixture
def mounts(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    use(monkeypatch, {**stand_in(tmp_path / "objects"), "SPANWISE_MOUNTS": str(tmp_path / "mounts")})
    monkeypatch.delenv("KFP_RUN_ID", raising=False)
    return tmp_path / "mounts"


def call(executor: type | str, folder: pathlib.Path, beam: tuple[str, ...] = (), **changes: Any) -> int:
    """Call it as the launcher would."""
    name = executor if isinstance(executor, str) else f"{__name__}.{executor.__name__}"
    given = {
        "inputs": {
            "parameterValues": {
                "steps": 3.0,
                "rate": 2.0,
                "root": ROOT,
                "config": f'{{"push_directory": "{ROOT}/push"}}',
            },
            "artifacts": {
                "examples": {
                    "artifacts": [
                        {
                            "name": "34",
                            "type": {"instanceSchema": ""},
                            "uri": f"{ROOT}/pipeline/x/examples",
                            "metadata": {
                                "display_name": "examples",
                                "store_session_info": "{}",
                                "split_names": '["eval"]',
                                "span": 3.0,
                                "version": "not a number",
                                "eval_rows": 12.0,
                                "half": 0.5,
                                "counts": {"struct": {"eval": 12.0}},
                            },
                        }
                    ]
                }
            },
        },
        "outputs": {
            "artifacts": {
                "statistics": {"artifacts": [{"type": {"instanceSchema": "title: tfx.X"}, "uri": MADE}]},
                "executor-logs": {"artifacts": [{"type": {"schemaTitle": "system.Artifact"}, "uri": f"{MADE}-logs"}]},
            },
            "outputFile": str(folder / "kfp_outputs" / "output_metadata.json"),
        },
    }
    interface = Interface(
        {"examples": f"{TYPES}.Examples"},
        {"statistics": f"{TYPES}.ExampleStatistics"},
        {"steps": "int", "rate": "float", "root": "str", "config": "str"},
    )
    arguments = entrypoint_arguments("Node", name, ROOT, interface, beam=beam)
    return entrypoint.main([json.dumps({**given, **changes}) if word == "{{$}}" else word for word in arguments])


def output(folder: pathlib.Path) -> Any:
    path = folder / "kfp_outputs" / "output_metadata.json"
    return json.loads(path.read_text()) if path.is_file() else None


def record() -> Any:
    content = objects.read(f"{ROOT}/runs/{RUN}/nodes/Node.json")
    return json.loads(content.data) if content is not None else None


def test_an_executor_sees_paths_types_and_whole_numbers(mounts: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert call(Looking, tmp_path) == 0
    (examples,) = Looking.seen["inputs"]["examples"]
    assert type(examples).__name__ == "Examples" and examples.id == 34
    assert examples.uri == str(mounts / "s3/lake/root/flights/pipeline/x/examples")
    assert pathlib.Path(examples.uri).is_dir(), "nothing was there to bring: none yet"
    assert (examples.split_names, examples.span) == ('["eval"]', 3)
    assert examples.get_int_custom_property("eval_rows") == 12
    assert examples.get_float_custom_property("eval_rows") == 12.0
    assert examples.get_float_custom_property("half") == 0.5
    assert examples.get_json_value_custom_property("counts") == {"eval": 12.0}
    assert not examples.has_custom_property("display_name")
    assert set(Looking.seen["outputs"]) == {"statistics"}
    assert Looking.seen["parameters"] == {
        "steps": 3,
        "rate": 2.0,
        "root": str(mounts / "s3/lake/root/flights"),
        "config": json.dumps({"push_directory": str(mounts / "s3/lake/root/flights/push")}),
    }
    assert type(Looking.seen["parameters"]["steps"]) is int


def test_what_it_made_goes_back_with_uris(mounts: pathlib.Path, tmp_path: pathlib.Path) -> None:
    from tfx.version import __version__ as tfx_version

    call(Looking, tmp_path)
    (made,) = output(tmp_path)["artifacts"]["statistics"]["artifacts"]
    assert made == {
        "uri": MADE,
        "metadata": {
            "split_names": '["eval"]',
            "span": 4,
            "rows": 7,
            "share": 1.0,
            "from": f"{ROOT}/pipeline/x/examples",
            "by": {"eval": 1.0},
            "tfx_version": tfx_version,
        },
    }
    assert (mounts / MADE.replace("s3://", "s3/") / "FeatureStats.pb").read_bytes() == b"made"
    kept = record()
    assert (kept["state"], kept["exit_code"], kept["inputs"]["examples"]["id"]) == ("complete", 0, 34)
    assert kept["outputs"]["statistics"]["uri"] == MADE
    assert kept["parameters"]["root"] == ROOT


@pytest.mark.parametrize(
    ("executor", "code", "said", "traceback"),
    [
        (Refusing, 10, "spanwise: Node: BLOCKED  span 5: no good.", False),
        (Misled, 2, "spanwise: Node: flights.toml: no such column.", False),
        (Missing, 1, "spanwise: Node: /nowhere/at/all: No such file or directory.", False),
        (Broken, 1, "spanwise: Node: KeyError: 'ours'", True),
        (Stopped, 130, "spanwise: Node: Stopped.", False),
    ],
)
def test_what_it_raises_is_a_code_and_a_sentence(
    executor: type,
    code: int,
    said: str,
    traceback: bool,
    mounts: pathlib.Path,
    tmp_path: pathlib.Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert call(executor, tmp_path) == code
    printed = capfd.readouterr().err
    assert printed.rstrip().endswith(said)
    assert ("Traceback" in printed) == traceback
    assert output(tmp_path) is None, "a node that failed has made nothing"
    kept = record()
    assert (kept["state"], kept["exit_code"]) == ("canceled" if code == 130 else "failed", code)
    assert said.endswith(kept["error"])


def test_beam_arguments_reach_beam_executors(mounts: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert call(Beaming, tmp_path) == 0
    assert Beaming.arguments == []
    assert call(Beaming, tmp_path, beam=("--sdk_container_image=none",)) == 0
    assert "--sdk_container_image=none" in Beaming.arguments


def test_code_that_the_image_lacks_is_a_sentence(
    mounts: pathlib.Path, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call("nowhere.executor.Executor", tmp_path) == 2
    printed = capfd.readouterr().err
    assert "nowhere.executor.Executor: cannot be imported in this image" in printed and "Traceback" not in printed


def test_arguments_that_nobody_filled_in_are_a_sentence(
    mounts: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = entrypoint_arguments("Node", "x.Y", ROOT, Interface({}, {}, {}))
    assert entrypoint.main(words) == 2
    assert "not an ExecutorInput" in capfd.readouterr().err


def test_where_nobody_moves_artifacts_the_entrypoint_does(
    mounts: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPANWISE_UNMOVED", "1")
    objects.write(f"{ROOT}/pipeline/x/examples/Split-eval/data", b"rows")
    where = "gs://lake/jobs/7/executor_output.json"
    outputs = {"artifacts": {"statistics": {"artifacts": [{"uri": MADE}]}}}
    assert call(Looking, tmp_path, outputs={**outputs, "outputFile": where}) == 0
    (examples,) = Looking.seen["inputs"]["examples"]
    assert (pathlib.Path(examples.uri) / "Split-eval" / "data").read_bytes() == b"rows"
    assert objects.read(f"{MADE}/FeatureStats.pb") is not None
    written = objects.read(where)
    assert written is not None and json.loads(written.data)["artifacts"]["statistics"]["artifacts"][0]["uri"] == MADE
    objects.delete(where)
    mounted = {**outputs, "outputFile": "/gcs/lake/jobs/7/executor_output.json"}
    assert call(Looking, tmp_path, outputs=mounted) == 0
    assert objects.read(where) is not None


def test_an_object_store_that_is_away_is_a_sentence(
    mounts: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("SPANWISE_OBJECTS")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert call(Looking, tmp_path) == 1
    printed = capfd.readouterr().err
    assert "http://127.0.0.1:1 cannot be reached" in printed and "Traceback" not in printed
    assert output(tmp_path) is None
