"""The whole DAG, Spanwise against stock TFX: same rows, features, model, training steps and slices, one run.

Prints one table: wall and CPU seconds of each way, as processes of their own, from the start of Python to its end.

    .venv/bin/python benchmarks/stock_vs_spanwise.py [--span 2013-02] [--rounds 1] [--members 1]

Stock is the pipeline of TFX's own Chicago taxi example (benchmarks/stock/), once as its template ships it
(multi-processing Beam workers) and once with workers in memory. It gets its rows as CSV, already joined, split, and
without those that have no label; Spanwise gets the span files and does that itself. Stock has no data gate, no check
of the export in a fresh process, and no second serving signature; Spanwise's are included in its time. Stock's
Transform, as the template has it, also computes statistics of its inputs and outputs; Spanwise's does not.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

import pyarrow
import pyarrow.csv
import rich.console
import rich.table

from components import tables
from components.example_gen import rows
from pipeline import project, spans

BATCH_SIZE = 256


def main() -> None:
    """Run each way `--rounds` times and print the table; the fastest round of each counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--span", default="2013-02", help="the span to judge; the one before it trains")
    parser.add_argument("--steps", type=int, default=250, help=f"training steps of {BATCH_SIZE} rows")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--members", type=int, default=1, help="of the model; the rival always has one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spanwise-benchmark-") as folder:
        work = pathlib.Path(folder)
        project_file = _lay_out(work, arguments)
        ways = {
            "stock, as shipped (multi_processing)": [sys.executable, _STOCK, str(work), "multi_processing"],
            "stock, in memory": [sys.executable, _STOCK, str(work), "in_memory"],
            "Spanwise": [sys.executable, "-m", "pipeline", "run", "--project", str(project_file)],
        }
        measured: dict[str, tuple[float, float]] = {}
        for _ in range(arguments.rounds):
            for name, command in ways.items():
                for made in ("multi_processing", "in_memory", "runs"):
                    shutil.rmtree(work / made, ignore_errors=True)
                figures = _timed(command, work)
                measured[name] = min(figures, measured.get(name, figures))
                print(f"{name}: {figures[0]:.1f} s wall, {figures[1]:.1f} s CPU", file=sys.stderr)
    _print(measured, arguments)


_STOCK = str(REPOSITORY / "benchmarks" / "stock" / "run.py")


def _lay_out(work: pathlib.Path, arguments: argparse.Namespace) -> pathlib.Path:
    """Spans, schema and project file for Spanwise; CSV and settings with the same rows for stock."""
    loaded = project.load(REPOSITORY / "flights.toml")
    found = spans.discover(loaded.project.data.spans, loaded.directory)
    at = found.index(spans.span_named(found, arguments.span))
    (work / "data").mkdir()
    for span in found[at - 1 : at + 1]:
        shutil.copy(span.path, work / "data")
    shutil.copytree(REPOSITORY / "schema", work / "schema")
    text = (REPOSITORY / "flights.toml").read_text()
    text = re.sub(r"(?m)^spans = .*$", 'spans = "data/{SPAN}.parquet"', text)
    # No early stopping and no second training: as many steps as the rival's.
    same = {"batch_size": BATCH_SIZE, "members": arguments.members, "patience": 10_000, "refit": "false"}
    for key, value in same.items():
        text = re.sub(rf"(?m)^{key} = .*\n", "", text)
        text = text.replace("[model]\n", f"[model]\n{key} = {value}\n")
    text = re.sub(r"(?m)^epochs = .*$", f"steps = {arguments.steps}", text)
    project_file = work / "flights.toml"
    project_file.write_text(text)
    _stock_inputs(work, project.load(project_file), arguments.steps)
    return project_file


def _stock_inputs(work: pathlib.Path, loaded: project.LoadedProject, steps: int) -> None:
    plan = loaded.project
    found = spans.discover(plan.data.spans, loaded.directory)
    window = spans.window_for(found, found[-1], plan.window)
    splits = spans.split_files(
        window, plan.window.tune_days, lambda span: tables.time_bounds(span.path, plan.data.time)
    )
    roles = rows.Roles(plan.data.time, plan.label.column, plan.data.drop)
    counts = {}
    for split, parts in splits.items():
        (work / "csv" / split).mkdir(parents=True)
        for number, part in enumerate(parts):
            table = tables.read_table(part["path"], drop=plan.data.drop)
            kept = [rows.select(batch, rows.Part.from_json(part), roles)[0] for batch in table.to_batches()]
            joined = pyarrow.Table.from_batches(kept)
            counts[split] = counts.get(split, 0) + joined.num_rows
            _write_csv(joined, work / "csv" / split / f"{number}.csv")
    thresholds = plan.evaluation.thresholds["auc"]
    settings = {
        "label": plan.label.column,
        "slices": [list(entry.columns) for entry in plan.evaluation.slices],
        "steps": steps,
        "eval_steps": -(-counts["tune"] // BATCH_SIZE),
        "auc_min": thresholds.min,
        "auc_max_loss": thresholds.max_loss,
        "custom_config": {
            "features": plan.features.model_dump(mode="json"),
            "model": plan.model.model_dump(mode="json"),
            "label": plan.label.column,
            "weight": None,
        },
    }
    (work / "settings.json").write_text(json.dumps(settings))


def _write_csv(table: pyarrow.Table, path: pathlib.Path) -> None:
    # Arrow quotes the header, and stock's CSV decoder would take the quotes for part of the names.
    with open(path, "wb") as stream:
        stream.write((",".join(table.column_names) + "\n").encode())
        pyarrow.csv.write_csv(table, stream, pyarrow.csv.WriteOptions(include_header=False))


def _timed(command: list[str], work: pathlib.Path) -> tuple[float, float]:
    """Wall and CPU seconds of a process and all it waited for."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TF_USE_LEGACY_KERAS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    result = subprocess.run(
        command, cwd=work, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if result.returncode:
        sys.exit(f"{' '.join(command)} ended with {result.returncode}:\n{result.stdout[-4000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _print(measured: dict[str, tuple[float, float]], arguments: argparse.Namespace) -> None:
    table = rich.table.Table(title=f"One span ({arguments.span}), {arguments.steps} steps of {BATCH_SIZE} rows")
    for heading in ("", "wall s", "CPU s", "wall, Spanwise = 1"):
        table.add_column(heading, justify="left" if not heading else "right")
    ours = measured["Spanwise"][0]
    for name, (wall, cpu) in measured.items():
        table.add_row(name, f"{wall:.1f}", f"{cpu:.1f}", f"{wall / ours:.1f}")
    rich.console.Console().print(table)


if __name__ == "__main__":
    main()
