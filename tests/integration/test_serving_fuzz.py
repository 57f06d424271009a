"""Whatever comes in, the server answers in its protocol, and answers the next one rightly."""

from __future__ import annotations

import json
import pathlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from serving import json_complaints, json_tensors, json_writer, tensors, wire
from serving.errors import Code, ServingError
from serving.json_reader import read_object
from tests.integration import served
from tests.integration.served import Client

FEW = settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
MANY = settings(max_examples=300, suppress_health_check=list(HealthCheck), deadline=None)

FLOATS = st.floats(allow_nan=True, allow_infinity=True) | st.floats(width=32)
LEAVES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | FLOATS | st.text(max_size=6)
VALUES = st.recursive(
    LEAVES | st.fixed_dictionaries({"b64": st.text("abAB01+/-_= ", max_size=8)}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "b64", "tag", "z"]), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(["instances", "inputs", "signature_name", "examples", "context", "other"])
SIGNATURES = st.sampled_from(["serving_default", "several", "echo", "text", "fails", "no"]) | VALUES
DOCUMENTS = st.builds(
    lambda document, signature, named: {**document, **({"signature_name": signature} if named else {})},
    st.dictionaries(KEYS, VALUES, max_size=3),
    SIGNATURES,
    st.booleans(),
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    root = tmp_path_factory.mktemp("models")
    served.kinds(root / "kinds")
    with served.serving(f"--model_base_path={root / 'kinds'}", "--model_name=kinds") as found:
        yield found


def check(client: Client, path: str, body: bytes) -> None:
    response = client.http.post(path, content=body)
    assert response.status_code in (200, 400, 404, 501), response.content
    answer = json.loads(response.content.decode("utf-8", "surrogateescape"))
    assert isinstance(answer, dict) and len(answer) == 1
    if response.status_code != 200:
        assert isinstance(answer["error"], str)


@given(document=DOCUMENTS | VALUES, method=st.sampled_from(["predict", "classify", "regress"]))
@FEW
def test_any_json(client: Client, document: Any, method: str) -> None:
    check(client, f"/v1/models/kinds:{method}", json.dumps(document).encode("utf-8", "surrogatepass"))


@given(body=st.binary(max_size=60))
@FEW
@example(b"[" * 100_000)
@example(b'{"inputs": ' + b"[" * 50_000)
@example(b'{"inputs": 1' + b"0" * 10_000 + b"}")
@example(b'{"inputs": "\\ud800"}')
@example(b'{"inputs": "\\ud83d\\ude00\\u0000"}')
@example(b'{"inputs": -Inf, "a": Inf}')
@example(b"\xef\xbb\xbf{}")
@example(b'{"inputs": 1e999}')
def test_any_bytes_as_a_body(client: Client, body: bytes) -> None:
    check(client, "/v1/models/kinds:predict", body)


@given(path=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#"), max_size=40))
@FEW
def test_any_path(client: Client, path: str) -> None:
    head = f"GET /v1/models/{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", client.rest_port), timeout=10) as connection:
        connection.sendall(head)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400", b"HTTP/1.1 404"))


