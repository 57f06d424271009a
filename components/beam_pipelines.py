"""Components' Beam pipelines: where they run, how long they may, and what is said when they fail.

Where comes from the environment, not from the components' parameters: it changes nothing that they make, and what they
made on one machine TFX's cache has to know again on a cluster.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions

from components.errors import SpanwiseError

VARIABLE = "SPANWISE_BEAM"
"""Environment variable: JSON, {"options": [Beam's options], "seconds": limit of a job, "flink": host and port}."""

_SHARD = re.compile(r"(.*)-(\d{5,})-of-(\d{5,})(?:\.[^/]*)?$")
_HERE = ("", "DirectRunner", "SwitchingDirectRunner", "BundleBasedDirectRunner")
_RAISED = re.compile(r"^(?:[\w.]+\.)?(\w*(?:Error|Exception|Interrupt)): (.+)$", re.MULTILINE)
_running: list[Any] = []
"""Results of jobs on a cluster that are waited for."""
_NOISE = re.compile(r"^(?:(?:[a-z]\w*\.)+[A-Z]\w*(?:Exception|Error): ?|Error received from SDK harness[^:]*: ?)+")


@contextlib.contextmanager
def environment(options: Sequence[str], seconds: float | None = None, flink: str | None = None) -> Iterator[None]:
    """Let the Beam pipelines that are made inside the `with`, here or in processes started there, run with `options`.

    Args:
      options: Beam's, as on a command line; none: Beam's own runner in this process.
      seconds: limit of one job on a cluster.
      flink: the cluster's REST address, host and port, where that is known: jobs are then cancelled there, too.
    """
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = json.dumps({"options": list(options), "seconds": seconds, "flink": flink})
    try:
        yield
    finally:
        for result in list(_running):
            _cancel(result)  # of a command that was told to stop while another thread waits for the job
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def options() -> list[str]:
    """What the environment says; empty where it says nothing."""
    return [*(_told().get("options") or ())]


def elsewhere(options: Sequence[str]) -> bool:
    """Whether these options of Beam's name a runner outside this machine's processes."""
    return str(PipelineOptions(list(options)).view_as(StandardOptions).runner or "") not in _HERE


def alone(options: Sequence[str]) -> bool:
    """Whether Beam would work in this process only, with one worker."""
    return not elsewhere(options) and PipelineOptions(list(options)).view_as(DirectOptions).direct_num_workers == 1


class Pipeline(beam.Pipeline):
    """A Beam pipeline that waits for a cluster with a limit, and says in a sentence how it failed there."""

    def __init__(self, options: Sequence[str]) -> None:
        super().__init__(argv=list(options) or ["--runner=DirectRunner"])
        self._elsewhere = elsewhere(options)

    def run(self, test_runner_api: Any = "AUTO") -> Any:
        """As Beam's; on a cluster it returns when the job is done.

        Raises:
          SpanwiseError: the job failed, or was not done in time and was cancelled.
        """
        if not self._elsewhere:
            return super().run(test_runner_api)
        seconds = _told().get("seconds")
        try:
            result = super().run(test_runner_api)
        except Exception as error:
            raise SpanwiseError(f"The cluster did not take the Beam job: {_cause(error)}") from error
        _running.append(result)
        try:
            state = result.wait_until_finish(duration=seconds * 1000 if seconds else None)
        except KeyboardInterrupt:
            _cancel(result)
            raise
        except Exception as error:
            what = f"The Beam job failed on the cluster, and nothing of it is kept: {_cause(error)}"
            raise SpanwiseError(what) from error
        finally:
            _running.remove(result)
        if state != "DONE":
            _cancel(result)
            raise SpanwiseError(
                f"The Beam job was {state} after {(seconds or 0) / 60:g} minutes ([beam] timeout_minutes), so it was "
                "cancelled. "
                "Look at the cluster: is a worker missing? Then run again; what is finished is kept."
            )
        return result


def sweep(folder: str | os.PathLike[str]) -> None:
    """Leave only whole output below a folder that a Beam job has written to.

    A job that a cluster began anew may leave the folder that its first attempt worked in (`beam-temp-...`), which a
    reader would take for output; files of two attempts would be rows twice.

    Raises:
      SpanwiseError: files `name-00000-of-0000N` that are not one set of N.
    """
    for path in sorted(pathlib.Path(folder).rglob("beam-temp-*")):
        shutil.rmtree(path, ignore_errors=True)
    sets: dict[str, dict[int, set[int]]] = {}
    for path in pathlib.Path(folder).rglob("*-of-*"):
        if shard := _SHARD.match(str(path)):
            sets.setdefault(shard[1], {}).setdefault(int(shard[3]), set()).add(int(shard[2]))
    for name, found in sets.items():
        if len(found) > 1 or any(numbers != set(range(size)) for size, numbers in found.items()):
            raise SpanwiseError(
                f"{name}: the Beam job left files that are not one whole set. Nothing of them is used; run again."
            )


def _told() -> Mapping[str, Any]:
    told: Mapping[str, Any] = json.loads(os.environ.get(VARIABLE) or "{}")
    return told


def _cancel(result: Any) -> None:
    with contextlib.suppress(Exception):
        result.cancel()
    # The job server forgets a batch job that it is told to cancel, and Flink goes on with it.
    if master := _told().get("flink"):
        with contextlib.suppress(Exception):
            _cancel_in_flink(master, result._job_id.rpartition("_")[0])


def _cancel_in_flink(master: str, name: str) -> None:
    with urllib.request.urlopen(f"http://{master}/jobs/overview", timeout=10) as answer:
        jobs = json.load(answer)["jobs"]
    for job in jobs:
        if job["name"] == name and job["state"] not in ("FINISHED", "CANCELED", "FAILED"):
            request = urllib.request.Request(f"http://{master}/jobs/{job['jid']}?mode=cancel", method="PATCH")
            urllib.request.urlopen(request, timeout=10).close()


def _cause(error: Exception) -> str:
    """The line of a runner's message that tells a person most: what our code raised on a worker, else the first."""
    text = str(error)
    if raised := _RAISED.findall(text.replace("\\n", "\n")):
        name, what = next((pair for pair in reversed(raised) if pair[0] in ("UsageError", "SpanwiseError")), raised[-1])
        what = re.sub(r" \[while running '.*$", "", what.strip()).strip("\"'")
        return what if name in ("UsageError", "SpanwiseError") else f"{name}: {what}"
    first = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    return _NOISE.sub("", first.strip()) or first.strip()
