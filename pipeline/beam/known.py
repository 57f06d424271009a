"""Which options Beam knows: its own parser says so, and for Flink a list of what the job server adds.

Beam itself passes over what it does not know with a line in a log.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from pipeline.project.problems import near

_PORTABLE = {
    "job_endpoint": "job_endpoint",
    "parallelism": "parallelism",
    "environment_type": "environment",
    "environment_config": "worker_pool",
    "sdk_worker_parallelism": "processes",
}
KEYS = {
    "direct": {"direct_num_workers": "workers", "direct_running_mode": "mode"},
    "flink": {**_PORTABLE, "flink_master": "master", "flink_job_server_jar": "job_server_jar"},
    "spark": _PORTABLE,
    "dataflow": {
        "project": "project",
        "region": "region",
        "temp_location": "temp_location",
        "sdk_container_image": "image",
        "machine_type": "machine_type",
        "worker_machine_type": "machine_type",
        "max_num_workers": "max_workers",
        "service_account_email": "service_account",
    },
}
"""Profile -> options that keys of its table stand for."""

# As the job server of Beam 2.62.0 for Flink 1.19 describes itself (tests/flink holds this to it).
FLINK_SWITCHES = (
    "allow_non_restored_state",
    "attached_mode",
    "auto_balance_write_files_sharding_enabled",
    "disable_metrics",
    "enable_stable_input_drain",
    "externalized_checkpoints_enabled",
    "fail_on_checkpointing_errors",
    "faster_copy",
    "finish_bundle_before_checkpointing",
    "force_unaligned_checkpoint_enabled",
    "object_reuse",
    "operator_chaining",
    "re_iterable_group_by_key_result",
    "retain_externalized_checkpoints_on_cancellation",
    "unaligned_checkpoint_enabled",
    "use_data_stream_for_batch",
)
FLINK_NUMBERS = (
    "auto_watermark_interval",
    "checkpoint_timeout_millis",
    "checkpointing_interval",
    "execution_retry_delay",
    "file_input_split_max_size_m_b",
    "job_check_interval_in_secs",
    "latency_tracking_interval",
    "max_bundle_size",
    "max_bundle_time_mills",
    "max_parallelism",
    "min_pause_between_checkpoints",
    "num_concurrent_checkpoints",
    "number_of_execution_retries",
    "shutdown_sources_after_idle_ms",
)
FLINK_TEXTS = (
    "checkpointing_mode",
    "execution_mode_for_batch",
    "flink_conf_dir",
    "report_checkpoint_duration",
    "savepoint_path",
    "state_backend",
    "state_backend_factory",
    "state_backend_storage_path",
)


class _Refused(Exception):
    """argparse's sentence."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Refused(message)

    def add_value_provider_argument(self, *args: Any, **kwargs: Any) -> None:
        self.add_argument(*args, **kwargs)


def problems(options: Sequence[str], profile: str) -> list[tuple[int, str]]:
    """What is wrong with `pipeline_options` of a profile: (position, sentence)."""
    if not options:
        return []  # Beam need not be imported, which takes two seconds
    parser = _parser(profile)
    names = [text[2:] for action in parser._actions for text in action.option_strings]
    found = []
    for index, option in enumerate(options):
        name = option[2:].partition("=")[0]
        if name == "runner":
            found.append((index, f"{option!r}: [beam] profile says which runner it is."))
        elif name in KEYS[profile]:
            found.append((index, f"{option!r}: [beam.{profile}] {KEYS[profile][name]} says this. Use that key."))
        elif name not in names:
            found.append((index, f"{option!r} is not an option that Beam knows.{near(name, names)}"))
        elif wrong := _refusal(parser, option):
            found.append((index, f"{option!r} is not taken by Beam: {wrong}."))
    return found


def _refusal(parser: _Parser, option: str) -> str:
    try:
        parser.parse_known_args([option])
    except _Refused as error:
        return str(error)
    return ""


def _parser(profile: str) -> _Parser:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Google's libraries, about this Python
        from apache_beam.options.pipeline_options import PipelineOptions

    parser = _Parser(prog="beam", add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in dict.fromkeys(PipelineOptions.__subclasses__()):
        options._add_argparse_args(parser)
    if profile == "flink":
        known = {text for action in parser._actions for text in action.option_strings}
        for names, kind in ((FLINK_SWITCHES, bool), (FLINK_NUMBERS, int), (FLINK_TEXTS, str)):
            for name in names:
                if f"--{name}" in known:
                    continue
                if kind is bool:
                    parser.add_argument(f"--{name}", action="store_true")
                else:
                    parser.add_argument(f"--{name}", type=kind)
    return parser
