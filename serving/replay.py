"""Serves an exported model in a process of its own and asks it what the Trainer asked its training graph: same answers?

    python -m serving.replay MODEL_DIR [--tolerance 1e-5] [--output FILE]

MODEL_DIR is a SavedModel with `assets.extra/spanwise/replay.json` (raw rows, the same rows as tf.Examples, the
training graph's answers) and `model.json` (the decision threshold, each feature's type and missing value) beside it.
The server is `spanwise serve`'s, asked over REST as any client asks it. Every row goes through `serving_default`,
`serving_features` and `transform_features`; the result is one JSON object.
Exit code 0: all answers agree; 1: they don't, or the model does not load; 2: wrong arguments.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from serving import started
from serving.client import Client, Options
from serving.errors import ServingError
from serving.started import NotServingError, Server

Answer = Mapping[str, npt.NDArray[Any]]
Request = Mapping[str, npt.NDArray[Any]]

EXTRA = pathlib.Path("assets.extra") / "spanwise"
_WARM_UP = 5
_CALLS = 100
_BATCH = 256
_BATCHES = 10
_TIMEOUT, _TRIES = 60.0, 5
_DTYPES = {"probability": np.dtype(np.float32), "positive": np.dtype(np.int64)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m serving.replay", description=__doc__.split("\n")[0])
    parser.add_argument("model", type=pathlib.Path, help="a SavedModel that Spanwise exported")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="largest difference of a probability")
    parser.add_argument("--output", type=pathlib.Path, help="file for the result; default: standard output")
    parser.add_argument("--while-parent-lives", action="store_true", help="stop when standard input is closed")
    options = parser.parse_args(arguments)
    if options.while_parent_lives:
        threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    result = replay(options.model, options.tolerance)
    text = json.dumps(result, indent=2, sort_keys=True, allow_nan=False)
    if options.output:
        options.output.write_text(text)
    else:
        print(text)
    return 0 if result["ok"] else 1


def replay(model: pathlib.Path, tolerance: float) -> dict[str, Any]:
    """Serve the model and ask it; what differs is in `differences`, each with `signature` and `message`.

    Returns:
      ok, differences, rows, largest (signature -> largest difference of a number), latency_ms and batch_ms (see
      `_timed`: of one row, and of `_BATCH` rows), seconds (from starting the server to its being ready).
    """
    start = time.perf_counter()
    try:
        kept = json.loads((model / EXTRA / "replay.json").read_text())
        about = json.loads((model / EXTRA / "model.json").read_text())
    except Exception as error:
        return _result([{"signature": "", "message": f"the model does not load: {_first_line(error)}"}])
    try:
        with started.server_of(model) as server:
            ready = time.perf_counter() - start
            result = _Asking(server, kept, about, tolerance).result()
            if fate := server.fate():
                raise NotServingError(fate, server.output())
            return {**result, "seconds": ready}
    except NotServingError as error:
        return _result([{"signature": "", "message": str(error)}], output=error.output)


class _Asking:
    """One model's questions to one server."""

    def __init__(self, server: Server, kept: Mapping[str, Any], about: Mapping[str, Any], tolerance: float) -> None:
        self._server, self._kept, self._about, self._tolerance = server, kept, about, tolerance
        self._largest: dict[str, float | None] = {}
        self._times: dict[str, dict[str, Any]] = {"latency_ms": {}, "batch_ms": {}}

    def result(self) -> dict[str, Any]:
        """As `replay`'s."""
        differences = [
            {"signature": name, "message": message}
            for name, request in _requests(self._kept, self._about["features"]).items()
            for message in self._ask(name, request)
        ]
        return _result(differences, rows=len(self._kept["rows"]), largest=self._largest, **self._times)

    def _ask(self, name: str, request: Request) -> list[str]:
        """What differs in one signature's answers."""
        options = Options(signature=name, timeout=_TIMEOUT, tries=_TRIES)
        try:
            with Client(self._server.url, started.NAME, options) as client:
                known = client.signatures()
                if name not in known:
                    return ["the model has no such signature."]
                if wanted := sorted(set(known[name].inputs) - set(request)):
                    return [f"it wants {', '.join(map(repr, wanted))}, which model.json does not name."]
                return self._compared(client, name, request)
        except (ServingError, ValueError) as error:
            return [f"it fails: {str(error).splitlines()[0][:300]}"]

    def _compared(self, client: Client, name: str, request: Request) -> list[str]:
        answer = client.predict(request).outputs
        if name == "transform_features":
            found, self._largest[name] = compare_features(answer, self._kept["transformed"], self._tolerance)
            return found
        threshold = float(self._about["threshold"])
        found, self._largest[name] = compare_answers(answer, self._kept["answers"], self._tolerance, threshold)
        self._times["latency_ms"][name] = _timed(self._server, client, request, 1, _CALLS)
        self._times["batch_ms"][name] = _timed(self._server, client, request, _BATCH, _BATCHES)
        return found


