"""How strongly planted features fire, and on how many texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

POSITIVES = (10, 400)
NOISE_SHARES = (0.0, 0.1, 0.25, 0.5)
"""Noise positives for each member."""
WEAK = (0.05, 0.4)
"""Strength of noise against the median member."""


def count_between(random: np.random.Generator, low: int, high: int) -> int:
    """Return a whole number, low to high, each octave as likely as another."""
    return int(np.clip(round(float(np.exp(random.uniform(np.log(low), np.log(max(low, high)))))), low, max(low, high)))


def members_of(random: np.random.Generator, size: int) -> NDArray[np.float32]:
    """Return strengths of members: log-normal with a spread of 0.2 to 0.5 around 1."""
    spread = random.uniform(0.2, 0.5)
    return np.exp(spread * random.standard_normal(size)).astype(np.float32)


def skewed(random: np.random.Generator, size: int) -> NDArray[np.float32]:
    """Return strengths that nothing explains: log-normal with a spread of 0.5 to 1.5."""
    return np.exp(random.uniform(0.5, 1.5) * random.standard_normal(size)).astype(np.float32)


def add_noise(values: NDArray[np.float32], share: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Let random silent texts fire weakly: `share` of them for each positive, at 0.05 to 0.4 of the median positive."""
    silent, firing = np.flatnonzero(values == 0), np.flatnonzero(values > 0)
    rows = random.choice(silent, size=min(len(silent), round(share * len(firing))), replace=False)
    noisy = values.copy()
    noisy[rows] = np.median(values[firing]) * random.uniform(*WEAK, size=len(rows))
    return noisy
