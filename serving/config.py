"""Flags and files, judged whole before anything starts."""

from __future__ import annotations

import argparse
import dataclasses
import ipaddress
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving import protos
from serving.batching import BatchingOptions
from serving.errors import ConfigError, ServingError, invalid
from serving.manager import ManagerOptions
from serving.request_log import LogSettings
from serving.security import Guard, read_tokens
from serving.versions import ModelConfig, Policy

_PROMETHEUS = "/monitoring/prometheus/metrics"
_PLATFORM = "tensorflow"
_SCHEME = re.compile("[a-z][a-z0-9+.]*", re.I)


@dataclasses.dataclass(frozen=True)
class Tls:
    """PEM texts; `client_ca` empty: any client, else those it has signed."""

    key: bytes
    certificate: bytes
    client_ca: bytes = b""


@dataclasses.dataclass(frozen=True)
class Config:
    """What a server needs to know that is not a plain flag."""

    flags: argparse.Namespace
    models: Sequence[ModelConfig]
    manager: ManagerOptions
    batching: BatchingOptions | None
    metrics_path: str
    tls: Tls | None
    guard: Guard
    request_log: LogSettings | None
    channel_arguments: tuple[tuple[str, int | str], ...]


def read(flags: argparse.Namespace) -> Config:
    """All of the configuration.

    Raises:
      ConfigError: with the flag or file, what is wrong and what is allowed.
    """
    _check_numbers(flags)
    if not flags.model_base_path and not flags.model_config_file:
        raise ConfigError("nothing to serve: give --model_base_path or --model_config_file.")
    if flags.port and flags.port == flags.rest_api_port:
        raise ConfigError("--rest_api_port cannot be same as --port. Please use a different port for HTTP/REST API.")
    if not (flags.port or flags.rest_api_port or flags.grpc_socket_path):
        raise ConfigError("nowhere to listen: --port and --rest_api_port are both 0.")
    if flags.batching_parameters_file and not flags.enable_batching:
        raise ConfigError("--batching_parameters_file is set without setting --enable_batching to true.")
    tls = _tls(flags.ssl_config_file) if flags.ssl_config_file else None
    tokens = read_tokens(flags.auth_tokens_file) if flags.auth_tokens_file else None
    _check_exposure(flags, tls, tokens is not None)
    return Config(
        flags=flags,
        models=_models(flags),
        manager=ManagerOptions(
            poll_seconds=float(flags.file_system_poll_wait_seconds),
            retries=flags.max_num_load_retries,
            retry_seconds=flags.load_retry_interval_micros / 1e6,
            load_threads=flags.num_load_threads,
            labels_ahead=flags.allow_version_labels_for_unavailable_models,
        ),
        batching=_batching(flags.batching_parameters_file) if flags.enable_batching else None,
        metrics_path=_metrics_path(flags.monitoring_config_file),
        tls=tls,
        guard=Guard(tokens, flags.max_requests_per_second),
        request_log=_request_log(flags),
        channel_arguments=_channel_arguments(flags.grpc_channel_arguments),
    )


def read_models(path: pathlib.Path) -> list[ModelConfig]:
    """The models of a `--model_config_file`.

    Raises:
      ConfigError: it is no ModelServerConfig, or one that cannot be served.
    """
    config = _read_proto(path, model_server_config_pb2.ModelServerConfig())
    try:
        return models_of(config)
    except ServingError as error:
        raise ConfigError(f"{path}: {error.message}") from error


def models_of(config: Any) -> list[ModelConfig]:
    """The models of a ModelServerConfig.

    Raises:
      ServingError: INVALID_ARGUMENT, in TensorFlow Serving's words where it has some.
    """
    if config.WhichOneof("config") == "custom_model_config":
        raise invalid("ModelServer does not yet support custom model config.")
    found: dict[str, ModelConfig] = {}
    for model in config.model_config_list.config:
        if not model.name or not model.base_path:
            raise invalid("A model in the config list has no name or no base_path.")
        if model.name in found:
            raise invalid(f"Illegal to list model {model.name} multiple times in config list")
        if model.model_type and model.model_platform:
            raise invalid("Illegal setting both model_type(deprecated) and model_platform.")
        if not (model.model_type or model.model_platform):
            raise invalid("Illegal setting neither model_type(deprecated) nor model_platform.")
        if model.model_platform not in ("", _PLATFORM):
            raise invalid(f"Model {model.name} requests unsupported platform {model.model_platform}")
        policy = Policy.from_proto(model.model_version_policy)
        found[model.name] = ModelConfig(model.name, _local(model.base_path), policy, dict(model.version_labels))
    return list(found.values())


def _local(base_path: str) -> pathlib.Path:
    """A directory; `file:///models` is `/models`, and a bucket is none."""
    scheme, colon, rest = base_path.partition(":/")
    if not colon or not _SCHEME.fullmatch(scheme):
        return pathlib.Path(base_path)
    if scheme != "file":
        raise invalid(f"{base_path} is no directory of this machine: mount or copy the models' versions here.")
    return pathlib.Path("/" + rest.lstrip("/"))


def _models(flags: argparse.Namespace) -> Sequence[ModelConfig]:
    if flags.model_config_file:
        return read_models(flags.model_config_file)
    if not flags.model_name or "/" in flags.model_name or ":" in flags.model_name:
        raise ConfigError(f"--model_name: '{flags.model_name}' cannot be asked for: without / and :, please.")
    try:
        path = _local(str(flags.model_base_path))
    except ServingError as error:
        raise ConfigError(f"--model_base_path: {error.message}") from error
    if path.exists() and not path.is_dir():
        raise ConfigError(f"--model_base_path: {path} is no directory.")
    if (path / "saved_model.pb").is_file() and not any(child.name.isdigit() for child in path.iterdir()):
        raise ConfigError(
            f"--model_base_path: {path} is a SavedModel itself. Wanted is the directory above, in which versions have "
            f"numbers for names: {path.parent} if this one is called 1."
        )
    return [ModelConfig(flags.model_name, path)]


