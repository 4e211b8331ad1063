"""Near-duplicates among the top texts: they fake coherence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.kernels.distinct_terms import near_duplicates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.terms import TermTable
    from mistudio_worker.analysis.top_examples import TopExamples

JACCARD_FIFTHS = 4
"""Texts are near-duplicates from a Jaccard similarity of 4/5 of their distinct terms."""


def near_duplicate_shares(table: TermTable, top: TopExamples) -> NDArray[np.float64]:
    """Share of top texts whose terms nearly equal those of a better-ranked one.

    Jaccard J(A, B) = |A and B| / |A or B| over distinct terms, counted in whole numbers; near from
    0.8. Two texts without terms are alike.

    Returns:
        [F] float64, 0 to (k - 1) / k, lower is better; NaN below 2 top texts, where it is not defined.
    """
    sizes = np.diff(top.offsets)
    counts = near_duplicates(top.offsets, top.texts, table.offsets, table.ids, JACCARD_FIFTHS)
    shares: NDArray[np.float64] = np.where(sizes >= 2, counts / np.maximum(sizes, 1), np.nan)
    return shares
