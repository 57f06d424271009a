"""The terminal's last word on a run, made from its record: verdict, metrics, model, what to do next."""

from __future__ import annotations

import pathlib
from typing import Any

from components.mounts import is_uri
from pipeline.project.loading import shown_path
from pipeline.records import RunRecord
from pipeline.spans import WindowSpans

_SHOWN = ("auc", "pr_auc", "log_loss", "calibration")


def spoiled_span(directory: pathlib.Path, baseline: pathlib.Path) -> str:
    """How to see a bad span refused, where the project keeps one in `data/spoiled/`; else empty.

    Args:
      directory: The project file's folder.
      baseline: The file of the span just run.
    """
    spoiled = next(iter(sorted((directory / "data" / "spoiled").glob(f"*{baseline.suffix}"))), None)
    if spoiled is None:
        return ""
    place, against = shown_path(spoiled), shown_path(baseline)
    return f"  Try      spanwise check {place} --baseline {against}    (bad data, refused)"


def heading(project: str, window: WindowSpans) -> str:
    """The first line of a run: which span, trained on which."""
    first, last = window.train[0].name, window.train[-1].name
    trained = f"{first} to {last}" if len(window.train) > 1 else first
    return f"spanwise  {project}  span {window.newest.name}  trained on {trained}"


def of_run(record: RunRecord, project_file: str, *, repeated: bool = False) -> str:
    """Some lines for a person.

    Args:
      record: How the run ended.
      project_file: Its name, as the person knows it.
      repeated: It was not run again: nothing it depends on has changed.
    """
    lines: list[str] = []
    if record.verdict is not None:
        from components.gate.verdict import render

        lines += [render(record.verdict, project_file)]
    if record.metrics is not None:
        lines += _metrics(record.metrics)
    lines += _ending(record)
    if repeated:
        lines += [f"  Nothing has changed since {record.started}: this is from the record of that run."]
    return "\n".join(lines)


def timings(record: RunRecord) -> str:
    """A component a row: wall and CPU seconds, peak resident memory."""
    rows = [f"  {'component':<20} {'wall s':>8} {'CPU s':>8} {'peak MiB':>9}"]
    rows += [
        f"  {row['node']:<20} {row['wall']:>8.2f} {row['cpu']:>8.2f} {row['peak'] / 2**20:>9,.0f}"
        for row in record.timings
    ]
    wall, cpu = (sum(row[key] for row in record.timings) for key in ("wall", "cpu"))
    peak = max((row["peak"] for row in record.timings), default=0) / 2**20
    return "\n".join([*rows, f"  {'all':<20} {wall:>8.2f} {cpu:>8.2f} {peak:>9,.0f}"])


def _metrics(metrics: dict[str, Any]) -> list[str]:
    challenger = metrics.get("challenger", {}).get("overall", {})
    champion = (metrics.get("champion") or {}).get("overall")
    parts = []
    for name in _SHOWN:
        if (value := challenger.get(name)) is None:
            continue
        against = f" (champion {champion[name]:.3f})" if champion and champion.get(name) is not None else ""
        parts.append(f"{name} {value:.3f}{against}")
    lines = ["  Model    " + "   ".join(parts)] if parts else []
    missed = [entry for entry in metrics.get("thresholds", []) if not entry.get("ok", True)]
    return lines + [f"  Missed   {entry['message']}" for entry in missed]


def _ending(record: RunRecord) -> list[str]:
    match record.state:
        case "done":
            pushed = record.pushed if is_uri(record.pushed) else shown_path(pathlib.Path(record.pushed))
            return [f"  Pushed   {pushed}", f"  Next     {record.following}"]
        case "blocked":
            return ["  Nothing was trained or pushed; what serves is as it was."]
        case "not_blessed":
            return [f"  NOT BLESSED: the data was accepted, the model was not pushed; {_serving(record)}."]
        case "serving_failed":
            failed = f"  SERVING CHECK FAILED  {record.message}"
            return [failed, f"  The model was not pushed; {_serving(record)}."]
        case "interrupted":
            return [f"  {record.message}", f"  Again    {record.again}"]
        case _:
            return [f"  FAILED  {record.message}", f"  Again    {record.again}   (what is finished is kept)"]


def _serving(record: RunRecord) -> str:
    champion = (record.metrics or {}).get("champion")
    return "the one that serves stays" if champion else "nothing has been pushed yet, so nothing serves"
