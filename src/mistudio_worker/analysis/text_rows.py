"""The texts as TF-IDF rows: a space of their own, independent of the model and the autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.kernels.text_rows import tfidf_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.terms import TermTable

KEPT_TERMS = 128


@dataclass(frozen=True, slots=True)
class TextRows:
    """Unit rows (CSR over texts): ln(n / df) of a text's distinct terms, scaled to length 1.

    Terms that stand in one text only or in more than half of the texts are left out, and only the 128 rarest of a
    text are kept: a long text's frequent terms add cost and little else.

    Attributes:
        offsets: [n + 1] int64.
        ids: [entries] int32, ascending within a text.
        values: [entries] float64, > 0.
        vocabulary: number of terms.
    """

    offsets: NDArray[np.int64]
    ids: NDArray[np.int32]
    values: NDArray[np.float64]
    vocabulary: int

    @property
    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
        """Offsets, ids and values, as the kernels take them."""
        return self.offsets, self.ids, self.values

    @property
    def usable(self) -> NDArray[np.bool_]:
        """[n] whether a text has a vector."""
        return np.diff(self.offsets) > 0


def text_rows(table: TermTable) -> TextRows:
    """Build the rows of all texts."""
    rows = tfidf_rows(table.offsets, table.ids, table.document_frequency, KEPT_TERMS)
    return TextRows(*rows, len(table.terms))
