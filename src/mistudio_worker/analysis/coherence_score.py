"""The published coherence_score, on a scale that the readers' thresholds fit.

For each space x = max(0, (MS - z error - baseline) / (1 - baseline)): what lies over chance, less some
standard errors of chance, so that five texts that happen to be alike do not count. z is 1 in the
activation space and 3 in the text space, whose cosines have heavy tails.

- activation space: r = sqrt(x). The mean cosine of pairs is the square of the mean resultant length
  of directional statistics (Mardia & Jupp 2000), so r is how long the mean of the unit vectors is.
- text space, beside it: t = x / (x + 0.02), a second, weaker witness at half weight:
  score = 1 - (1 - r)(1 - t / 2).
- text space alone (no original activations): score = x / (x + 0.01).

Calibrated on a real run (8,000 texts of 33 sources) with 200 planted features each: clean ones (texts
of one source) score 0.5 and above in 92 to 96 % of cases from 20 positives (81 % with 10, 61 % with 5);
random ones stay under 0.4 (99.5 % with 5 positives, all with 20); AUROC with 20 positives: clean over
mixed (3 to 5 sources) 0.95, mixed over random 0.94.
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
ACTIVATION_ERRORS = 1.0
TEXT_ERRORS = 3.0


def coherence_score(activation: SpaceCoherence | None, text: SpaceCoherence) -> NDArray[np.float64]:
    """Return [F] scores, 0 to 1, higher is better; NaN where no space defines it.

    A feature that only one of the two spaces defines is scored by that one.
    """
    witness = excess(text, TEXT_ERRORS)
    alone = witness / (witness + ALONE_HALF)
    if activation is None:
        return alone
    length = np.sqrt(excess(activation, ACTIVATION_ERRORS))
    weight = WITNESS_WEIGHT * np.nan_to_num(witness / (witness + WITNESS_HALF))
    both = 1.0 - (1.0 - length) * (1.0 - weight)
    return np.clip(np.where(np.isnan(length), alone, both), 0.0, 1.0)


def excess(space: SpaceCoherence, errors: float) -> NDArray[np.float64]:
    """Return [F] the share of MS over chance less `errors` standard errors, 0 to 1; NaN where MS is not defined."""
    room = 1.0 - space.baseline
    over = space.score - errors * space.error - space.baseline
    return np.clip(over / room, 0.0, 1.0) if room > 0 else np.where(np.isnan(space.score), np.nan, 0.0)
