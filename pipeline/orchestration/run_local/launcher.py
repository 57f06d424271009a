"""What Kubeflow's launcher does in a task's container: bring its inputs, run the command, take its outputs up.

As read in kubeflow/pipelines, backend/src/v2/component/launcher_v2.go. Each task has a folder of its own for the mounts
/gcs, /s3 and /minio, so that nothing passes from one to another but through the object store.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pipeline
from components import mounts as mounted
from components import objects
from components.errors import SpanwiseError, told
from components.mounts import Mounts, is_uri
from pipeline.orchestration.run_local.driver import LOGS
from pipeline.orchestration.run_local.spec import Value

_REPOSITORY = pathlib.Path(pipeline.__file__).resolve().parents[1]
_WHOLE = "{{$}}"
_KNOWN = {"parameters", "artifacts", "parameterValues"}
_KNOWN_OF_ARTIFACTS = {"name", "type", "uri", "properties", "customProperties", "metadata"}


@dataclasses.dataclass(frozen=True)
class Place:
    """Folder of one task."""

    folder: pathlib.Path

    @property
    def mounts(self) -> Mounts:
        """Stands for the container's /gcs, /s3, /minio."""
        return Mounts(self.folder / "mounts")

    @property
    def log(self) -> pathlib.Path:
        """All that the command printed."""
        return self.folder / "log.txt"

    def files(self, component: Value) -> dict[str, str]:
        """Where ExecutorOutput ("") and output parameters go."""
        parameters = component.get("outputDefinitions", {}).get("parameters", {})
        found = {name: str(self.folder / "kfp" / "outputs" / name) for name in parameters}
        return {"": str(self.folder / "kfp_outputs" / "output_metadata.json"), **found}

    def clear(self) -> None:
        """Leave the log alone."""
        for name in ("mounts", "kfp", "kfp_outputs", "tmp", "work"):
            shutil.rmtree(self.folder / name, ignore_errors=True)


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What a task made."""

    artifacts: dict[str, Value]
    """key -> {type, uri, metadata}."""
    parameters: dict[str, Any]


class CommandFailed(SpanwiseError):
    """The container's command ended with a code."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code


def launch(container: Value, platform: Value, given: Value, component: Value, place: Place, run: str) -> Outputs:
    """Run a container's command without the container.

    Raises:
      CommandFailed: the command did.
      SpanwiseError: something could not be brought or taken up, or the output file is not valid.
    """
    _bring(given, place.mounts)
    made = {key: several["artifacts"][0] for key, several in given["outputs"]["artifacts"].items()}
    for one in made.values():
        if is_uri(one["uri"]):
            place.mounts.path(one["uri"]).parent.mkdir(parents=True, exist_ok=True)
    for file in (given["outputs"]["outputFile"], *(p["outputFile"] for p in given["outputs"]["parameters"].values())):
        pathlib.Path(file).parent.mkdir(parents=True, exist_ok=True)
    code = _execute(container, platform, given, place, run)
    _take_up_log(made, place)
    if code:
        raise CommandFailed(code, _last_words(place.log) or f"the command ended with code {code}.")
    told = _output_file(pathlib.Path(given["outputs"]["outputFile"]))
    for key, one in made.items():
        _merge(told.get("artifacts", {}).get(key), one)
        path = place.mounts.path(one["uri"]) if is_uri(one["uri"]) else None
        if path is not None and path.exists() and key != LOGS:
            objects.upload(path, one["uri"])
    return Outputs(made, _parameters(told, given, component))


def _bring(given: Value, mounts: Mounts) -> None:
    for several in given["inputs"]["artifacts"].values():
        uri = several["artifacts"][0]["uri"]
        if is_uri(uri):
            objects.download(uri, mounts.path(uri))


