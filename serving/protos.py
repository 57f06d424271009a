"""The three text protos of TensorFlow Serving's flags whose generated code tensorflow-serving-api leaves out.

Only field names matter: the files are text, and nothing here goes over a wire.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

_INT64, _BOOL, _STRING, _MESSAGE = 3, 8, 9, 11
_INT_VALUE, _BOOL_VALUE, _STRING_VALUE = "Int64Value", "BoolValue", "StringValue"
_PACKAGE = "spanwise.serving"
_MESSAGES: dict[str, dict[str, Any]] = {
    "BatchingParameters": {
        "max_batch_size": _INT_VALUE,
        "batch_timeout_micros": _INT_VALUE,
        "max_enqueued_batches": _INT_VALUE,
        "num_batch_threads": _INT_VALUE,
        "thread_pool_name": _STRING_VALUE,
        "allowed_batch_sizes": [_INT64],
        "pad_variable_length_inputs": _BOOL,
        "enable_large_batch_splitting": _BOOL_VALUE,
    },
    "PrometheusConfig": {"enable": _BOOL, "path": _STRING},
    "MonitoringConfig": {"prometheus_config": "PrometheusConfig"},
    "SSLConfig": {"server_key": _STRING, "server_cert": _STRING, "custom_ca": _STRING, "client_verify": _BOOL},
}


def _made() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="spanwise/serving/flags.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), 1):
            repeated = isinstance(kind, list)
            kind = kind[0] if repeated else kind
            added = message.field.add(name=field, number=number, label=3 if repeated else 1)
            if isinstance(kind, str):
                added.type = _MESSAGE
                package = "google.protobuf" if kind.endswith("Value") else _PACKAGE
                added.type_name = f".{package}.{kind}"
            else:
                added.type = kind
    return classes(file)


def classes(file: Any) -> dict[str, Any]:
    """The classes of the messages that a FileDescriptorProto describes, by name; what it depends on is known."""
    pool = descriptor_pool.Default()
    pool.Add(file)
    found = {
        message.name: pool.FindMessageTypeByName(f"{file.package}.{message.name}") for message in file.message_type
    }
    if hasattr(message_factory, "GetMessageClass"):
        return {name: message_factory.GetMessageClass(descriptor) for name, descriptor in found.items()}
    factory = message_factory.MessageFactory(pool)  # protobuf 3
    return {name: factory.GetPrototype(descriptor) for name, descriptor in found.items()}


_classes = _made()
BatchingParameters: Any = _classes["BatchingParameters"]
MonitoringConfig: Any = _classes["MonitoringConfig"]
SSLConfig: Any = _classes["SSLConfig"]
