"""Features as sparse columns over common texts, and what two of them share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csc_array

from mistudio_worker.analysis.kernels.per_feature import power_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.comparison.kernels import Entries


@dataclass(frozen=True, slots=True)
class Columns:
    """Entries > 0 of each feature over the common texts, one run of entries a feature.

    Attributes:
        rows: m, common texts.
        offsets: [F + 1] int64; feature f owns `texts[offsets[f]:offsets[f + 1]]`.
        texts: [entries] int32 common texts.
        values: [entries] float32.
    """

    rows: int
    offsets: NDArray[np.int64]
    texts: NDArray[np.int32]
    values: NDArray[np.float32]

    @property
    def features(self) -> int:
        """F."""
        return self.offsets.size - 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """[F] entries of each feature."""
        return np.diff(self.offsets)

    @property
    def entries(self) -> Entries:
        """Offsets, texts and values."""
        return self.offsets, self.texts, self.values

    def sums(self) -> NDArray[np.float64]:
        """[F, 2] sum and sum of squares of the values, in float64."""
        sums: NDArray[np.float64] = power_sums(self.offsets, self.values, np.float32(0.0))[:, :2]
        return sums

    def by_text(self) -> Entries:
        """Offsets, features (ascending) and values, one run of entries a text."""
        rows = csc_array((self.values, self.texts, self.offsets), shape=(self.rows, self.features)).tocsr()
        return rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data


def only_common(
    offsets: NDArray[np.int64],
    texts: NDArray[np.int32],
    values: NDArray[np.float32],
    places: NDArray[np.int32],
    rows: int,
) -> Columns:
    """Return the entries whose text is a common one, numbered as such.

    Args:
        offsets: [F + 1] of the runs of entries.
        texts: [entries] rows of the run.
        values: [entries].
        places: [n] the common text of each row; -1 for none.
        rows: number of common texts.
    """
    common = places[texts]
    kept = common >= 0
    before = np.concatenate([[0], np.cumsum(kept, dtype=np.int64)])
    return Columns(rows, before[offsets], common[kept], values[kept])