@given(head=st.binary(max_size=80))
@FEW
def test_any_bytes_as_http(client: Client, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", client.rest_port), timeout=10) as connection:
        connection.sendall(head + b"\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(0.05)
        try:
            answer = connection.recv(65536)
        except OSError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    assert client.post("kinds:predict", {"instances": ["still there"]}) == (200, {"predictions": ["still there"]})


SENT = st.builds(
    lambda dtype, dims, fields, content: (dtype, dims, fields, content),
    st.integers(0, 30),
    st.lists(st.sampled_from([0, 1, 2, 3, -1, 2**40]), max_size=3),
    st.dictionaries(
        st.sampled_from(["float_val", "int_val", "int64_val", "bool_val", "double_val", "half_val", "scomplex_val"]),
        st.lists(st.integers(0, 1), max_size=4),
        max_size=2,
    ),
    st.binary(max_size=16),
)


def tensor_proto(sent: Any) -> tensor_pb2.TensorProto:
    dtype, dims, fields, content = sent
    proto = tensor_pb2.TensorProto(dtype=dtype, tensor_content=content)
    for size in dims:
        proto.tensor_shape.dim.add().size = size
    for name, values in fields.items():
        getattr(proto, name).extend(values)
    return proto


@given(
    sent=st.dictionaries(st.sampled_from(["text", "x", "tag", "signal", "sensor"]), SENT, max_size=3),
    signature=st.sampled_from(["", "several", "text", "fails", "echo", "no"]),
    wanted=st.lists(st.sampled_from(["same", "total", "tag"]), max_size=2),
)
@FEW
def test_any_predict_request(client: Client, sent: Any, signature: str, wanted: list[str]) -> None:
    request = predict_pb2.PredictRequest(output_filter=wanted)
    request.model_spec.name, request.model_spec.signature_name = "kinds", signature
    for name, value in sent.items():
        request.inputs[name].CopyFrom(tensor_proto(value))
    try:
        client.prediction.Predict(request, timeout=20)
    except grpc.RpcError as error:
        assert error.code() in (
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.FAILED_PRECONDITION,
            grpc.StatusCode.UNIMPLEMENTED,
        ), error


@given(content=st.binary(max_size=100), method=st.sampled_from(["Predict", "Classify", "Regress", "MultiInference"]))
@FEW
def test_any_bytes_as_a_grpc_message(client: Client, content: bytes, method: str) -> None:
    ask = client.channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}")
    with pytest.raises(grpc.RpcError) as caught:
        ask(content, timeout=20)
    assert caught.value.code() in (
        grpc.StatusCode.INTERNAL,  # gRPC's own word for what is no such message
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
    )


# --- without a server: the same rules, more of it ---


@given(value=VALUES, dtype=st.sampled_from(sorted(tensors.DTYPES)))
@MANY
def test_what_is_read_at_once_is_what_the_walk_would_read(value: Any, dtype: int) -> None:
    """The fast path and the one that finds the sentence agree on what is right."""
    fast, alone = json_tensors._dense(value, dtype), json_tensors._one(value, dtype)
    assert (fast is None) == (alone is None)
    assert fast is None or alone is None or (alone.shape == (1, *fast.shape) and alone.dtype == fast.dtype)
    try:
        shape = json_complaints.shape_of(value)
        count = json_complaints.fill(value, shape, dtype, 0)
    except ServingError as error:
        assert fast is None
        assert error.code.name in ("INVALID_ARGUMENT", "UNIMPLEMENTED")
    else:
        assert fast is not None or count == 0
        assert fast is None or list(fast.shape) == shape


# The largest float, written with nine digits, is a bit too large to be read again: in TensorFlow Serving, too.
NUMBERS = st.lists(st.floats(width=32).filter(lambda value: not 3.4e38 < abs(value) < float("inf")), max_size=40)


@given(values=NUMBERS)
@MANY
def test_floats_survive_writing_and_reading(values: list[float]) -> None:
    array = np.array([values], np.float32)
    text = json_writer.columns({"y": array})
    back = json_tensors.from_inputs(read_object(text)["outputs"], {"y": tensors.FLOAT})["y"]
    assert back.shape == array.shape or not values
    np.testing.assert_array_equal(back.ravel(), array.ravel())


@given(values=st.lists(st.floats(), min_size=1, max_size=40))
@MANY
def test_doubles_survive_writing_and_reading(values: list[float]) -> None:
    array = np.array(values)
    text = json_writer.predictions({"y": array})
    back = json_tensors.from_instances(read_object(text)["predictions"], {"y": tensors.DOUBLE})["y"]
    np.testing.assert_array_equal(back, array)


@given(sent=SENT)
@MANY
@example((1, [0, 2**40, 2**40], {}, b""))
@example((7, [], {"float_val": []}, b""))
def test_tensor_protos_are_read_as_tensorflow_reads_them(sent: Any) -> None:
    proto = tensor_proto(sent)
    try:
        found = tensors.from_proto(proto, "x")
    except ServingError as error:
        assert error.message == "tensor parsing error: x"
        return
    try:
        expected = tf.make_ndarray(proto)
    except (TypeError, ValueError):
        return  # make_ndarray knows fewer dtypes, and does not fill up every one
    if proto.dtype == tensors.STRING and not proto.string_val:
        expected = np.full(expected.shape, b"", object)  # make_ndarray fills up with "", TensorFlow itself with b""
    if expected.shape == found.shape and not proto.tensor_content and len(sent[2]) == 1:
        np.testing.assert_array_equal(found, expected)


@given(values=st.lists(st.binary(max_size=5), max_size=4))
@MANY
def test_strings_go_through_protos_unchanged(values: list[bytes]) -> None:
    array = np.empty(len(values), object)
    array[:] = values
    proto = tensor_pb2.TensorProto()
    tensors.to_proto(array, proto)
    assert tensors.from_proto(proto, "x").tolist() == values


ONE_VALUE = {
    tensors.FLOAT: st.floats(width=32),
    tensors.DOUBLE: st.floats(),
    tensors.INT32: st.integers(-(2**31), 2**31 - 1),
    tensors.INT64: st.integers(-(2**63), 2**63 - 1),
    tensors.STRING: st.binary(max_size=200),
}


@st.composite
def short_tensors(draw: Any) -> bytes:
    """One value of shape [1] as bytes, nearly: sometimes more values than fit, other shapes, a byte changed."""
    dtype = draw(st.sampled_from(sorted(ONE_VALUE)))
    proto = tensor_pb2.TensorProto(dtype=dtype)
    for _ in range(draw(st.sampled_from([1, 1, 1, 0, 2]))):
        proto.tensor_shape.dim.add().size = draw(st.sampled_from([1, 1, 1, 0, 2]))
    values = draw(st.lists(ONE_VALUE[dtype], min_size=1, max_size=draw(st.sampled_from([1, 1, 2]))))
    getattr(proto, tensors.DTYPES[dtype][2]).extend(values)
    data = bytearray(proto.SerializeToString())
    if draw(st.booleans()):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


@given(data=short_tensors() | st.binary(max_size=20))
@settings(MANY, max_examples=1000)
@example(b"\x08\x03\x12\x04\x12\x02\x08\x01\x3a\x05\xff\xff\xff\xff\x7f")  # an int32 beyond 32 bits: cut off
@example(b"\x08\x09\x12\x04\x12\x02\x08\x01\x52\x0a" + b"\xff" * 9 + b"\x7f")  # bits beyond the 64th
@example(b"\x08\x09\x12\x04\x12\x02\x08\x01\x52\x02\x01\x02")
def test_the_short_way_off_the_wire_ends_at_the_same_tensor(data: bytes) -> None:
    def read(way: Callable[[], Any]) -> Any:
        try:
            array = way()
        except ServingError as error:
            return error.message
        return array.dtype, array.shape, array.tolist() if array.dtype == object else array.tobytes()

    def long_way() -> Any:
        try:
            return tensors.from_proto(tensor_pb2.TensorProto.FromString(data), "x")
        except DecodeError:
            raise ServingError(Code.INTERNAL, "Exception deserializing request!") from None

    request = wire.PredictRequest()
    request.inputs.add(key="x", value=data)
    sent = wire.PredictRequest.FromString(request.SerializeToString())
    assert read(lambda: wire.inputs_of(sent)["x"]) == read(long_way)


@given(names=st.lists(st.text(max_size=3), max_size=4), filters=st.lists(st.text(max_size=3), max_size=2))
@FEW
def test_a_predict_request_is_read_as_its_proto_says(names: list[str], filters: list[str]) -> None:
    request = predict_pb2.PredictRequest(output_filter=filters)
    request.model_spec.name, request.model_spec.version.value = "m", 3
    for at, name in enumerate(names):
        tensors.to_proto(np.array([at], np.int64), request.inputs[name])
    sent = wire.PredictRequest.FromString(request.SerializeToString())
    assert sent.model_spec == request.model_spec and list(sent.output_filter) == filters
    found = {name: array.tolist() for name, array in wire.inputs_of(sent).items()}
    assert found == {name: tensors.from_proto(proto, name).tolist() for name, proto in request.inputs.items()}


@pytest.mark.parametrize(
    "dtype",
    [np.float16, np.complex64, np.complex128, np.int8, np.uint16, np.uint64, np.bool_, tf.bfloat16.as_numpy_dtype],
)
def test_every_dtype_goes_through_protos_unchanged(dtype: Any) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    proto = tensor_pb2.TensorProto()
    tensors.to_proto(array, proto)
    np.testing.assert_array_equal(tensors.from_proto(proto, "x"), array)
    np.testing.assert_array_equal(tensors.from_proto(tf.make_tensor_proto(array), "x"), array)
    content = tensor_pb2.TensorProto()
    tensors.to_proto(array, content, as_content=True)
    assert content.tensor_content == array.tobytes() and content.dtype == proto.dtype
    np.testing.assert_array_equal(tf.make_ndarray(content), array)


def test_nothing_is_read_from_outside_the_models_directory(tmp_path: pathlib.Path) -> None:
    from serving.http import parse

    assert parse("GET", "/v1/models/..%2Fetc").model == "../etc"  # a name that no model has
    with pytest.raises(ServingError):
        parse("GET", "/v1/models/../../etc/passwd")
