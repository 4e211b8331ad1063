"""Coherence of a small matrix, without the rest of an analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from support.memory_runs import blocks

from mistudio_worker.analysis.coherence_table import CoherenceTable, CorpusTexts, measure_coherence
from mistudio_worker.analysis.content_order import distinct_texts
from mistudio_worker.analysis.duplicates import DuplicateGroups, group_duplicates
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.positives import gather
from mistudio_worker.analysis.statistics import compute_statistics
from mistudio_worker.analysis.terms import build_term_table
from mistudio_worker.analysis.unit_rows import unit_rows
from mistudio_worker.analysis.weights import weigh

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from mistudio_worker.analysis.weights import Weights

THREADS = Execution(threads=2)


def alone(rows: int) -> DuplicateGroups:
    """No text repeats another."""
    return DuplicateGroups(np.arange(rows))


def weights_of(cells: ArrayLike, groups: DuplicateGroups | None = None) -> Weights:
    """Weights of a matrix; without near-duplicates by default."""
    found, moments = gather(blocks(cells), (), THREADS)
    return weigh(found, compute_statistics(found, moments), groups or alone(found.rows), THREADS)


def in_both(
    cells: ArrayLike,
    texts: Sequence[str],
    originals: ArrayLike | None,
    *,
    length: ArrayLike | None = None,
    execution: Execution = THREADS,
) -> CoherenceTable:
    """Everything about coherence, with the near-duplicates that are there."""
    terms = build_term_table(texts)
    rows = None if originals is None else unit_rows(blocks(originals), (), execution)
    found, moments = gather(blocks(cells), (), execution)
    features = found.counts.size
    figures = np.full(features, np.nan) if length is None else np.asarray(length, dtype=np.float64)
    groups = group_duplicates(texts, terms)
    corpus = CorpusTexts(texts, terms, groups, distinct_texts(texts, groups), rows)
    return measure_coherence(corpus, found, compute_statistics(found, moments), figures, execution)
