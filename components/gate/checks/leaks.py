"""A feature, known or new, that alone tells the label far better than any did: it is known only afterwards."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from components.gate.checks.case import Case
from components.gate.checks.observed import Floats, Sample
from components.gate.checks.relations import LEAST_ROWS, Codes, binned
from components.gate.findings import Finding

_SUSPICIOUS = 0.8


def leaks(case: Case) -> Iterator[Finding]:
    """`leak`: a feature, known or new, tells the label far better than it, or any, did."""
    samples = case.samples
    if samples is None or case.label is None:
        return
    sides = [_label(sample, case.label) for sample in samples]
    if any(side is None for side in sides):
        return
    mine, before = sides[0], sides[1]
    assert mine is not None and before is not None
    names = [n for n in samples[0].columns if n != case.label and n not in case.skipped]
    ours = {name: auc(binned(case, samples[0], name), mine) for name in names}
    known = [n for n in samples[1].columns if n != case.label and n not in case.skipped]
    theirs = {name: auc(binned(case, samples[1], name), before) for name in known}
    best = max(theirs.values(), default=0.5)
    for name, value in ours.items():
        was = theirs.get(name, best)
        chance = case.z * math.hypot(auc_error(value, mine), auc_error(was, before))
        if value < _SUSPICIOUS:
            continue
        others = f"{was:.2f} in {case.against.other}" if name in theirs else f"no other one more than {best:.2f}"
        told = f"{name}: alone tells {case.label} with an AUC of {value:.2f}, {others} (limit +{{limit}}). "
        told += "Is it only known afterwards? Then it must not be a feature."
        found = case.finding("leak", name, told, value - was, chance, (len(mine), len(before)))
        if found is not None:
            yield found


def auc(codes: Codes, positive: Floats) -> float:
    """Area under the ROC curve of the label's share by value, learned on one half of the rows and held to the other.

    Args:
      codes: the feature's bin by row.
      positive: 0 or 1 by row; NaN rows do not count.
    """
    known = ~np.isnan(positive)
    codes, labels = codes[known], positive[known] > 0
    half = np.arange(len(codes)) % 2 == 0
    overall = labels.mean() if len(labels) else 0.0
    scores = np.zeros(len(codes))
    for learn in (half, ~half):
        seen = np.bincount(codes[learn], minlength=codes.max(initial=0) + 1)
        hits = np.bincount(codes[learn], weights=labels[learn], minlength=len(seen))
        scores[~learn] = ((hits + overall) / (seen + 1))[codes[~learn]]
    return float(np.mean([_area(scores[part], labels[part]) for part in (half, ~half)]))


def _area(scores: Floats, labels: npt.NDArray[np.bool_]) -> float:
    positive, negative = int(labels.sum()), int((~labels).sum())
    if not positive or not negative:
        return 0.5
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return float((ranks[labels].sum() - positive * (positive + 1) / 2) / (positive * negative))


def auc_error(area: float, positive: Floats) -> float:
    """Standard deviation of an area (Hanley and McNeil 1982, Radiology 143); one of 1 is known to within a row.

    Args:
      area: under the ROC curve.
      positive: 0 or 1 by row; NaN rows do not count.
    """
    known = positive[~np.isnan(positive)]
    ones = max(1.0, float((known > 0).sum()))
    zeros = max(1.0, len(known) - ones)
    area = min(area, 1 - 1 / (2 * min(ones, zeros)))
    of_ones, of_zeros = area / (2 - area) - area**2, 2 * area**2 / (1 + area) - area**2
    return math.sqrt((area * (1 - area) + (ones - 1) * of_ones + (zeros - 1) * of_zeros) / (ones * zeros))


def _label(sample: Sample, name: str) -> Floats | None:
    """The label as 0 and 1; None if it is not of two values, or of too few rows."""
    values = sample.columns.get(name)
    if values is None:
        return None
    known = np.unique(values[~np.isnan(values)])
    if len(known) != 2 or len(values) < LEAST_ROWS:
        return None
    return np.where(np.isnan(values), np.nan, values == known[1])
