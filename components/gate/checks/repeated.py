"""Rows: repeated within a span, and rows that the baseline has already."""

from __future__ import annotations

from collections.abc import Iterator

from components.gate import noise
from components.gate.checks.case import Case, percent
from components.gate.checks.observed import Hashed
from components.gate.config import Level
from components.gate.findings import Finding

_COMMON = 0.3
_SAME = 0.999


def repeated(case: Case) -> Iterator[Finding]:
    """`duplicates` by key where there is one and by whole rows else; `repeated_rows` against the baseline."""
    ours, theirs = case.ours, case.theirs
    keyed = _duplicates(case, ours.keys, theirs.keys, "key") if ours.keys and theirs.keys else None
    rows = (ours.sample.rows, theirs.sample.rows) if ours.sample and theirs.sample else None
    if keyed is None and rows:
        keyed = _duplicates(case, *rows, "row")
    if keyed is not None:
        yield keyed
    if rows:
        found = _again(case, *rows)
        if found is not None:
            yield found


def _duplicates(case: Case, ours: Hashed, theirs: Hashed, what: str) -> Finding | None:
    before = theirs.repeated / theirs.rows
    if before > _COMMON:
        return None
    # Where rows repeat by chance, the share of repeats grows with their number.
    before = min(1.0, before * max(1.0, case.current.rows / max(1, case.other.rows)))
    share = ours.repeated / ours.rows
    measured, chance = case.gained(share, ours.rows, before, theirs.rows)
    about = "" if ours.whole else "about "
    told = f"{about}{percent(share)} of examples repeat the {what} of another one, {percent(before)} in "
    told += f"{case.against.other} (limit +{{limit}}). Was a file loaded twice, or did a join multiply rows?"
    return case.finding("duplicates", None, told[:1].upper() + told[1:], measured, chance)


def _again(case: Case, ours: Hashed, theirs: Hashed) -> Finding | None:
    shared, looked_up = ours.shared(theirs)
    if not looked_up:
        return None
    share = shared / looked_up
    # Rows that repeat within one side repeat between the two as well.
    natural = max(noise.wilson(side.repeated, side.rows, case.z)[1] for side in (ours, theirs))
    if natural > _COMMON:
        return None
    usual = min(1.0, 2 * natural)
    _, chance = case.gained(share, looked_up, usual, looked_up)
    if share >= _SAME:
        told = f"All examples are in {case.against.other} already (limit {{limit}}): the same data again. "
        told += "Ask for the file of this span."
    else:
        told = f"{percent(share)} of examples are in {case.against.other} already (limit {{limit}}). "
        told += "Were old rows sent again, or do the two overlap in time?"
    # Two files may be meant to overlap, and rows without a time of their own may stay as they are.
    gravest: Level = "error" if case.in_pipeline and case.time else "warn"
    return case.finding("repeated_rows", None, told, share, usual + chance, at_most=gravest, expected=usual)
