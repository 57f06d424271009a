"""The top of the page: how the run ended, in one sentence, and what to do about it."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from components.gate import verdict as verdicts
from pipeline.report.page import NONE, number, seconds

if TYPE_CHECKING:
    from pipeline.runs.run import Run

_LOG_LINES = 30


@dataclasses.dataclass(frozen=True)
class Step:
    """Something to do: why, and the command where there is one."""

    what: str
    command: str = ""


@dataclasses.dataclass(frozen=True)
class Headline:
    """Verdict, sentence, what to do."""

    level: str
    """ok, warn or error."""
    word: str
    sentence: str
    steps: tuple[Step, ...]
    more: str = ""
    """What else there is to say, of a run that failed."""
    log: str = ""
    """The end of log.txt, of a run that failed."""


def of_run(run: Run) -> Headline:
    """The headline of a run, however it ended."""
    words = _WORDS.get(run.state, _failed)
    return words(run)


def ways_out(finding: dict[str, Any], run: Run) -> tuple[Step, ...]:
    """What a person can do about one finding that blocks."""
    # A waiver's last day is counted from the day of the run, where the verdict does not depend on the day.
    verdict = {**(run.verdict or {}), "as_of": (run.verdict or {}).get("as_of") or run.record.started[:10]}
    lines = verdicts.ways_out(finding, verdict, run.workspace.loaded.shown_path)
    steps = (line.partition(":") for line in lines)
    return tuple(
        Step(_STEPS.get(word.strip(), word.strip()), command.partition(_REMARK)[0].strip())
        for word, _, command in steps
    )


def identity(run: Run) -> list[tuple[str, str, str]]:
    """Who the run is: name, value, and the value whole where it is cut."""
    record, known = run.record, run.record.identity
    baseline = (run.verdict or {}).get("baseline_span") or known.get("baseline_span") or "none yet"
    trained = known.get("trained_on") or []
    over = f"{trained[0]} to {trained[-1]}" if len(trained) > 1 else "".join(trained)
    duration = took(run)
    version = f", version {record.version}" if record.version > 1 else ""
    found = [
        ("Span", f"{run.span}{version}", record.digest),
        ("Examples", number((run.verdict or {}).get("examples")), ""),
        ("Trained on", over, ", ".join(trained)),
        ("Baseline span", str(baseline), ""),
        ("Champion", _champion(known), ""),
        ("Started (UTC)", run.record.started.replace("T", " ").removesuffix("+00:00"), run.record.started),
        ("Took", seconds(duration), ""),
        ("Commit", *_cut(str(known.get("commit", "")))),
        ("Code", *_cut(str(known.get("code", "")))),
        ("Lock", *_cut(str(known.get("lock", "")))),
        ("Run", run.id, ""),
        ("Project file", run.workspace.loaded.shown_path, ""),
    ]
    return [(name, value, whole) for name, value, whole in found if value and value != NONE]


def _champion(known: Mapping[str, Any]) -> str:
    if "champion_version" not in known:  # a record from before runs kept it
        return ""
    version = known["champion_version"]
    return f"version {version}, span {known['champion_span']}" if version else "none yet"


def _cut(digest: str) -> tuple[str, str]:
    dirty = "-dirty" if digest.endswith("-dirty") else ""
    return (digest[:12] + dirty, digest) if digest else ("", "")


def took(run: Run) -> float | None:
    """Wall seconds from start to end; None while there is no end."""
    try:
        start, end = (datetime.datetime.fromisoformat(text) for text in (run.record.started, run.record.ended))
    except ValueError:
        return None
    return (end - start).total_seconds()


_STEPS = {"Look": "See the difference", "Accept": "If it is right as it is", "Or": "To let it pass for a time"}
_REMARK = "   ("


def _again(run: Run) -> Step:
    return Step("Run it again; what is finished is kept", run.record.again)


def _findings(run: Run, *severities: str) -> list[dict[str, Any]]:
    return [f for f in (run.verdict or {}).get("findings", []) if f["severity"] in severities]


def _done(run: Run) -> Headline:
    warned = len(_findings(run, "warn"))
    version = run.pushed.rstrip("/").rsplit("/", 1)[-1]
    first = (run.metrics or {}).get("champion") is None
    noted = f" {warned} finding{'s' * (warned > 1)} to look at, none that blocks." if warned else ""
    beside = ", the first," if first else ""
    return Headline(
        "warn" if warned else "ok",
        "Passed, with warnings" if warned else "Passed",
        f"Span {run.span} was accepted, and version {version}{beside} was pushed.{noted}",
        (
            Step("The next span", run.record.following),
            *(() if first else (Step("Back to the version before", "spanwise rollback"),)),
        ),
    )


def _blocked(run: Run) -> Headline:
    errors = _findings(run, "error")
    others = len(errors) - 1
    more = f" {others} more finding{'s' * (others > 1)} block{'s' * (others == 1)}." if others > 0 else ""
    steps = ways_out(errors[0], run) if errors else ()
    correct = Step("If the data is wrong: correct the file, then", run.record.again)
    return Headline(
        "error",
        "Blocked",
        (errors[0]["message"] if errors else f"Span {run.span} was refused by the gate.") + more,
        (*([] if errors and errors[0]["kind"] == "no_schema" else [correct]), *steps),
    )


def _not_blessed(run: Run) -> Headline:
    missed = [check for check in (run.metrics or {}).get("thresholds", []) if not check.get("ok", True)]
    why = missed[0]["message"] if missed else "The new model does not meet its limits."
    more = f" {len(missed) - 1} more limit{'s' * (len(missed) > 2)} missed." if len(missed) > 1 else ""
    return Headline(
        "error",
        "Not blessed",
        f"{why}{more} The data was accepted; the model that serves stays.",
        (Step("Look at the slices below: is it one part of the data, or all of it?"), _again(run)),
    )


def _serving_failed(run: Run) -> Headline:
    return Headline(
        "error",
        "Serving check failed",
        f"{run.message} The model was not pushed; the one that serves stays.",
        (Step("Check the set-up", "spanwise doctor"), _again(run)),
    )


def _interrupted(run: Run) -> Headline:
    return Headline("warn", "Interrupted", f"The run of span {run.span} was stopped before its end.", (_again(run),))


def _running(run: Run) -> Headline:
    sentence = f"The run of span {run.span} is under way, or was killed: its record has no end."
    return Headline("warn", "Unfinished", sentence, (_again(run),), log=_tail(run))


def _failed(run: Run) -> Headline:
    word = "Refused" if run.state == "refused" else "Failed"
    sentence, _, more = run.message.partition("\n")
    steps = (_again(run), Step("Check the set-up", "spanwise doctor"))
    return Headline("error", word, sentence or f"The run of span {run.span} failed.", steps, more.strip(), _tail(run))


def _tail(run: Run) -> str:
    try:
        lines = (run.folder / "log.txt").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-_LOG_LINES:])


_WORDS = {
    "done": _done,
    "blocked": _blocked,
    "not_blessed": _not_blessed,
    "serving_failed": _serving_failed,
    "interrupted": _interrupted,
    "running": _running,
}
