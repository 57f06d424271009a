"""The fault table: what the gate finds and when it cries wolf, beside stock TFX, TFDV's comparators and Evidently.

    .venv/bin/python benchmarks/guard.py --quick                    # minutes: clear and gross, 1,000 rows, one set
    .venv/bin/python benchmarks/guard.py --json benchmarks/out/guard.json
    .venv/bin/python benchmarks/guard.py --kinds nulls shifted --rows 10000 --rivals none --verbose

Faults (tests/faults/) of three strengths are put into samples of real spans and judged against another clean sample;
then clean pairs are judged. Every judge gets the same files. For each it is counted whether anything was

- raised: any finding, warning or not,
- named: the first finding points to a faulty feature (for ExampleValidator, which has no order: any of them does),
- blocked: Spanwise has warnings and errors, errors block; the rivals have one level.

A judge that dies of a file has raised; it has named the fault if its words have the feature in them.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import pathlib
import re
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rich.console
import rich.table

from benchmarks.guard import judges
from benchmarks.guard.judges import Alarm, Pair
from tests.faults import injection, spans
from tests.faults.injection import STRENGTHS, Damaged

DATA = ("flights", "taxi", "orders", "tumours")
RIVALS = ("validator", "comparators", "evidently")
TITLES = {
    "spanwise": "Spanwise, two files",
    "project": "Spanwise, project",
    "validator": "ExampleValidator",
    "comparators": "TFDV comparators",
    "evidently": "Evidently preset",
}
# On how many data sets each kind and strength is tried, and how many clean pairs of each sort, by rows.
REPEATS = {1_000: 2, 10_000: 2, 100_000: 1}
CLEAN = {1_000: 15, 10_000: 8, 100_000: 2}
_CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "spanwise"


@dataclasses.dataclass(frozen=True)
class Case:
    """One pair of files and what is wrong with it."""

    data: str
    rows: int
    way: str
    repeat: int
    kind: str | None = None
    strength: str | None = None

    def rng(self, *more: str) -> np.random.Generator:
        """Random numbers of this pair; with `more`, of this fault."""
        text = "/".join((self.data, str(self.rows), self.way, str(self.repeat), *more))
        return np.random.default_rng(zlib.crc32(text.encode()))


def main() -> None:
    options = _options()
    cases = [case for rows in options.rows for case in _cases(options, rows)]
    results: list[dict[str, Any]] = []
    console = rich.console.Console(width=118)
    with tempfile.TemporaryDirectory(prefix="spanwise-guard-") as folder, _quiet() as (out, err):
        panel = _Panel(options, pathlib.Path(folder))
        started = time.monotonic()
        for number, case in enumerate(cases, 1):
            found = panel.judge(case)
            results += found
            if options.verbose:
                for result in found:
                    print(json.dumps(result), file=out)
            elif number % 25 == 0:
                print(f"{number:,} of {len(cases):,} pairs, {time.monotonic() - started:.0f} s", file=err)
        panel.close()
    for table in _tables(results, options):
        console.print(table)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"results": results}, indent=1))


class _Panel:
    """All judges, and the files they get."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path) -> None:
        self._folder, names = folder, options.judges
        projects = {name: judges.project_of(spans.DATA[name], folder) for name in options.data}
        self._projects = {name for name, project in projects.items() if project is not None}
        self._evidently = judges.Evidently(_CACHE) if "evidently" in names else None
        ways: dict[str, judges.Judge] = {
            "spanwise": judges.spanwise,
            "project": functools.partial(judges.spanwise, projects=projects),
            "validator": judges.example_validator,
            "comparators": judges.comparators,
        }
        self._ways = {name: way for name, way in ways.items() if name in names}
        self._pair: tuple[Case, tuple[pa.Table, pa.Table]] | None = None
        self._files = 0

    def judge(self, case: Case) -> list[dict[str, Any]]:
        """What each judge says of one case; nothing if the data set has no such column, or not the rows."""
        made = self._clean(case)
        if made is None:
            return []
        baseline, current = made
        damaged = Damaged(current)
        if case.kind is not None:
            fault = injection.faults()[case.kind]
            rng = case.rng(case.kind, str(case.strength))
            injected = fault.inject(current, baseline, spans.DATA[case.data].roles, case.strength, rng)  # type: ignore
            if injected is None:
                return []
            damaged = injected
        pair = Pair(spans.DATA[case.data], self._baseline, self._written(damaged.table))
        if self._evidently:
            self._evidently.send(pair)
        answers = {name: functools.partial(way, pair) for name, way in self._ways.items()}
        if case.data not in self._projects:
            answers.pop("project", None)
        if self._evidently:
            answers["evidently"] = self._evidently.receive
        results = [_result(case, name, answer, damaged) for name, answer in answers.items()]
        pair.current.unlink()
        return results

    def close(self) -> None:
        if self._evidently:
            self._evidently.close()

    def _clean(self, case: Case) -> tuple[pa.Table, pa.Table] | None:
        same = dataclasses.replace(case, kind=None, strength=None)
        if self._pair is None or self._pair[0] != same:
            way: Any = case.way
            if case.kind is not None and spans.DATA[case.data].roles.time is None:
                way = "halves"
            made = spans.pair(spans.DATA[case.data], way, case.rows, case.rng())
            if made is None:
                return None
            self._pair = same, made
            self._baseline = self._written(made[0])
        return self._pair[1]

    def _written(self, table: pa.Table) -> pathlib.Path:
        # A name that was never used: statistics are kept by path.
        self._files += 1
        path = self._folder / f"{self._files}.parquet"
        pq.write_table(table, path)
        return path


