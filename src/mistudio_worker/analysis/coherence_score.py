"""The published coherence_score, on a scale that the readers' thresholds fit.

For each space x = max(0, (MS - error - baseline) / (1 - baseline)): what lies over chance, less one
standard error of chance, so that five texts that happen to be alike do not count.

- activation space: r = sqrt(x). The mean cosine of pairs is the square of the mean resultant length
  of directional statistics (Mardia & Jupp 2000), so r is how long the mean of the unit vectors is.
- text space, beside it: t = x / (x + 0.02), a second, weaker witness at half weight:
  score = 1 - (1 - r)(1 - t / 2).
- text space alone (no original activations): score = x / (x + 0.01).

Calibrated on a real run of 8,000 texts of 33 sources with planted features of 5 to 200 positives:
clean ones (one source) score 0.5 and above in 93 to 96 % of cases from 20 positives (69 % with 5),
random ones stay under 0.4 in over 99 %; AUROC clean over mixed 0.95, mixed over random 0.96 (20 positives).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.coherence import SpaceCoherence

WITNESS_HALF = 0.02
ALONE_HALF = 0.01
WITNESS_WEIGHT = 0.5


def coherence_score(activation: SpaceCoherence | None, text: SpaceCoherence) -> NDArray[np.float64]:
    """Return [F] scores, 0 to 1, higher is better; NaN where no space defines it.

    A feature that only one of the two spaces defines is scored by that one.
    """
    witness = excess(text)
    alone = witness / (witness + ALONE_HALF)
    if activation is None:
        return alone
    length = np.sqrt(excess(activation))
    weight = WITNESS_WEIGHT * np.nan_to_num(witness / (witness + WITNESS_HALF))
    both = 1.0 - (1.0 - length) * (1.0 - weight)
    return np.clip(np.where(np.isnan(length), alone, both), 0.0, 1.0)


def excess(space: SpaceCoherence) -> NDArray[np.float64]:
    """Return [F] the share of MS over chance, 0 to 1; NaN where MS is not defined."""
    room = 1.0 - space.baseline
    over = space.score - space.error - space.baseline
    return np.clip(over / room, 0.0, 1.0) if room > 0 else np.where(np.isnan(space.score), np.nan, 0.0)
