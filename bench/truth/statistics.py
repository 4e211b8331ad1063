"""How well a score tells two kinds apart, with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import kstest, rankdata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FEWEST = 10
"""Defined scores on each side, below which no AUROC is given."""


@dataclass(frozen=True)
class Auroc:
    """Probability that a higher kind scores above a lower one, ties counting half.

    Attributes:
        value: 0 to 1.
        error: standard error.
        trials: scores on the smaller side.
    """

    value: float
    error: float
    trials: int

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval, within 0 to 1.

        Where the error is 0, because every pair is in order, it is that of as many successes in `trials` (Clopper &
        Pearson 1934): perfect order among few says less than among many.
        """
        if self.error == 0.0 and self.value in {0.0, 1.0}:
            reach = 1.0 - 0.025 ** (1.0 / self.trials)
            return (1.0 - reach, 1.0) if self.value == 1.0 else (0.0, reach)
        return max(0.0, self.value - 1.96 * self.error), min(1.0, self.value + 1.96 * self.error)


def auroc(higher: Sequence[float | None], lower: Sequence[float | None]) -> Auroc | None:
    """Return the AUROC with DeLong's variance (Sun & Xu 2014, by mid-ranks); scores that are None take no part.

    Returns:
        None where fewer than FEWEST scores of a side are defined.
    """
    x = np.array([score for score in higher if score is not None], dtype=np.float64)
    y = np.array([score for score in lower if score is not None], dtype=np.float64)
    if min(len(x), len(y)) < FEWEST:
        return None
    together = rankdata(np.concatenate([x, y]))
    above = (together[: len(x)] - rankdata(x)) / len(y)
    below = 1.0 - (together[len(x) :] - rankdata(y)) / len(x)
    variance = above.var(ddof=1) / len(x) + below.var(ddof=1) / len(y)
    return Auroc(float(above.mean()), float(np.sqrt(variance)), min(len(x), len(y)))


def mean_auroc(parts: Sequence[Auroc | None]) -> Auroc | None:
    """Return the mean over corpora, so that only features of one corpus are compared; None where all are."""
    defined = [part for part in parts if part is not None]
    if not defined:
        return None
    error = float(np.sqrt(sum(part.error**2 for part in defined))) / len(defined)
    return Auroc(float(np.mean([part.value for part in defined])), error, sum(part.trials for part in defined))


def uniformity(values: Sequence[float | None]) -> float | None:
    """Return the p-value of the Kolmogorov-Smirnov test against the uniform distribution on 0 to 1."""
    defined: NDArray[np.float64] = np.array([value for value in values if value is not None], dtype=np.float64)
    return float(kstest(defined, "uniform").pvalue) if len(defined) >= FEWEST else None