def _execute(container: Value, platform: Value, given: Value, place: Place, run: str) -> int:
    words = [*container.get("command", []), *container.get("args", [])]
    filled = _placeholders(given, place.mounts)
    for folder in ("work", "tmp"):
        (place.folder / folder).mkdir(parents=True, exist_ok=True)
    with place.log.open("wb") as log:
        try:
            process = subprocess.run(
                [_filled(word, filled) for word in words],
                cwd=place.folder / "work",
                env=_environment(container, platform, place, run),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except (FileNotFoundError, PermissionError) as error:
            raise SpanwiseError(
                f"{words[0] if words else ''}: {error.strerror}: not a command of this machine."
            ) from error
        except OSError as error:  # an argument may have 128 KiB
            raise SpanwiseError(f"{words[0]}: {told(error)}") from error
    return process.returncode


def _environment(container: Value, platform: Value, place: Place, run: str) -> dict[str, str]:
    """That of this process, which has the secrets; the image's Python is this one, its code is this code."""
    paths = [str(_REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    labels = {each["name"]: run for each in platform.get("fieldPathAsEnv", ()) if "pipeline/runid" in each["fieldPath"]}
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "TMPDIR": str(place.folder / "tmp"),
        mounted.ENVIRONMENT: str(place.mounts.base),
        **{each["name"]: each.get("value", "") for each in container.get("env", ())},
        **labels,
    }


def _placeholders(given: Value, mounts: Mounts) -> dict[str, str]:
    found = {_WHOLE: json.dumps(given, separators=(",", ":"))}
    for side in ("inputs", "outputs"):
        for key, several in given[side]["artifacts"].items():
            uri = several["artifacts"][0]["uri"]
            found[f"{{{{$.{side}.artifacts['{key}'].uri}}}}"] = uri
            if is_uri(uri):
                found[f"{{{{$.{side}.artifacts['{key}'].path}}}}"] = str(mounts.path(uri))
    for key, value in given["inputs"]["parameterValues"].items():
        found[f"{{{{$.inputs.parameters['{key}']}}}}"] = _as_text(value)
    for key, value in given["outputs"]["parameters"].items():
        found[f"{{{{$.outputs.parameters['{key}'].output_file}}}}"] = value["outputFile"]
    return found


def _filled(word: str, filled: Mapping[str, str]) -> str:
    # A parameter's value may have a placeholder in it: kfp compiles f"{word} there" so. ExecutorInput stays as it is.
    for _ in range(1 if _WHOLE in word else 2):
        for placeholder, value in filled.items():
            word = word.replace(placeholder, value)
    return word


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _take_up_log(made: Mapping[str, Value], place: Place) -> None:
    if LOGS in made:
        objects.upload(place.log, made[LOGS]["uri"])


def _output_file(path: pathlib.Path) -> Value:
    """ExecutorOutput; protojson refuses what it does not know."""
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_bytes())
        unknown = sorted(set(told) - _KNOWN)
        for several in told.get("artifacts", {}).values():
            unknown += [key for one in several["artifacts"] for key in one if key not in _KNOWN_OF_ARTIFACTS]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise SpanwiseError(f"failed to unmarshal ExecutorOutput in file {path}: {error}") from error
    if unknown:
        raise SpanwiseError(f"failed to unmarshal ExecutorOutput in file {path}: unknown field {unknown[0]!r}")
    return dict(told)


def _merge(told: Value | None, one: Value) -> None:
    if told and told["artifacts"]:
        said = told["artifacts"][0]
        one["uri"] = said.get("uri") or one["uri"]
        one["metadata"] = {**one.get("metadata", {}), **said.get("metadata", {})}
        if None in one["metadata"].values():
            raise SpanwiseError(f"{one['uri']}: metadata with a null cannot be recorded.")


def _parameters(told: Value, given: Value, component: Value) -> dict[str, Any]:
    found = dict(told.get("parameterValues", {}))
    kinds = component.get("outputDefinitions", {}).get("parameters", {})
    for key, where in given["outputs"]["parameters"].items():
        if key in found:
            continue
        try:
            text = pathlib.Path(where["outputFile"]).read_text("utf-8")
        except (FileNotFoundError, PermissionError) as error:
            raise SpanwiseError(f"failed to read output parameter {key!r}: {error.strerror}") from error
        kind = kinds[key].get("parameterType", "STRING")
        found[key] = text if kind == "STRING" else json.loads(text.lower() if kind == "BOOLEAN" else text)
    return found


def _last_words(log: pathlib.Path) -> str:
    """The sentence that our entrypoint ends with, else the last lines."""
    lines = log.read_text("utf-8", "replace").rstrip().splitlines()
    marks = [number for number, line in enumerate(lines) if line.startswith("spanwise: ")]
    return "\n".join(lines[marks[-1] :] if marks else lines[-12:])
