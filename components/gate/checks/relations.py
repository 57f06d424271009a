"""What lies between columns: dependences that are gone or came from nowhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from components.gate.checks.case import Case
from components.gate.checks.dependence import MANY_VALUES, Column, lost
from components.gate.checks.observed import Floats, Sample
from components.gate.config import Level
from components.gate.findings import Finding

BINS = 12
"""Bins of a number, of equal weight; of text the most frequent values each have one."""
VALUES = 40
MOST_COLUMNS = 128
"""Pairs are taken among so many columns, in order of name."""
LEAST_ROWS = 200
_LEAST_PAIRED = 60
_STRONG = 0.3
_GONE = 0.9
_SOME = 3.0
"""Standard deviations from which on a dependence counts towards which column is to blame."""
_OF_DAYS = 3.0
_ROOM_OF_WEAK = 0.25
_DAY, _HOUR = 86_400, 3_600
_MOSTLY = 0.8
"""Days of the time are in UTC, those of other columns may be local."""
_MOST_FINDINGS = 3
_LEAST_ENTROPY = 0.3
"""Nats: that of a yes or no with a share of 9 %."""

Codes = npt.NDArray[np.int64]


def pairs(case: Case) -> Iterator[Finding]:
    """`pairs`: what one column tells of another was much and is gone, or was nothing and is much.

    What is gone is measured in `dependence`; what came is mutual information.
    """
    samples = case.samples
    if samples is None or min(len(sample.rows.hashes) for sample in samples) < _LEAST_PAIRED:
        return
    names = [n for n in sorted(samples[0].columns) if n in samples[1].columns and _pairable(case, n)][:MOST_COLUMNS]
    if len(names) < 2:
        return
    (ours, error, rows), (theirs, error_before, rows_before) = (told_of_each_other(case, s, names) for s in samples)
    known = (rows >= LEAST_ROWS) & (rows_before >= LEAST_ROWS) & ~np.isnan(ours) & ~np.isnan(theirs)
    ours, theirs = np.nan_to_num(ours), np.nan_to_num(theirs)
    strong = known & (theirs > _STRONG) & (theirs > 2 * error_before)
    features = case.current.features
    clustered = np.array([features[name].inflation if name in features else 1.0 for name in names])
    less = np.sqrt(np.minimum.outer(clustered, clustered))
    z = case.z_of(len(names) * (len(names) - 1) // 2)
    spread = z * less * np.sqrt(1 / np.maximum(rows, 1) + 1 / np.maximum(rows_before, 1))
    sizes = len(samples[0].rows.hashes), len(samples[1].rows.hashes)
    text = [name in features and features[name].type == "string" for name in names]
    gone = lost([Column(samples[0].columns[n], samples[1].columns[n], t) for n, t in zip(names, text)])
    many = [t and len(np.unique(samples[1].columns[n])) > MANY_VALUES for n, t in zip(names, text)]
    calendar = _calendar(case, samples[1], names)
    # Weak dependences count where they are of rows, and not of the days that happened to be in the baseline.
    of_days = (clustered > _OF_DAYS) | calendar
    weak = ~strong & ~np.logical_or.outer(of_days, of_days)
    share = np.where(strong | weak, np.clip(gone.share, 0.0, 1.0), 0.0)
    chance = z * less * gone.deviation
    # Weekdays are on other days each month, which changes the scores of all that goes by days, and no information.
    moves_on = np.logical_or.outer(calendar, calendar)
    share = np.where(moves_on, np.where(strong, 1 - ours / np.where(strong, theirs, 1.0), 0.0), share)
    chance = np.where(moves_on, spread / np.maximum(theirs, _STRONG), chance)
    # What little one column tells of another is overrated where it was picked for it; agreement is not.
    joins = np.array(many)
    room = np.where(weak, _ROOM_OF_WEAK + np.where(np.logical_or.outer(joins, joins), 0.0, chance), 0.0)
    room = np.where(moves_on, chance, room)
    both = _Both(ours, theirs, strong, room, calendar, joins)
    yield from _grouped(case, names, share, chance, both, sizes)
    come = np.where(known & ~strong, ours - theirs, 0.0)
    yield from _grouped(case, names, come, spread + np.maximum(error, error_before), both, sizes, come=True)


def _pairable(case: Case, name: str) -> bool:
    return name in (case.label, case.time) or name not in case.skipped


@dataclasses.dataclass(frozen=True, eq=False)
class _Both:
    """What is known of each pair on both sides; square, by name."""

    now: Floats
    """Share of the smaller entropy that is shared, 0..1."""
    before: Floats
    strong: npt.NDArray[np.bool_]
    room: Floats
    """What of a dependence may be gone without a word."""
    calendar: npt.NDArray[np.bool_]
    """By name: the time, or a part of a date. It is not they that are out of step."""
    joins: npt.NDArray[np.bool_]
    """By name: text of very many values, by which rows are joined: what was joined is out of step."""


def _calendar(case: Case, sample: Sample, names: list[str]) -> npt.NDArray[np.bool_]:
    times = sample.columns.get(case.time or "")
    if times is None:
        return np.zeros(len(names), bool)
    parts = [np.nan_to_num(times) // _DAY, np.nan_to_num(times) % _DAY // _HOUR]
    return np.array([n == case.time or any(_follows(sample.columns[n], part) for part in parts) for n in names])


def _follows(values: Floats, part: Floats) -> bool:
    """Whether a column mostly has one value for each value of a part of the time, and several in all."""
    kept = ~np.isnan(values)
    pairs, counts = np.unique(np.stack([part[kept], values[kept]]), axis=1, return_counts=True)
    groups, places = np.unique(pairs[0], return_inverse=True)
    most = np.zeros(len(groups), np.int64)
    np.maximum.at(most, places, counts)
    _, overall = np.unique(values[kept], return_counts=True)
    rows = int(kept.sum())
    return bool(rows > 4 * len(groups) and most.sum() > _MOSTLY * rows and overall.max(initial=0) < rows / 2)


def _grouped(
    case: Case,
    names: list[str],
    measured: Floats,
    chance: Floats,
    both: _Both,
    sizes: tuple[int, int],
    *,
    come: bool = False,
) -> Iterator[Finding]:
    """A finding for the column with most to answer for, then for what is left without it, and so on."""
    bound = case.config.limit("pairs").lowest
    if bound is None:
        return
    room = np.zeros_like(both.room) if come else both.room
    beyond = np.where((measured > chance) & (measured - room > bound), measured, 0.0)
    beyond = np.triu(beyond, 1) + np.triu(beyond, 1).T
    # Of columns that moved together each has lost some dependences that are too weak to be told.
    evidence = np.where(measured > _SOME * chance / case.z, measured / np.maximum(chance, 1e-9), 0.0)
    evidence = np.triu(evidence, 1) + np.triu(evidence, 1).T
    first = np.where(both.calendar, 1e6, 0.0)
    for _ in range(_MOST_FINDINGS):
        if not beyond.any():
            return
        one = int((np.where(beyond.any(axis=1), evidence.sum(axis=1), 0.0) * (1 + first)).argmax())
        partners = np.argsort(-beyond[one], kind="stable")[: int((beyond[one] > 0).sum())].tolist()
        other = partners[0]
        steady = both.calendar[one] or both.joins[one]
        blamed, rest = (partners, [one]) if steady else ([one], partners)
        told = f"{_some(names, blamed)}: the dependence on {_some(names, rest)} is "
        value, noise = float(measured[one, other]), float(chance[one, other])
        if come:
            told += f"new ({names[one]} and {names[other]} tell {100 * both.now[one, other]:.0f} % of each other, "
            told += f"{100 * both.before[one, other]:.0f} % in {case.against.other}; limit {{limit}}). "
            told += "Was one filled from the other?"
        else:
            told += f"{'gone' if value > _GONE else 'weaker'} ({100 * value:.0f} % of what {names[one]} and "
            told += f"{names[other]} told of each other in {case.against.other}; limit {{limit}}). "
            told += "Are rows out of step after a join or a sort, or do values mean something else?"
        gravest: Level = "error" if not come and both.strong[one, other] and not both.calendar[one] else "warn"
        found = case.finding("pairs", names[blamed[0]], told, value, noise, sizes, gravest, float(room[one, other]))
        if found is not None:
            yield found
        for left in (beyond, evidence):
            left[one] = left[:, one] = 0.0


def _some(names: list[str], places: list[int]) -> str:
    shown = ", ".join(names[place] for place in places[:3])
    return shown + (f" and {len(places) - 3} more" if len(places) > 3 else "")


def told_of_each_other(case: Case, sample: Sample, names: list[str]) -> tuple[Floats, Floats, Floats]:
    """Mutual information of each pair as a share (0..1) of the smaller entropy; its chance; rows that have both.

    The information is less its bias (Miller 1955), and NaN where a column hardly varies. All square, by `names`.
    """
    codes = [binned(case, sample, name) for name in names]
    levels = np.array([max(1, int(code.max(initial=0))) for code in codes])
    starts = np.concatenate([[0], np.cumsum(levels)])
    hot = np.zeros((len(sample.rows.hashes), int(starts[-1])), np.float32)
    for start, code in zip(starts, codes):
        present = np.flatnonzero(code)
        hot[present, start + code[present] - 1] = 1.0
    counts = (hot.T @ hot).astype(np.float64)
    # By level and column: rows of that level that have that column.
    margins = np.add.reduceat(counts, starts[:-1], axis=1)
    rows = np.add.reduceat(margins, starts[:-1], axis=0)
    total = np.maximum(rows, 1.0)
    both = np.add.reduceat(np.add.reduceat(_nats(counts), starts[:-1], axis=0), starts[:-1], axis=1)
    one = np.add.reduceat(_nats(margins), starts[:-1], axis=0)
    # Sums of n ln n give entropies: H = ln N - sum(n ln n) / N.
    information = np.log(total) + (both - one - one.T) / total
    entropy = np.log(total) - one / total
    occupied = np.add.reduceat((margins > 0).astype(np.float64), starts[:-1], axis=0)
    freedom = np.maximum((occupied - 1) * (occupied.T - 1), 0.0)
    least = np.minimum(entropy, entropy.T)
    some = (least > _LEAST_ENTROPY) & (rows > 0)
    scale = np.where(some, least, 1.0)
    value = np.where(some, np.clip((information - freedom / (2 * total)) / scale, 0.0, 1.0), np.nan)
    error = np.where(some, case.z * np.sqrt(2 * freedom) / (2 * total) / scale, 1.0)
    return value, error, rows


def _nats(counts: Floats) -> Floats:
    return np.asarray(counts * np.log(np.maximum(counts, 1.0)))


def binned(case: Case, sample: Sample, name: str) -> Codes:
    """Bin by row: numbers by rank, text by its most frequent values, 0 where it is missing."""
    values = sample.columns[name]
    present = ~np.isnan(values)
    result = np.zeros(len(values), np.int64)
    if not present.any():
        return result
    known, places, counts = np.unique(values[present], return_inverse=True, return_counts=True)
    feature = case.current.features.get(name)
    if len(known) <= BINS:
        result[present] = 1 + places
    elif feature is not None and feature.type == "string":
        order = np.argsort(-counts, kind="stable")
        rank = np.empty(len(known), np.int64)
        rank[order] = np.arange(len(known))
        result[present] = 1 + np.minimum(rank, VALUES)[places]
    else:
        middle = (np.cumsum(counts) - counts / 2) / counts.sum()
        bins = np.minimum((middle * BINS).astype(np.int64), BINS - 1)
        result[present] = 1 + np.unique(bins, return_inverse=True)[1][places]
    return result
