"""Tables of benchmarks/scale.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from benchmarks.guard import figures
from benchmarks.scaling.fitting import Assumed, Line, cluster, line, one_process

_FURTHER = (100_000_000, 10_000_000_000)
_NODES = ("ExampleGen", "StatisticsGen")


def every(results: Sequence[Mapping[str, Any]], assumed: Assumed) -> list[Table]:
    """All that there is something to say for."""
    results = sorted(results, key=lambda found: (found["way"], rows(found)))
    made = [measured(results)]
    for way in dict.fromkeys(found["way"] for found in results):
        mine = [found for found in results if found["way"] == way]
        if len(mine) > 2:
            made += [fitted(way, mine), further(way, mine, assumed)]
    return made


def rows(found: Mapping[str, Any]) -> int:
    """Rows that were written as examples and of which statistics were made."""
    return sum(found["rows"].values())


def measured(results: Sequence[Mapping[str, Any]]) -> Table:
    """What was measured."""
    columns = ("way", ">rows", ">wall s", ">CPU s", *(f">{name}, CPU s" for name in _NODES), ">peak memory, MB")
    made = figures.table("Up to the gate, size by size", (*columns, ">examples, MB", "verdict"))
    for found in results:
        nodes = [f"{found['nodes'][name]['cpu']:.1f}" if found["way"] != "flink" else "" for name in _NODES]
        made.add_row(
            *(found["way"], f"{rows(found):,}", f"{found['wall']:.0f}", f"{found['cpu']:.0f}", *nodes),
            *(f"{found['peak_mb']:,.0f}", f"{found['example_bytes'] / 1e6:,.0f}", found["verdict"]),
        )
    return made


def fitted(way: str, results: Sequence[Mapping[str, Any]]) -> Table:
    """The lines, and how far each size lies from them."""
    made = figures.table(
        f"{way}: lines through these", ("", "line", *(f">off at {rows(found):,}" for found in results))
    )
    for name, one, text in (
        ("CPU s", _line(results, "cpu"), "{:.1f} + {:.1f} a million rows"),
        ("peak memory, MB", _line(results, "peak_mb"), "{:,.0f} + {:,.0f} a million rows"),
        ("examples, MB", _line(results, "example_bytes", 1e6), "{:.1f} + {:.1f} a million rows"),
    ):
        off = (f"{residual:+.1f}" for residual in one.residuals)
        made.add_row(name, text.format(one.start, one.slope * 1e6), *off)
    return made


def further(way: str, results: Sequence[Mapping[str, Any]], assumed: Assumed) -> Table:
    """What the lines say of sizes that were not measured: here in one process, on Flink with as many as are needed."""
    cpu, size = _line(results, "cpu"), _line(results, "example_bytes", 1e6)
    title = f"{way}: what these lines say of more rows, at ${assumed.price:.2f} a vCPU hour"
    if way == "flink":
        title += f", a cluster busy {assumed.busy:.0%} of the time and done in {assumed.hours:g} h"
    columns = (">rows", ">CPU hours", ">vCPUs", ">memory, GiB", ">hours", ">$", ">examples, GB")
    made = figures.table(title, columns)
    for count in _FURTHER:
        sized = (cluster if way == "flink" else one_process)(cpu, count, assumed)
        # A process that streams needs no more for more rows; a cluster has so much a vCPU.
        memory = sized.vcpus * assumed.memory_gb if way == "flink" else max(one["peak_mb"] for one in results) / 1024
        made.add_row(
            *(f"{count:,}", f"{sized.cpu_hours:,.1f}", f"{sized.vcpus:,}", f"{memory:,.0f}", f"{sized.hours:,.1f}"),
            *(f"{sized.dollars:,.2f}", f"{size.at(count) / 1e3:,.0f}"),
        )
    return made


def _line(results: Sequence[Mapping[str, Any]], name: str, unit: float = 1.0) -> Line:
    return line([rows(found) for found in results], [found[name] / unit for found in results])
