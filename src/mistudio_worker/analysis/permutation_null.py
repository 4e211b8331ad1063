"""Where a coherence lies among random placements of the same weights, for all features at once.

The mean cosine T = sum_{i != j} w_i w_j S_ij / (S1^2 - S2) of weights w that are placed at random on the texts has a
mean, a variance and a third moment in closed form (Mantel 1967), so that nothing is permuted. With

    S_ij = mean + a_i + a_j + e_ij,   sum_i a_i = 0,   sum_j e_ij = 0

(a_i: how much more like all texts text i is than the average text), v = w - mean w and c = 2 w (S1 - w) less its mean,

    sum w w S - mean (S1^2 - S2) = sum_i c_i a_i + sum_{i != j} v_i v_j e_ij

    variance = E[a^2] C2 + 2 (V2^2 - V4) E[e^2]
    third    = E[a^3] C3 + 6 (CV^2 - C2V2) E[a a e] + 12 (CV2 V2 - CV4) E[a e^2]
             + 4 (V3^2 - V6) E[e^3] + 8 (V2^3 - 3 V2 V4 + 2 V6) E[e_ij e_jk e_ki]

with V2 = sum v^2, CV = sum c v, and so on: exact up to a share of 1 / n, since v and c are centred. A Pearson III
distribution with these three moments gives the percentile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammainc, ndtr

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_PAIR_SKEW = 1.0
FEWEST_TEXTS = 20
_NO_SKEW = 1e-4
_NO_SPREAD = 1e-12


@dataclass(frozen=True, slots=True)
class PairMoments:
    """Of the parts of a cosine, over the texts of a run; see the formulas above.

    Attributes:
        a2: E[a^2].
        a3: E[a^3].
        aae: E[a_i a_j e_ij].
        aee: E[a_i e_ij^2].
        e2: E[e^2].
        e3: E[e^3].
        triangle: E[e_ij e_jk e_ki].
    """

    a2: float
    a3: float
    aae: float
    aee: float
    e2: float
    e3: float
    triangle: float


def pair_moments(cosines: NDArray[np.float64], to_all: NDArray[np.float64], mean: float, texts: int) -> PairMoments:
    """Measure the moments on a sample of texts.

    Args:
        cosines: [s, s] of the sample; s >= 3.
        to_all: [s] mean cosine of each sampled text to all other texts of the run.
        mean: of all pairs of the run.
        texts: of the run.
    """
    s = cosines.shape[0]
    a = (to_all - mean) * (texts - 1) / (texts - 2)
    e = cosines - mean - a[:, None] - a[None, :]
    np.fill_diagonal(e, 0.0)
    square = e * e
    pairs = s * (s - 1)
    return PairMoments(
        a2=float((a * a).mean()) * texts / (texts - 1),
        a3=float((a * a * a).mean()),
        aae=float(a @ e @ a) / pairs,
        aee=float(a @ square.sum(axis=1)) / pairs,
        e2=float(square.sum()) / pairs,
        e3=float((square * e).sum()) / pairs,
        triangle=float(((e @ e) * e).sum()) / (pairs * (s - 2)),
    )


def percentiles(
    excess: NDArray[np.float64], sums: NDArray[np.float64], moments: PairMoments, texts: int
) -> NDArray[np.float64]:
    """Return the share of placements that give a lower coherence.

    Args:
        excess: [F] sum w w S - mean (S1^2 - S2); NaN is passed on.
        sums: [F, 10] of `weight_sums`.
        moments: of the pairs.
        texts: of the run.

    Returns:
        [F] 0 to 1, uniform for random features. NaN for fewer than 20 texts, where the weights do not vary, and
        where single pairs of texts that happen to be alike bring the skew over 1 (few positives in a space whose
        cosines have heavy tails): three moments do not tell such a distribution.
    """
    c2, c3, cv, c2v2, cv2, cv4, v2, v3, v4, v6 = sums.T
    variance = moments.a2 * c2 + 2.0 * moments.e2 * (v2 * v2 - v4)
    of_pairs = 4.0 * moments.e3 * (v3 * v3 - v6)
    third = (
        moments.a3 * c3
        + 6.0 * moments.aae * (cv * cv - c2v2)
        + 12.0 * moments.aee * (cv2 * v2 - cv4)
        + of_pairs
        + 8.0 * moments.triangle * (v2**3 - 3.0 * v2 * v4 + 2.0 * v6)
    )
    told = (variance > _NO_SPREAD * v2 * v2) & np.isfinite(excess) & (texts >= FEWEST_TEXTS)
    deviation = np.sqrt(np.where(told, variance, 1.0))
    told &= np.abs(of_pairs) <= MOST_PAIR_SKEW * deviation**3
    found = _pearson3(np.where(told, excess, 0.0) / deviation, np.where(told, third / deviation**3, 0.0))
    return np.where(told, found, np.nan)


def _pearson3(z: NDArray[np.float64], skew: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distribution function at z of a Pearson III distribution of mean 0, variance 1 and the given skew."""
    symmetric = np.abs(skew) < _NO_SKEW
    shape = 4.0 / np.where(symmetric, 1.0, skew) ** 2
    point = np.maximum(shape + 2.0 * z / np.where(symmetric, 1.0, skew), 0.0)
    gamma = gammainc(shape, point)
    found: NDArray[np.float64] = np.where(symmetric, ndtr(z), np.where(skew > 0, gamma, 1.0 - gamma))
    return found
