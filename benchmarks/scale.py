"""What size costs: ExampleGen, StatisticsGen and the gate on 0.1 to 3.4 million rows, here and on Flink.

    .venv/bin/python benchmarks/scale.py --json benchmarks/out/scale.jsonl            # direct: a quarter of an hour
    .venv/bin/python benchmarks/scale.py --json benchmarks/out/scale.jsonl --ways direct beam flink
    .venv/bin/python benchmarks/scale.py --json benchmarks/out/scale.jsonl --tables --price 0.06

The data is `spanwise data flights --times 10`, 120 months. A size is the last so many of them: the newest is judged
against the one before it, those before are its training window, and all of them go through ExampleGen and
StatisticsGen. Each size is a root and a process of its own, one after the other. Ways:

- direct  as `spanwise run` does it here: streamed through one process,
- beam    the same work by Beam's own runner in this process ([run] in_process_rows = 0),
- flink   by Beam on a Flink session cluster on loopback (tools/flink.py), its JVMs measured with it.

Measured are wall seconds, CPU seconds of all processes, and the most memory that they held together (10 times a
second). CPU seconds and memory are fitted by straight lines; the last table says what these mean for more rows, with
what you assume of prices and clusters. With --json each size is added to the file as it is measured, and a run that is
started again goes on where it was ended.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tools")]

from benchmarks.scaling import measure

WAYS = ("direct", "beam", "flink")
SIZES = (100_000, 300_000, 1_000_000, 3_400_000)
YEARS = 10
_ENOUGH = 0.99


def main() -> None:
    """Measure what is to be measured, print the tables."""
    options = _options()
    results = _read(options.json)
    if not options.tables:
        _measure(options, results)
    from benchmarks.guard import figures
    from benchmarks.scaling import tables
    from benchmarks.scaling.fitting import Assumed

    assumed = Assumed(options.price, options.hours, options.busy, options.memory)
    figures.print_tables(*tables.every(list(results.values()), assumed))


def _measure(options: argparse.Namespace, results: dict[tuple[str, int], dict[str, Any]]) -> None:
    from benchmarks.guard import figures

    data = _laid_out(options.data)
    with contextlib.ExitStack() as stack:
        flink: Any = None
        accepted: pathlib.Path | None = None
        for way in options.ways:
            for size in options.rows:
                if (way, size) in results:
                    continue
                if way == "flink" and flink is None:
                    flink = stack.enter_context(_cluster())
                if accepted is None:
                    accepted = _accepted(data, pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory())))
                found = _one(way, _last(data, size), accepted, flink)
                found |= {"way": way, "size": size, "commit": figures.commit(), **_machine()}
                results[way, size] = found
                print(json.dumps(found), file=sys.stderr)
                if options.json:
                    options.json.parent.mkdir(parents=True, exist_ok=True)
                    with options.json.open("a") as out:
                        print(json.dumps(found), file=out)


def _one(way: str, months: Sequence[pathlib.Path], accepted: pathlib.Path, flink: Any) -> dict[str, Any]:
    """One size, one way, in a root of its own that knows the span before the newest as accepted."""
    with _project(months, None, 0 if way == "beam" else 1_000_000) as folder:
        shutil.copytree(accepted, folder / "runs" / "flights")
        master, helpers = ([f"--flink-master={flink.master}"], _processes(flink)) if way == "flink" else ([], [])
        cost = _worked(folder, [months[-1].stem, *master], helpers)
    told = dataclasses.asdict(cost)
    return {**json.loads(told.pop("output")), **{name: value for name, value in told.items() if name != "code"}}


def _accepted(months: Sequence[pathlib.Path], to: pathlib.Path) -> pathlib.Path:
    """What a root knows once the span before the newest is accepted: the newest one's baseline."""
    with _project(months[-3:-1], 1, 1_000_000) as folder:
        _worked(folder, [months[-2].stem], [])
        root = folder / "runs" / "flights"
        shutil.copytree(root / "statistics", to / "statistics")
        shutil.copy(root / "accepted.json", to)
    return to