def _check_numbers(flags: argparse.Namespace) -> None:
    for name in ("port", "rest_api_port"):
        if not 0 <= getattr(flags, name) <= 65535:
            raise ConfigError(f"--{name}: {getattr(flags, name)} is no port (0 to 65535).")
    at_least = {
        "max_request_bytes": 1,
        "max_waiting_requests": 1,
        "rest_api_num_threads": 1,
        "num_request_iterations_for_warmup": 0,
        "grpc_max_threads": 0,
        "num_load_threads": 0,
        "max_num_load_retries": 0,
        "max_requests_per_second": 0,
        "shutdown_grace_seconds": 0,
    }
    for name, least in at_least.items():
        if getattr(flags, name) < least:
            raise ConfigError(f"--{name}: {getattr(flags, name)} is less than {least}.")


def _request_log(flags: argparse.Namespace) -> LogSettings | None:
    if not flags.request_log_dir:
        return None
    try:
        return LogSettings(
            directory=pathlib.Path(flags.request_log_dir),
            sampling_rate=flags.request_log_sampling_rate,
            file_bytes=flags.request_log_file_bytes,
            total_bytes=flags.request_log_total_bytes,
            sync_seconds=flags.request_log_sync_seconds,
            redact=frozenset(name.strip() for name in flags.request_log_redact.split(",") if name.strip()),
        )
    except ValueError as error:
        raise ConfigError(f"--{error}") from error


def _check_exposure(flags: argparse.Namespace, tls: Tls | None, tokens: bool) -> None:
    """Beyond loopback, a server is encrypted and knows its clients, or somebody has said aloud that it need not."""
    if flags.insecure_on_all_interfaces or _loopback(flags.host):
        return
    missing = []
    if tls is None:
        missing.append("TLS (--ssl_config_file)")
    if not tokens and (tls is None or not tls.client_ca):
        missing.append("clients that say who they are (--auth_tokens_file, or client_verify in the SSLConfig)")
    if missing:
        raise ConfigError(
            f"--host {flags.host} can be reached from other machines, which wants {' and '.join(missing)}. "
            "Where the network itself keeps others out (a pod, a tunnel), say --insecure_on_all_interfaces."
        )


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _read_proto(path: pathlib.Path, message: Any) -> Any:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        what = f"Error parsing text-format {message.DESCRIPTOR.full_name}: {error}"
        raise ConfigError(f"Invalid protobuf file: '{path}': {what}") from error


def _batching(path: pathlib.Path | str) -> BatchingOptions:
    if not path:
        return BatchingOptions()
    read = _read_proto(pathlib.Path(path), protos.BatchingParameters())
    defaults = BatchingOptions()

    def value(name: str, default: int, least: int) -> int:
        given = int(getattr(read, name).value) if read.HasField(name) else default
        if given < least:
            raise ConfigError(f"{path}: {name} is {given}; at least {least} is wanted.")
        return given

    size = value("max_batch_size", defaults.max_batch_size, 1)
    allowed = tuple(read.allowed_batch_sizes)
    if allowed and (list(allowed) != sorted(set(allowed)) or allowed[-1] != size or allowed[0] < 1):
        raise ConfigError(f"{path}: allowed_batch_sizes must rise, and end with max_batch_size ({size}).")
    if read.pad_variable_length_inputs:
        raise ConfigError(f"{path}: pad_variable_length_inputs is not supported; rows of other shapes go separately.")
    return BatchingOptions(
        max_batch_size=size,
        batch_timeout_micros=value("batch_timeout_micros", defaults.batch_timeout_micros, 0),
        max_enqueued_batches=value("max_enqueued_batches", defaults.max_enqueued_batches, 1),
        threads=value("num_batch_threads", 0, 0),
        allowed_batch_sizes=allowed,
        split_large=read.enable_large_batch_splitting.value if read.HasField("enable_large_batch_splitting") else True,
    )


def _metrics_path(path: pathlib.Path | str) -> str:
    """Where Prometheus asks; on unless a file turns it off."""
    if not path:
        return _PROMETHEUS
    config = _read_proto(pathlib.Path(path), protos.MonitoringConfig()).prometheus_config
    if not config.enable:
        return ""
    if config.path and not config.path.startswith("/"):
        raise ConfigError(f"{path}: path '{config.path}' does not begin with /.")
    return str(config.path) or _PROMETHEUS


def _tls(path: pathlib.Path) -> Tls:
    config = _read_proto(path, protos.SSLConfig())
    if not config.server_key or not config.server_cert:
        raise ConfigError(f"{path}: server_key and server_cert are wanted, as PEM texts, not as paths.")
    if config.client_verify and not config.custom_ca:
        raise ConfigError(f"{path}: client_verify wants custom_ca, the certificate that has signed the clients'.")
    ca = config.custom_ca.encode() if config.client_verify else b""
    return Tls(config.server_key.encode(), config.server_cert.encode(), ca)


def _channel_arguments(text: str) -> tuple[tuple[str, int | str], ...]:
    found: list[tuple[str, int | str]] = []
    for entry in filter(None, text.split(",")):
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise ConfigError(f"--grpc_channel_arguments: '{entry}' is not name=value.")
        found.append((name, int(value) if value.lstrip("-").isdigit() else value))
    return tuple(found)
