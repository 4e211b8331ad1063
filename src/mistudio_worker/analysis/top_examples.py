"""The strongest texts of every feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
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