def compare_answers(
    answer: Answer, expected: Mapping[str, Sequence[float]], tolerance: float, threshold: float
) -> tuple[list[str], float | None]:
    """Differences between a serving signature's answer and the training graph's, and the largest (None: not finite).

    `positive` may differ only where the probability lies within `tolerance` of the threshold.
    """
    count = len(expected["probability"])
    wrong = [_shape(name, answer.get(name), (count,), dtype) for name, dtype in _DTYPES.items()]
    if any(wrong):
        return [message for message in wrong if message], None
    probability = answer["probability"].astype(np.float64)
    want = np.asarray(expected["probability"], np.float64)
    if not np.all(np.isfinite(probability)):
        return [f"probability is not finite in {int((~np.isfinite(probability)).sum())} of {count} rows."], None
    distance = np.abs(probability - want)
    largest = float(distance.max(initial=0.0))
    found = []
    if largest > tolerance:
        row = int(distance.argmax())
        found.append(
            f"probability differs in {int((distance > tolerance).sum())} of {count} rows, most in row {row}: "
            f"{probability[row]:.7g}, {want[row]:.7g} in training (tolerance {tolerance:g})."
        )
    flipped = (answer["positive"] != np.asarray(expected["positive"])) & (np.abs(want - threshold) > tolerance)
    if flipped.any():
        found.append(f"positive differs in {int(flipped.sum())} of {count} rows, first in row {int(flipped.argmax())}.")
    return found, largest


def compare_features(
    answer: Answer, expected: Mapping[str, Sequence[Any]], tolerance: float
) -> tuple[list[str], float | None]:
    """Differences between `transform_features` and what the training graph saw, and the largest of a number.

    Floats agree within `tolerance`, relative above 1; integers and strings agree exactly.
    """
    found, largest = [], 0.0
    for name, values in expected.items():
        got = answer.get(name)
        want = np.asarray(values)
        message = _shape(name, got, want.shape, None)
        if message or got is None:
            found.append(message or "")
        elif want.dtype.kind in "fiu" and got.dtype.kind in "fiu":
            scale = np.maximum(1.0, np.abs(want))
            same = np.isnan(want.astype(float)) & np.isnan(got.astype(float))
            distance = np.where(same, 0.0, np.abs(got.astype(np.float64) - want) / scale)
            distance = np.where(np.isnan(distance), np.inf, distance)
            largest = max(largest, float(distance.max(initial=0.0)))
            apart = distance > (tolerance if got.dtype.kind == "f" else 0.0)
            if apart.any():
                found.append(f"{name} differs in {int(apart.sum())} of {apart.size} values.")
        elif [_text(v) for v in got.ravel()] != [_text(v) for v in want.ravel()]:
            found.append(f"{name} differs.")
    return found, largest if np.isfinite(largest) else None


def _requests(kept: Mapping[str, Any], features: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    examples = np.array([base64.b64decode(example) for example in kept["examples"]], dtype=object)
    columns = {
        name: _column([row.get(name) for row in kept["rows"]], feature["dtype"], feature["missing"])
        for name, feature in features.items()
    }
    return {
        "serving_default": {"examples": examples},
        "serving_features": columns,
        "transform_features": {"examples": examples},
    }


def _column(values: Sequence[Any], dtype: str, missing: Any) -> npt.NDArray[Any]:
    if missing is None:  # JSON has no NaN
        missing = np.nan
    return np.array([missing if v is None else v for v in values], dtype=object if dtype == "string" else dtype)


def _timed(server: Server, client: Client, request: Request, rows: int, calls: int) -> dict[str, Any]:
    """Milliseconds a call of `rows` rows: median, p95 and p99 on the client's clock; `cpu`, the server's mean work."""
    repeated = {key: np.resize(value, rows) for key, value in request.items()}
    took, cpu = [], 0.0
    for call in range(_WARM_UP + calls):
        if call == _WARM_UP:
            cpu = server.cpu_seconds()
        start = time.perf_counter()
        client.predict(repeated)
        took.append(1e3 * (time.perf_counter() - start))
    mean = 1e3 * (server.cpu_seconds() - cpu) / calls
    median, p95, p99 = np.quantile(took[_WARM_UP:], [0.5, 0.95, 0.99])
    figures = {"median": median, "p95": p95, "p99": p99, "cpu": mean}
    return {"rows": rows, **{name: round(float(value), 3) for name, value in figures.items()}}


def _shape(name: str, got: npt.NDArray[Any] | None, shape: tuple[int, ...], dtype: Any) -> str | None:
    if got is None:
        return f"{name} is not in the answer."
    if got.shape != shape:
        return f"{name} has shape {list(got.shape)}, {list(shape)} in training."
    if dtype is not None and got.dtype != dtype:
        return f"{name} is {got.dtype}, {dtype} in training."
    return None


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0][:300]}"


def _result(differences: list[dict[str, str]], **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"rows": 0, "largest": {}, "latency_ms": {}, "batch_ms": {}, "seconds": 0.0}
    return {**empty, **more, "ok": not differences, "differences": differences}


def _stop_at_end_of_input() -> None:
    # The parent holds the other end and never writes: end of input means that it is gone. The server goes with us.
    sys.stdin.buffer.read()
    if os.getpid() == os.getpgid(0):
        os.killpg(0, signal.SIGKILL)
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main())
