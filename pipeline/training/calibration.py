"""Probabilities that mean what they say: Platt scaling of the logit, held towards no change where data are few."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

_STEPS = 50
_LARGEST_LOGIT = 50.0


@dataclasses.dataclass(frozen=True)
class Calibration:
    """probability = sigmoid(scale * logit + shift), scale > 0: the order of rows stays."""

    scale: float = 1.0
    shift: float = 0.0

    def __call__(self, logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Probabilities of logits, [n]."""
        return sigmoid(self.scale * logits + self.shift)


def sigmoid(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """1 / (1 + exp(-logit))."""
    return 1.0 / (1.0 + np.exp(-np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)))


def platt(
    logits: npt.NDArray[np.float64],
    labels: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    strength: float,
) -> Calibration:
    """The (scale, shift) of least weighted mean log loss plus strength / 2 * ((scale - 1)^2 + shift^2), by Newton.

    Platt 1999, with a ridge towards the identity instead of his smoothed labels: `tune` is a few days long, and days
    differ more than rows do, so what it says of the label's share is not to be taken at its word.

    Args:
      logits: [n], of label 1.
      labels: [n] 0 or 1.
      weights: [n], >= 0.
      strength: of the ridge; 0 is plain Platt scaling, and p (1 - p), about 0.2, goes half the way.

    Returns:
      The identity where `labels` has one class only, or where the order would have to be turned round.
    """
    total = weights.sum()
    positive = float(weights @ labels)
    if not 0.0 < positive < total:
        return Calibration()
    design = np.stack([np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT), np.ones_like(logits)], axis=1)
    identity = np.array([1.0, 0.0])
    found = identity.copy()
    for _ in range(_STEPS):
        answer = sigmoid(design @ found)
        gradient = design.T @ (weights * (answer - labels)) / total + strength * (found - identity)
        curvature = (design.T * (weights * answer * (1.0 - answer) / total)) @ design
        # The last term keeps the step finite where all logits are one number.
        step = np.linalg.solve(curvature + (strength + 1e-9) * np.eye(2), gradient)
        found = found - np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-10:
            break
    scale, shift = map(float, found)
    return Calibration(scale, shift) if scale > 0.0 and np.isfinite(shift) else Calibration()
