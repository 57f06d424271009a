"""TensorFlow Serving's REST and gRPC interfaces, with the examples of its documentation."""

from __future__ import annotations

import base64
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

from tests import tiny_model
from tests.integration import served
from tests.integration.served import Client


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    root = tmp_path_factory.mktemp("models")
    served.half_plus(root / "half_plus_two", "00000123", add=2.0)
    served.half_plus(root / "half_plus_three", 122, add=2.5)
    served.half_plus(root / "half_plus_three", 123, add=3.0)
    served.kinds(root / "kinds")
    tiny_model.export(root / "tiny")
    (root / "tiny" / "Format-Serving").rename(root / "tiny" / "7")
    text = "\n".join(
        f'config {{ name: "{name}" base_path: "{root / name}" model_platform: "tensorflow" {more} }}'
        for name, more in (
            ("half_plus_two", ""),
            (
                "half_plus_three",
                'model_version_policy { all {} } version_labels { key: "stable" value: 122 } '
                'version_labels { key: "canary" value: 123 }',
            ),
            ("kinds", ""),
            ("tiny", ""),
        )
    )
    (root / "models.config").write_text(f"model_config_list {{ {text} }}")
    with served.serving(f"--model_config_file={root / 'models.config'}") as found:
        yield found


# --- the documentation's examples ---


def test_status_is_the_documentations_text(client: Client) -> None:
    response = client.http.get("/v1/models/half_plus_two")
    assert response.headers["content-type"] == "application/json"
    assert response.text == (
        '{\n "model_version_status": [\n  {\n   "version": "123",\n   "state": "AVAILABLE",\n   "status": {\n'
        '    "error_code": "OK",\n    "error_message": ""\n   }\n  }\n ]\n}\n'
    )


def test_half_plus_two_and_three_answer_as_documented(client: Client) -> None:
    response = client.http.post("/v1/models/half_plus_two:predict", content=b'{"instances": [[1.0],[2.0],[5.0]]}')
    assert response.text == '{\n    "predictions": [[2.5], [3.0], [4.5]\n    ]\n}'
    body = {"signature_name": "tensorflow/serving/regress", "examples": [{"x": 1.0}, {"x": 2.0}]}
    assert client.http.post("/v1/models/half_plus_three:regress", json=body).text == '{\n    "results": [3.5, 4.0]\n}'
    body["signature_name"] = "classify_x_to_class"
    assert client.post("half_plus_three:classify", body) == (200, {"results": [[["1", 3.5]], [["1", 4.0]]]})
    body["signature_name"] = "classify_x_to_y"
    assert client.post("half_plus_two:classify", body) == (200, {"results": [[["", 2.5]], [["", 3.0]]]})
    status, found = client.post("half:predict", {"instances": [1.0, 5.0]})
    assert (status, found) == (404, {"error": "Servable not found for request: Latest(half)"})


def test_metadata_names_the_signatures(client: Client) -> None:
    status, found = client.get("half_plus_two/metadata")
    assert status == 200
    assert found["model_spec"] == {"name": "half_plus_two", "signature_name": "", "version": "123"}
    signature = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signature["inputs"]["x"]["tensor_shape"]["dim"] == [
        {"size": "-1", "name": ""},
        {"size": "1", "name": ""},
    ]
    assert client.get("half_plus_three/versions/122/metadata")[1]["model_spec"]["version"] == "122"
    assert client.get("half_plus_three/labels/stable/metadata")[1]["model_spec"]["version"] == "122"


def test_versions_and_labels_choose_who_answers(client: Client) -> None:
    row = {"instances": [[0.0]]}
    for path, answer in (
        ("half_plus_three", 3.0),
        ("half_plus_three/versions/122", 2.5),
        ("half_plus_three/versions/123", 3.0),
        ("half_plus_three/labels/stable", 2.5),
        ("half_plus_three/labels/canary", 3.0),
    ):
        assert client.post(f"{path}:predict", row) == (200, {"predictions": [[answer]]})
    assert client.states("half_plus_three") == {123: "AVAILABLE", 122: "AVAILABLE"}
    assert list(client.states("half_plus_three")) == [123, 122]
    assert [*client.states("half_plus_three/versions/122")] == [122]


