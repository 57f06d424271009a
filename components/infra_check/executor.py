"""InfraCheck's work: ask a server of its own, bless or fail the run."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components import files
from components.errors import ServingCheckFailed
from components.infra_check import process
from components.store import Store

_TIME_LIMIT = 300.0


class Executor(base_executor.BaseExecutor):
    """See `components.infra_check.component.InfraCheck`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Check the model.

        Raises:
          ServingCheckFailed: answers differ, the model does not load or is too slow; outcomes/ has the details.
        """
        config, identity = json.loads(exec_properties["config"]), json.loads(exec_properties["identity"])
        infra_blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        if not artifact_utils.get_single_instance(input_dict["model_blessing"]).get_int_custom_property("blessed"):
            _mark(infra_blessing, blessed=False, message="Not run: the Evaluator did not bless the model.")
            return
        model = artifact_utils.get_single_uri(input_dict["model"])
        limit = float(config.get("time_limit_s", _TIME_LIMIT))
        result = process.replay(str(pathlib.Path(model) / "Format-Serving"), config["tolerance"], limit)
        message = _complaint(result, config.get("max_latency_ms"))
        outcome = Store(exec_properties["root"]).outcome(identity["span"], "InfraCheck")
        if message:
            files.write_json(
                outcome,
                {"component": "InfraCheck", "span": identity["span"], "message": message, "model": model, **result},
            )
            raise ServingCheckFailed(message)
        outcome.unlink(missing_ok=True)
        files.write_json(pathlib.Path(infra_blessing.uri) / "replay.json", result)
        _mark(infra_blessing, blessed=True, message=f"{result['rows']} rows answered as in training.")
        for name, latency in result["latency_ms"].items():
            for figure in ("median", "p95", "p99", "cpu"):
                infra_blessing.set_float_custom_property(f"{name}_{figure}_ms", latency[figure])


def _complaint(result: dict[str, Any], max_latency_ms: float | None) -> str:
    """A sentence on what is wrong; empty where nothing is."""
    if result["differences"]:
        first, *others = result["differences"]
        signature = f"{first['signature']}: " if first["signature"] else ""
        more = f" ({len(others)} more differences)" if others else ""
        return f"The exported model fails its serving check: {signature}{first['message']}{more}"
    median = result["latency_ms"]["serving_default"]["median"]
    if max_latency_ms is not None and median > max_latency_ms:
        return (
            f"The exported model fails its serving check: a request of one row to serving_default takes {median:g} ms "
            f"(median), {max_latency_ms:g} ms is allowed ([infra_check] max_latency_ms)."
        )
    return ""


def _mark(infra_blessing: types.Artifact, blessed: bool, message: str) -> None:
    """Mark as the stock InfraValidator does: a file and a custom property."""
    name = "INFRA_BLESSED" if blessed else "INFRA_NOT_BLESSED"
    files.write_text(pathlib.Path(infra_blessing.uri) / name, "")
    infra_blessing.set_int_custom_property("blessed", int(blessed))
    infra_blessing.set_string_custom_property("message", message)
