"""Likeness of two features by their top texts, where nothing but the results is at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.comparison.kernels import add_minima
from mistudio_worker.comparison.overlap import Columns
from mistudio_worker.comparison.similarities import MIN_COMMON, ROW_TILE, Similarities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mistudio_worker.domain.comparison import FeatureFigures, RunFigures


def top_text_similarities(a: RunFigures, b: RunFigures) -> Similarities:
    """Return weighted Jaccard similarities of the top texts, 0 to 1.

    J = sum_t min(u_t, v_t) / sum_t max(u_t, v_t), u_t = activation / strongest activation of the feature, so that the
    scale of a run does not count. The sums go over the common texts: those that stand among the top texts of any
    feature of A and of any feature of B, since of the others nobody knows whether the other run saw them. A text that a
    feature has twice counts once. Comparable is a feature with at least 5 of the common texts.
    """
    common = _common(a.features, b.features)
    columns_a, columns_b = _columns(a.features, common), _columns(b.features, common)
    sums_a, sums_b = columns_a.sums()[:, 0], columns_b.sums()[:, 0]
    entries_a, texts_b = columns_a.entries, columns_b.by_text()

    def tile(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        minima = np.zeros((rows.size, columns_b.features))
        add_minima(rows, entries_a, texts_b, minima)
        maxima = sums_a[rows, None] + sums_b - minima
        jaccard: NDArray[np.float64] = np.divide(minima, maxima, out=minima, where=maxima > 0)
        return jaccard

    return Similarities(
        method="top_texts",
        comparable_a=columns_a.counts >= MIN_COMMON,
        comparable_b=columns_b.counts >= MIN_COMMON,
        lack=f"fewer than {MIN_COMMON} of its top texts stand among the top texts of the other run",
        tile=tile,
        tile_bytes=8 * 3 * ROW_TILE * columns_b.features,
        common_texts=len(common),
    )


def _common(a: Sequence[FeatureFigures], b: Sequence[FeatureFigures]) -> dict[str, int]:
    """Number the texts that both sides know, in the order of A."""
    other = {text for feature in b for text, _ in feature.top_texts}
    known = dict.fromkeys(text for feature in a for text, _ in feature.top_texts if text in other)
    return {text: number for number, text in enumerate(known)}


def _columns(features: Sequence[FeatureFigures], common: Mapping[str, int]) -> Columns:
    columns = [_column(feature, common) for feature in features]
    offsets = np.cumsum([0, *(len(column) for column in columns)], dtype=np.int64)
    entries = [entry for column in columns for entry in sorted(column.items())]
    texts, weights = zip(*entries, strict=True) if entries else ((), ())
    return Columns(len(common), offsets, np.array(texts, dtype=np.int32), np.array(weights, dtype=np.float32))


def _column(feature: FeatureFigures, common: Mapping[str, int]) -> dict[int, float]:
    """Return common text -> its weight."""
    strongest = max((strength for _, strength in feature.top_texts), default=1.0)
    column: dict[int, float] = {}
    for text, strength in feature.top_texts:
        if text in common:
            column.setdefault(common[text], strength / strongest)
    return column
