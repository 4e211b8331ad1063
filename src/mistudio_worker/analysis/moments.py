"""Central moments that can be merged, of all features at once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments of every feature over the rows seen so far; all arrays are [F], float64.

    Source: Chan, Golub, LeVeque 1979; Pebay 2008 (SAND2008-6212).

    Attributes:
        count: rows seen; 0 for a skipped feature.
        mean: mean of the rows.
        m2: sum of (a - mean)^2.
        m3: sum of (a - mean)^3.
        m4: sum of (a - mean)^4.
        low: smallest value; +inf where nothing was seen.
        high: largest value; -inf where nothing was seen.
        positives: number of rows with a > 0.
    """

    count: NDArray[np.float64]
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]
    m3: NDArray[np.float64]
    m4: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    positives: NDArray[np.float64]


def empty_moments(features: int) -> Moments:
    """Return the moments of no rows: the neutral element of `merge`."""
    count, mean, m2, m3, m4, positives = np.zeros((6, features))
    return Moments(count, mean, m2, m3, m4, np.full(features, np.inf), np.full(features, -np.inf), positives)


def merge(left: Moments, right: Moments) -> Moments:
    """Return the moments of both sets of rows (formulas 2.1 to 2.9 of Pebay, for two sets).

    With n = n1 + n2 and d = mean2 - mean1:
      mean = mean1 + d n2 / n
      M2 = M2_1 + M2_2 + d^2 n1 n2 / n
      M3 = M3_1 + M3_2 + d^3 n1 n2 (n1 - n2) / n^2 + 3 d (n1 M2_2 - n2 M2_1) / n
      M4 = M4_1 + M4_2 + d^4 n1 n2 (n1^2 - n1 n2 + n2^2) / n^3
           + 6 d^2 (n1^2 M2_2 + n2^2 M2_1) / n^2 + 4 d (n1 M3_2 - n2 M3_1) / n
    """
    n1, n2 = left.count, right.count
    n = n1 + n2
    share1, share2 = n1 / np.maximum(n, 1.0), n2 / np.maximum(n, 1.0)
    d = right.mean - left.mean
    cross = d * d * n1 * share2
    return Moments(
        count=n,
        mean=left.mean + d * share2,
        m2=left.m2 + right.m2 + cross,
        m3=left.m3 + right.m3 + cross * d * (share1 - share2) + 3 * d * (share1 * right.m2 - share2 * left.m2),
        m4=left.m4
        + right.m4
        + cross * d * d * (share1 * share1 - share1 * share2 + share2 * share2)
        + 6 * d * d * (share1 * share1 * right.m2 + share2 * share2 * left.m2)
        + 4 * d * (share1 * right.m3 - share2 * left.m3),
        low=np.minimum(left.low, right.low),
        high=np.maximum(left.high, right.high),
        positives=left.positives + right.positives,
    )


def concatenate(parts: list[Moments]) -> Moments:
    """Put the moments of neighbouring feature tiles side by side."""
    return Moments(*(np.concatenate([getattr(part, name.name) for part in parts]) for name in fields(Moments)))