SEVERAL = {
    "signature_name": "several",
    "instances": [
        {"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},
        {"tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4, 5], [6, 8]]},
    ],
}


def test_rows_and_columns_of_several_inputs(client: Client) -> None:
    foo, bar = (base64.b64encode(tag).decode() for tag in (b"foo", b"bar"))
    rows = [
        {"tag": "foo", "tag_bytes": {"b64": foo}, "signal": [2, 4, 6, 8, 10], "sensor": [[1.5, 2.5], [3.5, 4.5]]},
        {"tag": "bar", "tag_bytes": {"b64": bar}, "signal": [6, 8, 2, 4, 10], "sensor": [[4.5, 5.5], [6.5, 8.5]]},
    ]
    assert client.post("kinds:predict", SEVERAL) == (200, {"predictions": rows})
    columns = {name: [row[name] for row in SEVERAL["instances"]] for name in ("tag", "signal", "sensor")}
    status, found = client.post("kinds:predict", {"signature_name": "several", "inputs": columns})
    assert (status, found) == (200, {"outputs": {name: [row[name] for row in rows] for name in rows[0]}})


def test_every_dtype_goes_in_and_comes_out(client: Client) -> None:
    row: dict[str, Any] = {
        "bool": True,
        "int8": -128,
        "uint8": 255,
        "int16": -32768,
        "int32": -(2**31),
        "int64": -(2**63),
        "uint32": 2**32 - 1,
        "uint64": 2**64 - 1,
        "float64": 1e300,
        "float32": 0.1,
    }
    status, found = client.post("kinds:predict", {"signature_name": "echo", "instances": [row]})
    assert (status, found) == (200, {"predictions": [{f"{name}_out": value for name, value in row.items()}]})
    answer = client.predict("kinds", {name: np.array([value], name) for name, value in row.items()}, signature="echo")
    assert answer.outputs["uint64_out"].uint64_val == [2**64 - 1]
    assert answer.outputs["int16_out"].int_val == [-32768]
    assert answer.outputs["bool_out"].bool_val == [True]
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("kinds", 1)


def test_numbers_look_as_in_tensorflow_serving(client: Client) -> None:
    def written(*values: str) -> str:
        body = f'{{"inputs": [[{"],[".join(values)}]]}}'.encode()
        return client.http.post("/v1/models/half_plus_two:predict", content=body).text

    # y = x / 2 + 2
    text = written("-4.0", "NaN", "Infinity", "-Infinity", "1.99999996e7", "2.6666667", "-3.75")
    numbers = [line.strip(" ,") for line in text.splitlines()]
    numbers = [line for line in numbers if line and line[-1] not in "[]{}"]
    assert numbers == ["0.0", "NaN", "Infinity", "-Infinity", "10000002.0", "3.33333349", "0.125"]
    assert written("-4").splitlines()[:3] == ["{", '    "outputs": [', "        ["]


def test_strings_are_bytes(client: Client) -> None:
    text = {"signature_name": "text", "inputs": [["é", {"b64": base64.b64encode("ü".encode()).decode()}]]}
    assert client.post("kinds:predict", text) == (200, {"outputs": [["é", "ü"]]})
    # No UTF-8: TensorFlow Serving lets the bytes through, both ways.
    response = client.http.post("/v1/models/kinds:predict", content=b'{"inputs": "\xff\xfe"}')
    assert response.content == b'{\n    "outputs": "\xff\xfe"\n}'
    assert client.post("kinds:predict", {"instances": ["a", {"b64": "Yg=="}]}) == (200, {"predictions": ["a", "b"]})


# --- errors: status, sentence ---

ERRORS = [
    ("half_plus_two:predict", b"", 400, "JSON Parse error: The document is empty"),
    ("half_plus_two:predict", b"instances = [1, 2]", 400, "JSON Parse error: Invalid value. at offset: 0"),
    ("half_plus_two:predict", b'{"instances": [1,]}', 400, "JSON Parse error: Invalid value. at offset: 17"),
    ("half_plus_two:predict", b'{"instances": [1 2]}', 400,
     "JSON Parse error: Missing a comma or ] after an array element. at offset: 17"),
    ("half_plus_two:predict", b'{"instances" 1}', 400,
     "JSON Parse error: Missing a colon after a name of object member. at offset: 13"),
    ("half_plus_two:predict", b'{"a": 1 "b": 2}', 400,
     "JSON Parse error: Missing a comma or } after an object member. at offset: 8"),
    ("half_plus_two:predict", b'{} {}', 400,
     "JSON Parse error: The document root must not be followed by other values. at offset: 3"),
    ("half_plus_two:predict", b"[1]", 400, "JSON Value: [\n    1\n] Is not object"),
    ("half_plus_two:predict", b'{"instances": [["x"]]}', 400,
     "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \"x\" Type: String "
     "is not of expected type: float"),
    ("half_plus_two:predict", b'{"instances": [[16777217]]}', 400,
     "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: Cannot convert JSON value: "
     "16777217 to float without loss of precision."),
    ("half_plus_two:predict", b'{"instances": [[1.0], [1.0, 2.0]]}', 400,
     "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 1 but got: 2"),
    ("half_plus_two:predict", b'{"instances": [[[1.0], [1.0, 2.0]]]}', 400,
     "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: Encountered list at unexpected size: "
     "2 at level: 1 expected size: 1"),
    ("half_plus_two:predict", b'{"instances": [[1.0], 2.0]}', 400,
     "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [1] but got: []"),
    ("half_plus_two:predict", b'{"instances": [[1.0], {"x": 2.0}]}', 400,
     "Expecting value/list but got object at item 1 of input list"),
    ("half_plus_two:predict", b'{"instances": [{"z": [1.0]}]}', 400,
     "Failed to process element: 0 key: z of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have "
     "named input: z"),
    ("half_plus_two:predict", b'{"instances": []}', 400,
     'JSON Value: {\n    "instances": []\n} No values in \'instances\' array'),
    ("half_plus_two:predict", b'{"instances": 1}', 400,
     "JSON Value: {\n    \"instances\": 1\n} Excepting 'instances' to be an list/array"),
    ("half_plus_two:predict", b'{"instances": [1], "inputs": 1}', 400,
     "JSON Value: {\n    \"instances\": [\n        1\n    ],\n    \"inputs\": 1\n} Not formatted correctly expecting "
     "only one of 'inputs' or 'instances' keys to exist "),
    ("half_plus_two:predict", b"{}", 400, "Missing 'inputs' or 'instances' key"),
    ("half_plus_two:predict", b'{"signature_name": 100}', 400,
     "JSON Value: {\n    \"signature_name\": 100\n} not formatted correctly. 'signature_name' key must be a string "
     "value."),
    ("half_plus_two:predict", b'{"signature_name": "no", "instances": [1]}', 400,
     'Serving signature name: "no" not found in signature def'),
    ("kinds:predict", b'{"signature_name": "several", "instances": [1]}', 400,
     "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
     "tensorinfo_map"),
    ("kinds:predict", b'{"signature_name": "several", "inputs": [1]}', 400,
     "inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map"),
    ("kinds:predict", b'{"signature_name": "several", "inputs": {"tag": []}}', 400,
     "Missing named input: sensor in 'inputs' object."),
    ("kinds:predict", b'{"signature_name": "several", "instances": [{"tag": "a"}]}', 400,
     "Failed to process element: 0 of 'instances' list. JSON object: {\n    \"tag\": \"a\"\n} keys must be equal to: "
     "sensor,signal,tag"),
    ("kinds:predict", b'{"inputs": {"b64": "!"}}', 400, "Unable to base64 decode"),
    ("kinds:predict", b'{"inputs": [[1]]}', 400,
     "JSON Value: 1 Type: Number is not of expected type: string"),
    ("half_plus_three/labels/none:predict", b'{"instances": [1]}', 400, "Unrecognized servable version label: none"),
    ("half_plus_three/versions/9:predict", b'{"instances": [1]}', 404,
     "Servable not found for request: Specific(half_plus_three, 9)"),
    ("half_plus_two/versions/x:predict", b"{}", 400,
     "Malformed request: POST /v1/models/half_plus_two/versions/x:predict"),
    ("half_plus_two/versions/99999999999999999999:predict", b"{}", 400,
     "Failed to convert version: 99999999999999999999 to numeric."),
    ("half_plus_two/metadata", b"{}", 400, "Malformed request: POST /v1/models/half_plus_two/metadata"),
    ("half_plus_two:regress", b'{"examples": [{"x": 1.0}]}', 400,
     "No regression inputs found in SignatureDef: inputs {"),
    ("half_plus_two:regress", b'{"signature_name": "none", "examples": [{"x": 1.0}]}', 400,
     "No signature was found with the name: none"),
    ("half_plus_two:classify", b'{"signature_name": "classify_x_to_y"}', 400,
     "JSON Value: {\n    \"signature_name\": \"classify_x_to_y\"\n} When method is classify, key 'examples' is "
     "expected and was not found"),
    ("half_plus_two:classify", b'{"examples": []}', 400,
     "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array"),
    ("half_plus_two:classify", b'{"examples": [1]}', 400, "Example must be JSON object but got JSON Number"),
    ("half_plus_two:classify", b'{"examples": [{"x": [1.0, "a"]}]}', 400,
     "Unexpected element type in feature: x expecting type: float"),
    ("half_plus_two:classify", b'{"examples": [{"x": null}]}', 400,
     "Feature: x has element with unexpected JSON type: Null"),
    ("kinds:predict", b'{"signature_name": "fails", "inputs": [[11.0, 0.0, 0.0]]}', 400,
     "assertion failed: [too much]"),
    ("kinds:predict", b'{"signature_name": "fails", "instances": [[1.0, 0.0, 0.0]]}', 400,
     "Tensor name: total has no shape information "),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status", "sentence"), ERRORS, ids=range(len(ERRORS)))
def test_errors_have_tensorflow_servings_status_and_sentence(
    client: Client, path: str, body: bytes, status: int, sentence: str
) -> None:
    found, answer = client.post(path, body)
    assert found == status
    assert list(answer) == ["error"]
    assert answer["error"].startswith(sentence), answer["error"]


def test_an_error_is_written_as_tensorflow_serving_writes_it(client: Client) -> None:
    response = client.http.post("/v1/models/none:predict", content=b'{"instances": [1]}')
    assert response.text == '{\n    "error": "Servable not found for request: Latest(none)"\n}'
    assert response.headers["content-type"] == "application/json"
    for method, path in (("GET", "/v1/foo"), ("PUT", "/v1/models/x:predict"), ("GET", "/v1/models/x:predict")):
        response = client.http.request(method, path)
        assert (response.status_code, response.json()) == (400, {"error": f"Malformed request: {method} {path}"})
    assert client.get("")[1] == {"error": "Malformed request: GET /v1/models/"}
    assert client.http.get("/v1/models").json() == {"error": "Missing model name in request."}
    assert client.get("none")[1] == {"error": "Could not find any versions of model none"}
    assert client.get("half_plus_two/versions/9")[1] == {"error": "Could not find version 9 of model half_plus_two"}
    assert client.http.get("/elsewhere").status_code == 404


def test_path_traversal_finds_no_model(client: Client) -> None:
    for name in ("..%2F..%2Fetc", "%2e%2e", "..", "half_plus_two%2F..%2Fkinds", "%00", "half_plus_two%00"):
        assert client.http.post(f"/v1/models/{name}:predict", content=b'{"instances": [[1.0]]}').status_code in (
            400,
            404,
        )
        assert client.http.get(f"/v1/models/{name}").status_code in (400, 404)
    assert client.http.get("/v1/models/half%5Fplus_two").status_code == 200  # only the name is decoded


# --- gRPC ---


def code_of(call: Any, *arguments: Any, **keywords: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **keywords)
    return caught.value.code(), caught.value.details()


def test_grpc_predict(client: Client) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "half_plus_two"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([[2.0]], tf.float32))
    answer = client.prediction.Predict(request)
    assert list(answer.outputs["y"].float_val) == [3.0]
    assert [dim.size for dim in answer.outputs["y"].tensor_shape.dim] == [1, 1]
    assert (answer.model_spec.version.value, answer.model_spec.signature_name) == (123, "serving_default")
    request.output_filter.append("y")
    assert list(client.prediction.Predict(request).outputs) == ["y"]
    request.output_filter.append("y")
    assert code_of(client.prediction.Predict, request)[1] == "duplicate output tensor alias: y"


def test_bfloat16_goes_in_and_out_over_grpc(client: Client) -> None:
    given = np.array([1.5, -0.25], tf.bfloat16.as_numpy_dtype)
    answer = client.predict("kinds", {"x": given}, signature="brief").outputs["same"]
    assert answer.dtype == tf.bfloat16.as_datatype_enum and list(answer.half_val) == given.view(np.uint16).tolist()
    status, found = client.post("kinds:predict", {"signature_name": "brief", "instances": [1.5]})
    assert (status, found["error"].rpartition("Error: ")[2]) == (
        400,
        "UNIMPLEMENTED: Conversion of JSON Value: 1.5 to type: bfloat16",
    )


def test_fields_of_newer_clients_are_passed_over(client: Client) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "half_plus_two"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([2.0], tf.float32))
    ask = client.channel.unary_unary(
        "/tensorflow.serving.PredictionService/Predict", response_deserializer=predict_pb2.PredictResponse.FromString
    )
    newer = b"\x22\x02\x08\x01" + b"\x2a\x06client" + b"\xf8\x3f\x01"  # fields 4, 5 and 1023
    assert list(ask(newer + request.SerializeToString()).outputs["y"].float_val) == [3.0]


def test_grpc_errors_are_tensorflow_servings(client: Client) -> None:
    invalid, precondition = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
    predict = client.predict
    x = np.array([[1.0]], np.float32)
    assert code_of(client.prediction.Predict, predict_pb2.PredictRequest()) == (invalid, "Missing ModelSpec")
    assert code_of(predict, "", {"x": x}) == (invalid, "ModelSpec has no name specified.")
    assert code_of(predict, "none", {"x": x}) == (
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Latest(none)",
    )
    assert code_of(predict, "half_plus_two", {"x": x}, version=4) == (
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Specific(half_plus_two, 4)",
    )
    assert code_of(predict, "half_plus_two", {"x": x}, signature="no") == (
        precondition,
        'Serving signature key "no" not found.',
    )
    assert code_of(predict, "half_plus_two", {"x": x, "z": x}) == (
        invalid,
        "input size does not match signature: 2!=1 len({x,z}) != len({x}). Sent extra: {z}. Missing but required: {}.",
    )
    assert code_of(predict, "half_plus_two", {}) == (
        invalid,
        "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
    )
    assert code_of(predict, "half_plus_two", {"z": x}) == (
        invalid,
        "Signature input alias: x(feed name: x:0) not found in request and no default value provided. Inputs expected "
        "to be in the request {z}, or default input alias set: ",
    )
    assert code_of(predict, "half_plus_two", {"x": np.array([[1]])}) == (
        invalid,
        "Expects arg[0] to be float but int64 is provided",
    )
    broken = tf.make_tensor_proto(x)
    broken.tensor_content = b"abc"
    assert code_of(predict, "half_plus_two", {"x": broken}) == (invalid, "tensor parsing error: x")
    wrong_rank = code_of(predict, "kinds", {"x": np.float32(1)}, signature="fails")
    assert wrong_rank[0] == invalid
    assert "Invalid reduction dimension" in wrong_rank[1]
    huge = tf.make_tensor_proto(0.0)
    for _ in range(4):
        huge.tensor_shape.dim.add().size = 1 << 20
    assert code_of(predict, "half_plus_two", {"x": huge}) == (invalid, "tensor parsing error: x")


def test_grpc_empty_batch_and_repeated_values(client: Client) -> None:
    empty = client.predict("half_plus_two", {"x": np.zeros((0, 1), np.float32)})
    assert [dim.size for dim in empty.outputs["y"].tensor_shape.dim] == [0, 1]
    same = tf.make_tensor_proto(4.0, shape=[3, 1])  # one value for three elements
    assert len(same.float_val) == 1
    assert list(client.predict("half_plus_two", {"x": same}).outputs["y"].float_val) == [4.0, 4.0, 4.0]


def example(**features: float) -> tf.train.Example:
    found = tf.train.Example()
    for name, value in features.items():
        found.features.feature[name].float_list.value.append(value)
    return found


def test_grpc_classify_regress_and_multi_inference(client: Client) -> None:
    regress = regression_pb2.RegressionRequest()
    regress.model_spec.name, regress.model_spec.signature_name = "half_plus_two", "regress_x_to_y"
    regress.input.example_list.examples.add().CopyFrom(example(x=2.0))
    answer = client.prediction.Regress(regress)
    assert [entry.value for entry in answer.result.regressions] == [3.0]
    assert answer.model_spec.signature_name == "regress_x_to_y"

    classify = classification_pb2.ClassificationRequest()
    classify.model_spec.name, classify.model_spec.signature_name = "half_plus_two", "classify_x_to_class"
    context = classify.input.example_list_with_context
    context.context.CopyFrom(example(x=4.0))
    context.examples.add()
    found = client.prediction.Classify(classify).result.classifications
    assert [(entry.label, entry.score) for entry in found[0].classes] == [("1", 4.0)]

    multi = inference_pb2.MultiInferenceRequest()
    for signature, method in (("regress_x_to_y", "regress"), ("classify_x_to_y", "classify")):
        task = multi.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = "half_plus_two", signature
    multi.input.CopyFrom(regress.input)
    results = client.prediction.MultiInference(multi).results
    assert results[0].regression_result.regressions[0].value == 3.0
    assert results[1].classification_result.classifications[0].classes[0].score == 3.0

    invalid = grpc.StatusCode.INVALID_ARGUMENT
    multi.tasks[1].model_spec.name = "kinds"
    assert code_of(client.prediction.MultiInference, multi) == (
        invalid,
        "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
    )
    multi.tasks[1].CopyFrom(multi.tasks[0])
    assert code_of(client.prediction.MultiInference, multi) == (
        invalid,
        "Duplicate evaluation of signature: regress_x_to_y",
    )
    regress.input.Clear()
    assert code_of(client.prediction.Regress, regress) == (invalid, "Input is empty.")
    regress.model_spec.signature_name = "classify_x_to_y"
    regress.input.example_list.examples.add().CopyFrom(example(x=2.0))
    assert code_of(client.prediction.Regress, regress)[0] == grpc.StatusCode.FAILED_PRECONDITION


def test_grpc_status_metadata_health_and_reflection(client: Client) -> None:
    status = get_model_status_pb2.GetModelStatusRequest()
    assert code_of(client.models.GetModelStatus, status)[1] == "Missing ModelSpec"
    status.model_spec.name = "half_plus_three"
    entries = client.models.GetModelStatus(status).model_version_status
    assert [(entry.version, entry.state) for entry in entries] == [(123, 30), (122, 30)]
    status.model_spec.version_label = "stable"
    assert [entry.version for entry in client.models.GetModelStatus(status).model_version_status] == [122]

    metadata = get_model_metadata_pb2.GetModelMetadataRequest()
    metadata.model_spec.name = "half_plus_two"
    assert code_of(client.prediction.GetModelMetadata, metadata)[1] == (
        "GetModelMetadataRequest must specify at least one metadata_field"
    )
    metadata.metadata_field.append("signature_def")
    signatures = get_model_metadata_pb2.SignatureDefMap()
    client.prediction.GetModelMetadata(metadata).metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["regress_x_to_y"].method_name == "tensorflow/serving/regress"

    health = health_pb2_grpc.HealthStub(client.channel)
    served.wait_for(lambda: health.Check(health_pb2.HealthCheckRequest()).status == 1)
    assert client.http.get("/healthz").text == "ok\n"
    reflection = reflection_pb2_grpc.ServerReflectionStub(client.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = reflection.ServerReflectionInfo(iter([request]))
    names = {service.name for service in answer.list_services_response.service}
    assert {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"} <= names


def test_a_models_own_answers_over_both_transports(client: Client) -> None:
    rows = [row for row in tiny_model.replay_rows() if None not in row.values()]
    status, found = client.post("tiny:predict", {"signature_name": "serving_features", "instances": rows})
    assert status == 200
    answer = client.predict(
        "tiny",
        {
            "x": np.array([row["x"] for row in rows], np.float32),
            "kind": np.array([row["kind"].encode() for row in rows], object),
        },
        signature="serving_features",
    )
    by_grpc = list(answer.outputs["probability"].float_val)
    examples = [{"b64": base64.b64encode(tiny_model.example(**row)).decode()} for row in rows]
    by_example = client.post("tiny:predict", {"instances": examples})[1]["predictions"]
    for at, row in enumerate(found["predictions"]):
        assert np.float32(row["probability"]) == np.float32(by_grpc[at])
        assert row == by_example[at]
    model = tiny_model.TinyModel(1.0, -1.0, 0.3)
    expected = model.answer(tf.constant([row["x"] for row in rows]), tf.constant([row["kind"] for row in rows]))[
        "probability"
    ].numpy()
    np.testing.assert_allclose(by_grpc, expected, rtol=1e-6)


def test_metrics_have_tensorflow_servings_names(client: Client) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    client.post("half_plus_two:predict", {"instances": [[1.0]]})
    client.post("half_plus_two:predict", {"instances": [["x"]]})
    response = client.http.get("/monitoring/prometheus/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }
    count = ":tensorflow:serving:request_count_total"  # the parser's name for a counter
    assert '\n:tensorflow:serving:request_count{model_name="half_plus_two",status="OK"}' in response.text
    assert samples[count, (("model_name", "half_plus_two"), ("status", "OK"))] >= 1
    assert samples[count, (("model_name", "half_plus_two"), ("status", "INVALID_ARGUMENT"))] >= 1
    latency = (("API", "Predict"), ("entrypoint", "REST"), ("model_name", "half_plus_two"))
    assert samples[":tensorflow:serving:request_latency_count", latency] >= 2
    assert samples[":tensorflow:serving:request_latency_bucket", (*latency[:2], ("le", "+Inf"), latency[2])] >= 2
    assert any(name == ":tensorflow:cc:saved_model:load_attempt_count_total" for name, _ in samples)


def test_gzip_is_unpacked(client: Client) -> None:
    import gzip

    body = gzip.compress(json.dumps({"instances": [[1.0]]}).encode())
    response = client.http.post("/v1/models/half_plus_two:predict", content=body, headers={"content-encoding": "gzip"})
    assert response.json() == {"predictions": [[2.5]]}
    response = client.http.post("/v1/models/half_plus_two:predict", content=b"x", headers={"content-encoding": "gzip"})
    assert response.status_code == 400


def test_model_config_file_must_be_one(tmp_path: pathlib.Path) -> None:
    from serving.config import read_models
    from serving.errors import ConfigError

    path = tmp_path / "bad.config"
    path.write_text("improperly { formatted")
    # The second half is what protobuf logs in TensorFlow Serving, whose tests wait for it.
    sentence = f"Invalid protobuf file: '{path}': Error parsing text-format tensorflow.serving.ModelServerConfig: 1:1"
    with pytest.raises(ConfigError, match=sentence):
        read_models(path)
    one = f'config {{ name: "a" base_path: "{tmp_path}" model_platform: "tensorflow" }}'
    path.write_text(f"model_config_list {{ {one} {one} }}")
    with pytest.raises(ConfigError, match="Illegal to list model a multiple times in config list"):
        read_models(path)
    path.write_text(f"model_config_list {{ {one.replace(str(tmp_path), 'gs://bucket/a')} }}")
    with pytest.raises(ConfigError, match="gs://bucket/a is no directory of this machine: mount or copy"):
        read_models(path)
    path.write_text(f"model_config_list {{ {one.replace(str(tmp_path), f'file://{tmp_path}')} }}")
    assert [model.base_path for model in read_models(path)] == [tmp_path]
