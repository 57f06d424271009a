"""A straight line through what was measured, and what it says of sizes that were not."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Line:
    """y = start + slope * rows, by least squares."""

    start: float
    slope: float
    """For each row."""
    residuals: tuple[float, ...]
    """Measured less the line, size by size."""

    def at(self, rows: float) -> float:
        """What the line says."""
        return self.start + self.slope * rows


@dataclasses.dataclass(frozen=True)
class Assumed:
    """What the machine cannot tell."""

    price: float
    """Of a vCPU hour with its memory, in dollars."""
    hours: float
    """In which a cluster is to be done."""
    busy: float
    """Share of a cluster's vCPU time that is work."""
    memory_gb: float
    """Of a vCPU."""


@dataclasses.dataclass(frozen=True)
class Sized:
    """What a number of rows asks for."""

    rows: int
    cpu_hours: float
    vcpus: int
    hours: float
    dollars: float


def line(rows: Sequence[float], values: Sequence[float]) -> Line:
    """Fitted to at least two sizes."""
    slope, start = np.polyfit(np.asarray(rows, float), np.asarray(values, float), 1)
    residuals = np.asarray(values, float) - (start + slope * np.asarray(rows, float))
    return Line(float(start), float(slope), tuple(float(one) for one in residuals))


def one_process(cpu: Line, rows: int, assumed: Assumed) -> Sized:
    """One vCPU does it all, as long as it takes."""
    hours = cpu.at(rows) / 3600
    return Sized(rows, hours, 1, hours, hours * assumed.price)


def cluster(cpu: Line, rows: int, assumed: Assumed) -> Sized:
    """As many vCPUs as do it in `assumed.hours`."""
    work = cpu.at(rows) / 3600
    vcpus = max(1, math.ceil(work / assumed.busy / assumed.hours))
    hours = work / assumed.busy / vcpus
    return Sized(rows, work, vcpus, hours, vcpus * hours * assumed.price)
