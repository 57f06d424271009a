"""The server's flags, named as TensorFlow Serving names its own. Imports no TensorFlow: `--help` answers at once."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import os
import pathlib
from collections.abc import Sequence
from typing import Any

_CORES = os.cpu_count() or 1
_TRUE, _FALSE = {"true", "1", "yes"}, {"false", "0", "no"}
# Flags of tensorflow_model_server that change nothing here, so that its command lines work as they are.
_WITHOUT_EFFECT = (
    "flush_filesystem_caches",
    "num_unload_threads",
    "per_process_gpu_memory_fraction",
    "platform_config_file",
    "tensorflow_session_parallelism",
    "tensorflow_session_config_file",
    "use_saved_model",
    "prefer_tflite_model",
    "use_tflite_model",
    "num_tflite_pools",
    "num_tflite_interpreters_per_pool",
    "remove_unused_fields_from_bundle_metagraph",
    "enable_profiler",
    "thread_pool_factory_config_file",
    "xla_cpu_compilation_enabled",
    "xla_gpu_compilation_enabled",
    "mixed_precision",
    "skip_initialize_tpu",
    "enforce_session_run_timeout",
    "enable_grpc_healthcheck_service",
    "use_alts_credentials",
    "enable_per_model_batching_parameters",
)


@dataclasses.dataclass(frozen=True)
class _Flag:
    name: str
    default: Any
    help: str
    group: str


def _flags() -> list[_Flag]:
    found: list[_Flag] = []

    def add(group: str, name: str, default: Any, text: str) -> None:
        found.append(_Flag(name, default, text, group))

    group = "models"
    add(group, "model_name", "default", "name of the model")
    add(group, "model_base_path", "", "directory whose sub-directories, named by numbers, are the versions")
    add(group, "model_config_file", "", "ModelServerConfig (text proto): several models, policies, labels")
    add(group, "model_config_file_poll_wait_seconds", 0.0, "how often to read that file again; 0: never")
    add(group, "file_system_poll_wait_seconds", 1.0, "how often to look for new versions; 0: once, at the start")
    add(group, "max_num_load_retries", 5, "how often to try again to load a version that fails")
    add(group, "load_retry_interval_micros", 60_000_000, "how long to wait before that")
    add(group, "num_load_threads", 1, "versions that load at the same time")
    add(group, "allow_version_labels_for_unavailable_models", False, "labels may name versions not loaded yet")
    add(group, "saved_model_tags", "serve", "tags of the graph to load, separated by commas")
    add(group, "enable_model_warmup", True, "run assets.extra/tf_serving_warmup_requests before AVAILABLE")
    add(group, "num_request_iterations_for_warmup", 1, "how often to run each of them")
    add(group, "enable_signature_method_name_check", False, "Classify and Regress want a signature made for them")

    add(group, "version", False, "say which TensorFlow this serves with, and end")

    group = "where it listens"
    add(group, "host", "127.0.0.1", "address; another than loopback wants TLS and clients that say who they are")
    add(group, "port", 8500, "gRPC; 0: off")
    add(group, "grpc_socket_path", "", "UNIX socket for gRPC, beside the port")
    add(group, "rest_api_port", 8501, "REST; 0: off")
    add(group, "grpc_channel_arguments", "", "for gRPC: name=value,name=value")
    add(group, "rest_api_enable_cors_support", False, "let web pages of other hosts ask")
    add(group, "enable_serialization_as_tensor_content", False, "gRPC Predict answers numbers as tensor_content")
    add(group, "monitoring_config_file", "", "MonitoringConfig (text proto): Prometheus on or off, and its path")

    group = "work and limits"
    add(group, "enable_batching", False, "batch rows across requests")
    add(group, "batching_parameters_file", "", "BatchingParameters (text proto)")
    add(group, "rest_api_timeout_in_ms", 30_000, "how long a REST request may take; 0: no limit")
    add(group, "rest_api_num_threads", 4 * _CORES, "threads for REST requests that are not small")
    add(group, "grpc_max_threads", 0, f"threads for gRPC; 0: {4 * _CORES}, or 128 with batching")
    add(group, "tensorflow_inter_op_parallelism", 0, "TensorFlow's threads between operations; 0: the asking thread")
    add(group, "tensorflow_intra_op_parallelism", 0, "TensorFlow's threads within an operation; 0: all cores")
    add(group, "max_request_bytes", 64 << 20, "largest request, REST and gRPC")
    add(group, "max_waiting_requests", 1000, "requests that may wait for the model; further ones are turned away")
    add(group, "shutdown_grace_seconds", 20.0, "how long requests under way may take after SIGTERM")

    group = "what it remembers"
    add(group, "request_log_dir", "", "log requests and answers there, as PredictionLog in TFRecord files")
    add(group, "request_log_sampling_rate", 1.0, "share of requests that are logged, 0 to 1")
    add(group, "request_log_redact", "", "features never to log, separated by commas; beside those the model names")
    add(group, "request_log_file_bytes", 64 << 20, "size at which a file is closed; after an hour in any case")
    add(group, "request_log_total_bytes", 4 << 30, "of all files; the oldest go")
    add(group, "request_log_sync_seconds", 1.0, "how often to flush to the disk; 0: before each answer")

    group = "who may ask"
    add(group, "ssl_config_file", "", "SSLConfig (text proto): TLS for gRPC and REST; client_verify asks for theirs")
    add(group, "auth_tokens_file", "", "bearer tokens and the models of each (TOML, docs/serving.md)")
    add(group, "max_requests_per_second", 0.0, "a client; 0: no limit")
    add(group, "insecure_on_all_interfaces", False, "listen beyond loopback without TLS or without asking who it is")
    return found


FLAGS = _flags()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise argparse.ArgumentError(None, message)


def parser(prog: str) -> argparse.ArgumentParser:
    """An argument parser of all flags. Its errors are `argparse.ArgumentError`s."""
    made = _Parser(
        prog=prog,
        allow_abbrev=False,
        description="Serve SavedModels with TensorFlow Serving's protocol: gRPC and REST.",
        epilog="Flags are TensorFlow Serving's where it has them, with - or _; docs/serving.md has the differences.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=48, width=118),
    )
    groups: dict[str, Any] = {}
    for flag in FLAGS:
        group = groups.setdefault(flag.group, made.add_argument_group(flag.group))
        if isinstance(flag.default, bool):
            text = f"{flag.help} (default: {str(flag.default).lower()})"
            option = {"nargs": "?", "const": True, "type": _boolean, "metavar": "BOOL"}
        else:
            kind = pathlib.Path if flag.name.endswith(("_file", "_path")) else type(flag.default)
            text = flag.help if flag.default == "" else f"{flag.help} (default: {flag.default})"
            option = {"type": kind if flag.default != "" else (lambda value, kind=kind: kind(value) if value else "")}
            option["metavar"] = "FILE" if flag.name.endswith("_file") else "VALUE"
        group.add_argument(f"--{flag.name}", default=flag.default, help=text.replace("%", "%%"), **option)
    for name in _WITHOUT_EFFECT:
        made.add_argument(f"--{name}", nargs="?", const="true", default=None, help=argparse.SUPPRESS)
    return made


def parse(arguments: Sequence[str], prog: str) -> argparse.Namespace:
    """The flags' values; `without_effect` lists those given that change nothing here.

    Raises:
      argparse.ArgumentError: an unknown flag or a wrong value, with a sentence.
    """
    found, unknown = parser(prog).parse_known_args([_underscored(argument) for argument in arguments])
    if unknown:
        name = unknown[0].lstrip("-").partition("=")[0]
        near = difflib.get_close_matches(name, [flag.name for flag in FLAGS], n=1)
        hint = f" Did you mean --{near[0]}?" if near else f" `{prog} --help` lists the flags."
        raise argparse.ArgumentError(None, f"unknown argument: {unknown[0]}.{hint}")
    found.without_effect = [name for name in _WITHOUT_EFFECT if getattr(found, name) is not None]
    return found


def _underscored(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise argparse.ArgumentTypeError(f"'{text}' is neither true nor false")
