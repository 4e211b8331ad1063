"""The strongest texts of every feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TopExamples:
    """Top texts of all features, one run of entries a feature (CSR), strongest first.

    Feature f owns the entries `offsets[f]:offsets[f + 1]`: positives only, at most top_k, equal
    activations by lower text index.

    Attributes:
        offsets: [F + 1] int64, ascending from 0.
        texts: [entries] int32 row indices.
        strengths: [entries] float32, > 0.
    """

    offsets: NDArray[np.int64]
    texts: NDArray[np.int32]
    strengths: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class GroupedTop:
    """Top texts of all features with near-duplicates side by side (CSR), so that copies can count once.

    Attributes:
        offsets: [F + 1] int64, as in `TopExamples`.
        texts: [entries] int32 row indices: groups in the order of their strongest text, within a group strongest first.
        groups: [entries] int32 number of a text's group within its feature, from 0, ascending.
    """

    offsets: NDArray[np.int64]
    texts: NDArray[np.int32]
    groups: NDArray[np.int32]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """[F] number of top texts, copies counted."""
        return np.diff(self.offsets)

    def distinct(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Offsets [F + 1] and rows of the strongest text of each group, strongest first."""
        owner = np.repeat(np.arange(self.sizes.size), self.sizes)
        first = np.flatnonzero((np.diff(self.groups, prepend=-1) != 0) | (np.diff(owner, prepend=-1) != 0))
        counts = np.bincount(owner[first], minlength=self.sizes.size)
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)]), self.texts[first]
