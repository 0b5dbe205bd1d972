"""Measuring in pairs: A, B, A, B, ... and the ratio of each neighbouring two.

A computer that others use too is fast one second and slow the next. Both halves of a pair suffer alike, so their ratio
says more than either time; the median over the pairs then forgets the unlucky ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

Measurement = Callable[[], float]

PAIRS = 5


@dataclass(frozen=True, slots=True)
class Paired:
    """Medians over the pairs: ours, theirs, and ours divided by theirs."""

    ours: float
    theirs: float
    ratio: float


def paired(ours: Measurement, theirs: Measurement, pairs: int = PAIRS) -> Paired:
    """Measures both in turn."""
    measured = [(ours(), theirs()) for _ in range(pairs)]
    return Paired(median(a for a, _ in measured), median(b for _, b in measured), median(a / b for a, b in measured))