def _result(case: Case, judge: str, answer: Callable[[], list[Alarm]], damaged: Damaged) -> dict[str, Any]:
    started = time.process_time()
    try:
        alarms = answer()
        named = [damaged.is_named_by(alarm.feature) for alarm in alarms]
        right = any(named) if judge == "validator" else bool(named) and named[0]
    except Exception as error:  # a judge's death is its verdict
        alarms = [Alarm(None, f"{type(error).__name__}: {error}"[:200])]
        right = any(re.search(rf"\b{re.escape(name)}\b", str(error)) for name in damaged.features)
    return {
        **dataclasses.asdict(case),
        "judge": judge,
        "raised": bool(alarms),
        "blocked": any(alarm.blocks for alarm in alarms),
        "named": right,
        "first": [[a.feature, a.what, "error" if a.blocks else "warn"] for a in alarms[:3]],
        "alarms": len(alarms),
        "faulty": list(damaged.features),
        "cpu": round(time.process_time() - started, 3),
    }


def _cases(options: argparse.Namespace, rows: int) -> Iterator[Case]:
    """Faults go round the data sets, `--repeats` sets a kind and strength; clean pairs are of each set."""
    sets = [name for name in options.data if _has(name, rows, min(options.rows))]
    repeats = min(options.repeats or REPEATS.get(rows, 1), len(sets))
    faults = []
    for number, kind in enumerate(options.kinds):
        fitting = [name for name in sets if _applies(kind, name)]
        for repeat in range(min(repeats, len(fitting))):
            name = fitting[(number + repeat) % len(fitting)]
            way = options.pairs[(number // len(fitting)) % len(options.pairs)]
            faults += [Case(name, rows, way, 0, kind, strength) for strength in options.strengths]
    # One after the other, what is put into the same pair of samples.
    yield from sorted(faults, key=lambda case: (case.data, case.way))
    for name in sets:
        for way in spans.WAYS:
            count = CLEAN.get(rows, 5) if options.clean is None else options.clean
            yield from (Case(name, rows, way, 1000 + repeat) for repeat in range(count))


def _has(name: str, rows: int, least: int) -> bool:
    """Whether the data set has two samples of that size; small tables are judged once, at the smallest."""
    data = spans.DATA[name]
    return rows == least if data.least else data.rows() >= 1.4 * rows


@functools.cache
def _applies(kind: str, name: str) -> bool:
    data = spans.DATA[name]
    sample = data.spans()[0].slice(0, 200)
    damaged = injection.faults()[kind].inject(sample, sample, data.roles, "clear", np.random.default_rng(0))
    return damaged is not None


def _tables(results: list[dict[str, Any]], options: argparse.Namespace) -> Iterator[rich.table.Table]:
    yield _summary(results, options)
    yield _by_kind(results, options)


def _summary(results: list[dict[str, Any]], options: argparse.Namespace) -> rich.table.Table:
    table = rich.table.Table(title="Share of faults raised / named rightly; of clean pairs raised / blocked, in %")
    table.add_column("rows")
    table.add_column("judge")
    for name in (*options.strengths, *(f"clean {way}" for way in spans.WAYS)):
        table.add_column(name, justify="right")
    for rows in options.rows:
        for judge in options.judges:
            mine = [r for r in results if r["rows"] == rows and r["judge"] == judge]
            cells = [
                _shares([r for r in mine if r["strength"] == strength], "raised", "named")
                for strength in options.strengths
            ]
            cells += [
                _shares([r for r in mine if r["kind"] is None and r["way"] == way], "raised", "blocked")
                for way in spans.WAYS
            ]
            table.add_row(f"{rows:,}", TITLES[judge], *cells)
        table.add_section()
    return table


def _shares(results: list[dict[str, Any]], one: str, other: str) -> str:
    if not results:
        return "-"
    first, second = (100 * sum(r[key] for r in results) / len(results) for key in (one, other))
    return f"{first:.0f} / {second:.0f}" + (f" ({len(results)})" if other == "blocked" else "")


def _by_kind(results: list[dict[str, Any]], options: argparse.Namespace) -> rich.table.Table:
    strengths = "/".join(options.strengths)
    table = rich.table.Table(title=f"Faults found and named rightly, in %, {strengths}, all sizes")
    table.add_column("kind")
    for judge in options.judges:
        table.add_column(TITLES[judge], justify="right")
    for kind in options.kinds:
        cells = []
        for judge in options.judges:
            mine = [r for r in results if r["kind"] == kind and r["judge"] == judge]
            parts = [[r["named"] for r in mine if r["strength"] == strength] for strength in options.strengths]
            cells.append(" ".join(f"{100 * np.mean(part):3.0f}" if part else "  -" for part in parts))
        table.add_row(kind, *cells)
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = list(injection.faults())
    parser.add_argument("--quick", action="store_true", help="clear and gross, 1,000 rows, one data set, few pairs")
    parser.add_argument("--kinds", nargs="+", choices=kinds, metavar="KIND", help=f"default: all: {', '.join(kinds)}")
    parser.add_argument("--strengths", nargs="+", choices=STRENGTHS)
    parser.add_argument("--data", nargs="+", choices=list(spans.DATA), default=list(DATA))
    parser.add_argument("--rows", nargs="+", type=int, help="default: 1000 10000 100000")
    parser.add_argument(
        "--pairs", nargs="+", choices=spans.WAYS, default=["halves", "days"], help="what faults go into"
    )
    parser.add_argument("--repeats", type=int, help=f"data sets for each fault; default: {REPEATS}")
    parser.add_argument("--clean", type=int, help=f"clean pairs a data set and sort; default: {CLEAN}")
    parser.add_argument("--rivals", nargs="+", choices=(*RIVALS, "all", "none"), default=["all"])
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="every single judgement")
    parser.add_argument("--verbose", action="store_true", help="print each judgement as it is made")
    options = parser.parse_args()
    options.kinds = options.kinds or kinds
    options.strengths = options.strengths or (["clear", "gross"] if options.quick else list(STRENGTHS))
    options.rows = options.rows or ([1_000] if options.quick else [1_000, 10_000, 100_000])
    if options.quick:
        options.data, options.repeats, options.clean = ["flights"], options.repeats or 1, options.clean or 4
    rivals = RIVALS if "all" in options.rivals else [r for r in RIVALS if r in options.rivals]
    options.judges = ["spanwise", "project", *rivals]
    return options


def _quiet() -> Any:
    """Libraries' output to nowhere."""
    from pipeline.console import libraries_to

    return libraries_to(pathlib.Path(os.devnull))


if __name__ == "__main__":
    main()
