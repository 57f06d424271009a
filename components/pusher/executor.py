"""Pusher's work: publish what is blessed, with a manifest."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import tensorflow as tf
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.version import __version__ as tfx_version

from components import files
from components.pusher import versions
from components.store import Store


class Executor(base_executor.BaseExecutor):
    """See `components.pusher.component.Pusher`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Push, or say in the artifact that nothing was pushed."""
        config, identity = json.loads(exec_properties["config"]), json.loads(exec_properties["identity"])
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        blessings = {key: artifact_utils.get_single_instance(input_dict[key]) for key in _BLESSINGS}
        refused = [name for key, name in _BLESSINGS.items() if not blessings[key].get_int_custom_property("blessed")]
        if refused:
            pushed.set_int_custom_property("pushed", 0)
            pushed.set_string_custom_property("message", f"Not pushed: no blessing from {' and '.join(refused)}.")
            return
        saved_model = pathlib.Path(artifact_utils.get_single_uri(input_dict["model"])) / versions.SAVED_MODEL
        version = versions.publish(
            saved_model,
            pathlib.Path(config["push_directory"]),
            Store(exec_properties["root"]),
            _manifest(config, identity, blessings),
        )
        files.write_json(pathlib.Path(pushed.uri) / "manifest.json", dict(version.manifest))
        pushed.set_int_custom_property("pushed", 1)
        pushed.set_string_custom_property("pushed_destination", str(version.path))
        pushed.set_string_custom_property("pushed_version", str(version.number))


_BLESSINGS = {"model_blessing": "Evaluator", "infra_blessing": "InfraCheck"}


def _manifest(config: dict[str, Any], identity: dict[str, Any], blessings: dict[str, types.Artifact]) -> dict[str, Any]:
    metrics = blessings["model_blessing"].get_string_custom_property("metrics")
    return {
        "project": identity["project"],
        "span": identity["span"],
        "span_version": identity["span_version"],
        "span_digest": identity["digest"],
        "schema_digest": config["schema"],
        "lock_digest": config["lock"],
        "code_digest": config["code"],
        "git_commit": config["git_commit"],
        "metrics": json.loads(metrics) if metrics else {},
        "blessed_by": {
            name: {"artifact": blessings[key].id, "uri": blessings[key].uri} for key, name in _BLESSINGS.items()
        },
        "versions": {"tfx": tfx_version, "tensorflow": tf.__version__},
        "rollback": None,
    }
