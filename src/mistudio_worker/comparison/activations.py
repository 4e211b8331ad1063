"""Likeness of two features by how they fire on the texts that both runs hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.positives import gather
from mistudio_worker.comparison.kernels import add_products
from mistudio_worker.comparison.overlap import Columns, only_common
from mistudio_worker.comparison.similarities import MIN_COMMON, ROW_TILE, Similarities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.execution import Execution
    from mistudio_worker.comparison.common_texts import CommonTexts
    from mistudio_worker.domain.training_run import TrainingRun

MIN_COMMON_TEXTS = 50
"""Over m texts the correlation of two unrelated columns has a standard deviation of 1 / sqrt(m): at 50 a correlation
of 0.7 is five of them."""
_CONSTANT = 1e-12
_ENTRY_BYTES = 32


def activation_similarities(a: TrainingRun, b: TrainingRun, common: CommonTexts, execution: Execution) -> Similarities:
    """Return Pearson correlations of the activations over the common texts, zeros included, in float64.

    r = (sum a b - m mean_a mean_b) / (sqrt(sum a^2 - m mean_a^2) sqrt(sum b^2 - m mean_b^2)), exact, from the texts
    where both fire: the cost is the sum over texts of (features of A that fire) x (features of B that fire).
    Comparable is a feature that fires on at least 5 of the common texts and not on all of them alike. Source: features
    of two models matched by correlation, Bricken et al. 2023, "Towards Monosemanticity".

    Raises:
        RefusedInput: `MEMORY_BUDGET_EXCEEDED`.
    """
    columns_a, columns_b = (
        _columns(run, places, common.count, execution) for run, places in ((a, common.places_a), (b, common.places_b))
    )
    means_a, norms_a = _moments(columns_a)
    means_b, norms_b = _moments(columns_b)
    entries_a, texts_b = columns_a.entries, columns_b.by_text()
    scale_a, scale_b = (np.where(norms > 0, norms, 1.0) for norms in (norms_a, norms_b))

    def tile(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        products = np.zeros((rows.size, columns_b.features))
        add_products(rows, entries_a, texts_b, products)
        products -= common.count * means_a[rows, None] * means_b
        products /= scale_a[rows, None]
        products /= scale_b
        return products

    return Similarities(
        method="activation",
        comparable_a=norms_a > 0,
        comparable_b=norms_b > 0,
        lack=f"fires on fewer than {MIN_COMMON} of the common texts, or on all of them alike",
        tile=tile,
        tile_bytes=8 * 3 * ROW_TILE * columns_b.features,
        common_texts=common.count,
    )


def _columns(run: TrainingRun, places: NDArray[np.int32], rows: int, execution: Execution) -> Columns:
    positives, _ = gather(run.features, run.invalid_features, execution)
    execution.require(_ENTRY_BYTES * positives.values.size, f"matching by {positives.values.size:,} activations")
    return only_common(positives.offsets, positives.texts, positives.values, places, rows)


def _moments(columns: Columns) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return means [F] and norms about them [F]; a norm of 0 for a feature that is not comparable."""
    sums, squares = columns.sums().T
    means = sums / columns.rows
    centred = squares - columns.rows * means * means
    comparable = (columns.counts >= MIN_COMMON) & (centred > _CONSTANT * squares)
    return means, np.sqrt(np.where(comparable, centred, 0.0))
