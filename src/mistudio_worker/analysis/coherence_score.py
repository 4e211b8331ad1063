"""The published coherence_score, on a scale that the readers' thresholds fit.

    u = 1 - (1 - a)(1 - t)      where the unity a of the activation space or t of the text space is positive; a
                                negative one counts as 0: either space is witness enough, both are better
    u = max(a, t)               where neither is
    score = ((1 + u) / 2)^1.32 * (1 where the feature does not follow the length of the text, else 2 (1 - |figure|))

The exponent is ln 0.4 / ln 0.5: 0.4, the lowest of the readers' thresholds, is where the two halves of the texts have
in common what random texts have. Nothing is fitted to a corpus: constants are the quarter of the draws on a side, the
1.5 standard errors, and this exponent. 1 - (1 - a)(1 - t) is what two independent witnesses leave of a doubt.

The interval is score +- 1.96 standard errors by the jackknife over the drawn texts: (m - 1) / m times the sum of the
squared distances of the m scores without one text from their mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.unity import Unity

AT_NOTHING_SHARED = 0.4
EXPONENT = math.log(AT_NOTHING_SHARED) / math.log(0.5)
NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Scores:
    """Coherence scores of all features, [F], 0 to 1, higher is better; NaN where no space defines them.

    Attributes:
        score: the published one.
        low: lower end of its 95 % interval.
        high: upper end.
    """

    score: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def coherence_score(activation: Unity | None, text: Unity, length: NDArray[np.float64]) -> Scores:
    """Combine the spaces; a feature that only one of them defines is scored by that one.

    Args:
        activation: None without original activations.
        text: always there.
        length: [F] figure of the flag `length_driven`; NaN where it is not raised.
    """
    factor = np.where(np.isnan(length), 1.0, np.clip(2.0 * (1.0 - np.abs(np.nan_to_num(length))), 0.0, 1.0))
    score = factor * _scale(_combine(None if activation is None else activation.value, text.value))
    without = factor[:, None] * _scale(_combine(None if activation is None else activation.without, text.without))
    error = NORMAL_95 * _jackknife_error(without)
    return Scores(score, np.clip(score - error, 0.0, 1.0), np.clip(score + error, 0.0, 1.0))


def _combine(activation: NDArray[np.float64] | None, text: NDArray[np.float64]) -> NDArray[np.float64]:
    """-1 to 1; NaN where both are."""
    if activation is None:
        return text
    a, t = np.nan_to_num(activation, nan=-1.0), np.nan_to_num(text, nan=-1.0)
    both = 1.0 - (1.0 - np.maximum(a, 0.0)) * (1.0 - np.maximum(t, 0.0))
    found = np.where(np.maximum(a, t) > 0.0, both, np.maximum(a, t))
    return np.where(np.isnan(activation) & np.isnan(text), np.nan, found)


def _scale(unity: NDArray[np.float64]) -> NDArray[np.float64]:
    """0.4 at unity 0, 0 at -1, 1 at 1."""
    return np.power((1.0 + unity) / 2.0, EXPONENT)


def _jackknife_error(without: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard error of each row's statistic from its values without one text each; NaN are no texts."""
    there = np.isfinite(without)
    texts = np.maximum(there.sum(axis=1), 1)
    values = np.where(there, without, 0.0)
    mean = values.sum(axis=1) / texts
    squares = np.where(there, values - mean[:, None], 0.0) ** 2
    error: NDArray[np.float64] = np.sqrt(squares.sum(axis=1) * (texts - 1) / texts)
    return error
