"""The heavy libraries, each tried in a process of its own: a crash there is an answer here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from pipeline.doctor.check import Check, fail, ok

_SECONDS = 300

# Each prints one JSON object as its last line.
_TENSORFLOW = """
import json
import tensorflow as tf
product = tf.linalg.matmul(tf.ones([64, 32]), tf.ones([32, 64]))
assert float(tf.reduce_max(product)) == 32.0, "a matrix product is wrong"
keras = __import__(tf.keras.Model.__module__.split(".")[0])
print(json.dumps({"version": tf.__version__, "keras": keras.__version__}))
"""
_TFX = """
import json
import tfx.components as components
names = ["StatisticsGen", "SchemaGen", "ExampleValidator", "Transform", "Trainer", "Evaluator", "Pusher"]
# Where a dependency is broken, TFX leaves None instead of raising.
absent = [name for name in names if getattr(components, name, None) is None]
assert not absent, f"TFX imports without {', '.join(absent)}: one of their dependencies is broken"
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2
config = metadata_store_pb2.ConnectionConfig()
config.sqlite.filename_uri = ""
config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
assert metadata_store.MetadataStore(config).get_artifacts() == [], "a new ML Metadata store is not empty"
from tfx import version
print(json.dumps({"version": version.__version__}))
"""
_BEAM = """
import json
import apache_beam as beam
from apache_beam.testing.util import assert_that, equal_to
with beam.Pipeline() as pipeline:
    total = pipeline | beam.Create([1, 2, 3]) | beam.Map(lambda value: value * value) | beam.CombineGlobally(sum)
    assert_that(total, equal_to([14]))
print(json.dumps({"version": beam.__version__}))
"""


def check_tensorflow(code: str = _TENSORFLOW) -> list[Check]:
    """TensorFlow imports and computes, and Keras is Keras 2."""
    answer = _try(code)
    if isinstance(answer, str):
        return [fail("import tensorflow", answer, _advice(answer))]
    return [ok("import tensorflow", f"{answer['version']} imports and multiplies"), check_keras(answer["keras"])]


def check_keras(version: str, environment: Mapping[str, str] = os.environ) -> Check:
    """TensorFlow Transform, Model Analysis and TFX's Trainer are written for Keras 2 (the package tf_keras)."""
    setting = environment.get("TF_USE_LEGACY_KERAS", "unset")
    if version.startswith("2."):
        return ok("keras", f"{version} (TF_USE_LEGACY_KERAS={setting})")
    return fail(
        "keras",
        f"tf.keras is Keras {version}, TFX needs Keras 2 (TF_USE_LEGACY_KERAS={setting})",
        "Unset TF_USE_LEGACY_KERAS (Spanwise then sets it to 1), and see that the package tf-keras is installed.",
    )


def check_tfx() -> list[Check]:
    """TFX imports whole, and ML Metadata opens a store."""
    answer = _try(_TFX)
    if isinstance(answer, str):
        return [fail("import tfx", answer, _advice(answer))]
    return [ok("import tfx", f"{answer['version']} imports whole, ML Metadata opens a store")]


def check_beam(code: str = _BEAM) -> list[Check]:
    """Beam's in-process runner runs a pipeline."""
    answer = _try(code)
    if isinstance(answer, str):
        return [fail("beam runner", answer, _advice(answer))]
    return [ok("beam runner", f"{answer['version']} ran a pipeline in process")]


def _try(code: str) -> dict[str, Any] | str:
    """The JSON that `code` printed last, or what went wrong, in one line."""
    # In "/", so that no folder of the user's stands before the installed packages.
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, cwd="/", env=environment
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {_SECONDS} s"
    if done.returncode < 0:
        return f"crashed: {signal.Signals(-done.returncode).name}"
    lines = [line for line in (done.stdout if done.returncode == 0 else done.stderr).splitlines() if line.strip()]
    if done.returncode:
        return lines[-1].strip()[:300] if lines else f"exit code {done.returncode} without a word"
    try:
        answer = json.loads(lines[-1])
    except (IndexError, ValueError):
        return f"an answer that is none: {lines[-1][:300] if lines else 'nothing'}"
    return dict(answer)


def _advice(problem: str) -> str:
    if "SIGILL" in problem:
        return "This processor lacks instructions (AVX) that TensorFlow's builds use: take another machine."
    if "SIGKILL" in problem:
        return "Something killed it, probably for memory: free some (see the memory line)."
    if "No module named" in problem:
        return "`make setup` in the clone installs what is missing."
    return "`make clean setup` in the clone makes the environment anew."