def _worked(folder: pathlib.Path, arguments: Sequence[str], helpers: Sequence[int]) -> measure.Cost:
    worker = [sys.executable, "-m", "benchmarks.scaling.worker", str(folder / "flights.toml"), *arguments]
    cost = measure.run(worker, folder, helpers)
    if cost.code:
        sys.exit(f"{' '.join(worker)}\n  exit code {cost.code}\n{(folder / 'stderr.txt').read_text()[-3000:]}")
    return cost


@contextlib.contextmanager
def _project(months: Sequence[pathlib.Path], spans: int | None, in_process_rows: int) -> Iterator[pathlib.Path]:
    """A folder with the flights project on these months, and as many training spans as it is to have (None: all)."""
    text = (REPOSITORY / "flights.toml").read_text()
    text = text.replace('spans = "data/flights/{SPAN}.parquet"', 'spans = "data/{SPAN}.parquet"')
    if spans is not None:
        text = re.sub(r"(?m)^\[window\]$", f"[window]\nspans = {spans}", text)
    text += f"\n[run]\nin_process_rows = {in_process_rows}\n"
    # Two worker processes beside the TaskManager: threads would share one interpreter.
    text += "\n[beam.flink]\nparallelism = 2\nprocesses = 2\n"
    with tempfile.TemporaryDirectory(prefix="spanwise-scale-") as name:
        folder = pathlib.Path(name)
        (folder / "data").mkdir()
        for month in months:
            (folder / "data" / month.name).symlink_to(month.absolute())
        shutil.copytree(REPOSITORY / "schema" / "flights", folder / "schema" / "flights")
        (folder / "flights.toml").write_text(text)
        yield folder


@contextlib.contextmanager
def _cluster() -> Iterator[Any]:
    import flink

    flink.job_server()
    flink.flink()
    with tempfile.TemporaryDirectory(prefix="flink-") as folder, flink.cluster(pathlib.Path(folder), 2) as made:
        yield made


def _processes(cluster: Any) -> list[int]:
    return [process.pid for process in (cluster._job_manager, *cluster.task_managers)]


def _laid_out(folder: pathlib.Path) -> list[pathlib.Path]:
    """The months of ten years, made if they are not there."""
    command = [sys.executable, str(REPOSITORY / "data" / "flights.py"), "--to", str(folder), "--times", str(YEARS)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return sorted(folder.glob("*.parquet"))


def _last(months: Sequence[pathlib.Path], rows: int) -> list[pathlib.Path]:
    """The last months that have nearly so many rows, at least three."""
    import pyarrow.parquet as pq

    total, chosen = 0, 0
    for month in reversed(months):
        total, chosen = total + pq.read_metadata(month).num_rows, chosen + 1
        if total >= _ENOUGH * rows and chosen >= 3:
            break
    return list(months[-chosen:])


def _machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}",
    }


def _read(path: pathlib.Path | None) -> dict[tuple[str, int], dict[str, Any]]:
    """What a run before this one measured; of each way and size, what was measured last."""
    if path is None or not path.exists():
        return {}
    lines = (json.loads(line) for line in path.read_text().splitlines() if line.endswith("}"))
    return {(found["way"], found["size"]): found for found in lines}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["direct"])
    parser.add_argument("--rows", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--data", type=pathlib.Path, default=REPOSITORY / "benchmarks" / "out" / "flights-ten-years")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="keep what is measured, and go on from there")
    parser.add_argument("--tables", action="store_true", help="print what is in --json, measure nothing")
    parser.add_argument("--price", type=float, default=0.05, help="dollars a vCPU hour, memory included (0.05)")
    parser.add_argument("--hours", type=float, default=2.0, help="in which a cluster is to be done (2)")
    parser.add_argument("--busy", type=float, default=0.7, help="share of a cluster's time that is work (0.7)")
    parser.add_argument("--memory", type=float, default=4.0, help="GiB of memory a vCPU (4)")
    options = parser.parse_args()
    if options.tables and options.json is None:
        parser.error("--tables needs --json")
    return options


if __name__ == "__main__":
    main()
