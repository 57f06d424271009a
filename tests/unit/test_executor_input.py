"""ExecutorInput as Kubeflow's driver sends it, ExecutorOutput as its launcher takes it."""

from __future__ import annotations

import json
import pathlib

import pytest

from components.errors import SpanwiseError, UsageError
from pipeline.orchestration.executor_input import ExecutorInput, RuntimeArtifact, typed, write_output

RUN = "2c635484-f5a5-464e-a758-8e1cc4e702d0"


def sent(**changes: object) -> str:
    """As captured: an input through ML Metadata, outputs with the driver's own."""
    base = f"s3://lake/root/flights/pipeline/flights/{RUN}/Evaluator/3e0af760-58f3-4f46-af19-f3a4e200c160"
    value = {
        "inputs": {
            "parameterValues": {"config": '{"a": 1}', "steps": 3.0, "rate": 2.0, "name": "x"},
            "artifacts": {
                "model": {
                    "artifacts": [
                        {
                            "name": "34",
                            "type": {"instanceSchema": ""},
                            "uri": "s3://lake/root/flights/pipeline/x/model",
                            "metadata": {
                                "display_name": "model",
                                "store_session_info": '{"Provider":"s3"}',
                                "blessed": {"struct": {"eval": 1.0}},
                                "rows": {"list": [1.0, 2.0]},
                                "state": {"struct": "kept: no object"},
                                "span": 3.0,
                            },
                        }
                    ]
                }
            },
        },
        "outputs": {
            "artifacts": {
                "blessing": {"artifacts": [{"type": {"instanceSchema": "title: tfx.X"}, "uri": f"{base}/blessing"}]},
                "executor-logs": {"artifacts": [{"type": {"schemaTitle": "system.Artifact"}, "uri": f"{base}/logs"}]},
            },
            "outputFile": "/tmp/kfp_outputs/output_metadata.json",
        },
    }
    return json.dumps({**value, **changes})


def test_what_is_the_drivers_own_is_left_out() -> None:
    given = ExecutorInput.parsed(sent())
    assert set(given.outputs) == {"blessing"}
    (model,) = given.inputs["model"]
    assert model.name == "34"
    assert model.metadata == {
        "blessed": {"eval": 1.0},
        "rows": [1.0, 2.0],
        "state": {"struct": "kept: no object"},
        "span": 3.0,
    }
    assert given.output_file == "/tmp/kfp_outputs/output_metadata.json"


def test_numbers_are_what_the_component_declared() -> None:
    found = typed(ExecutorInput.parsed(sent()).parameters, {"steps": "int", "rate": "float", "config": "str"})
    assert found == {"config": '{"a": 1}', "steps": 3, "rate": 2.0, "name": "x"}
    assert type(found["steps"]) is int and type(found["rate"]) is float
    assert type(typed({"rate": 2}, {"rate": "float"})["rate"]) is float


def test_the_run_is_known_from_argument_variable_or_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KFP_RUN_ID", raising=False)
    given = ExecutorInput.parsed(sent())
    assert given.run_id("from-vertex", "Evaluator") == "from-vertex"
    assert given.run_id("{{$.pipeline_job_uuid}}", "Evaluator") == RUN
    assert given.run_id("", "Evaluator") == RUN
    monkeypatch.setenv("KFP_RUN_ID", "from-the-pod")
    assert given.run_id("", "Evaluator") == "from-the-pod"


def test_the_run_is_known_from_older_drivers_outputs_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KFP_RUN_ID", raising=False)
    uri = f"minio://mlpipeline/v2/artifacts/flights/{RUN}/Evaluator/blessing"
    outputs = {"artifacts": {"blessing": {"artifacts": [{"uri": uri}]}}, "outputFile": "/tmp/x"}
    assert ExecutorInput.parsed(sent(outputs=outputs)).run_id("", "Evaluator") == RUN
    outputs["artifacts"]["blessing"]["artifacts"][0]["uri"] = uri.replace(RUN, "nightly-7")
    assert ExecutorInput.parsed(sent(outputs=outputs)).run_id("", "Evaluator") == "nightly-7"
    outputs["artifacts"]["blessing"]["artifacts"][0]["uri"] = "s3://lake/somewhere/else/altogether/blessing"
    with pytest.raises(SpanwiseError, match="KFP_RUN_ID is not set"):
        ExecutorInput.parsed(sent(outputs=outputs)).run_id("", "Evaluator")


@pytest.mark.parametrize("text", ["{{$}}", "", "[]", '{"inputs": {}}', '{"outputs": {"outputFile": 3}}'])
def test_what_is_no_executor_input_is_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match="not an ExecutorInput"):
        ExecutorInput.parsed(text)


def test_a_node_without_inputs_has_none() -> None:
    given = ExecutorInput.parsed(json.dumps({"outputs": {"outputFile": "/tmp/x"}}))
    assert (given.inputs, given.outputs, given.parameters) == ({}, {}, {})


def test_what_is_written_is_what_the_launcher_reads(tmp_path: pathlib.Path) -> None:
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    path = tmp_path / "kfp_outputs" / "output_metadata.json"
    metadata = {"blessed": 1, "auc": 0.5, "words": "x", "by": {"eval": 1}, "nothing": None}
    write_output(str(path), {"blessing": RuntimeArtifact("", "s3://lake/x", metadata)})
    read = pipeline_spec_pb2.ExecutorOutput()
    json_format.Parse(path.read_text(), read)  # strict: an unknown field is an error, as in the launcher
    (artifact,) = read.artifacts["blessing"].artifacts
    assert artifact.uri == "s3://lake/x"
    assert json_format.MessageToDict(artifact.metadata) == {"blessed": 1, "auc": 0.5, "words": "x", "by": {"eval": 1}}
    assert [each.name for each in path.parent.iterdir()] == [path.name], "nothing half-written stays"
