"""Everything that is known about the coherence of all features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistudio_worker.analysis.coherence import SpaceCoherence, activation_coherence, text_coherence
from mistudio_worker.analysis.coherence_score import Scores, coherence_score
from mistudio_worker.analysis.corpus_pairs import activation_pairs, text_pairs
from mistudio_worker.analysis.statistics import number_or_none
from mistudio_worker.analysis.text_rows import text_rows
from mistudio_worker.analysis.unity import Unity, unity_in_activations, unity_in_texts
from mistudio_worker.analysis.weights import draw_texts, weigh
from mistudio_worker.domain.feature_report import Coherence

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mistudio_worker.analysis.duplicates import DuplicateGroups
    from mistudio_worker.analysis.execution import Execution
    from mistudio_worker.analysis.positives import Positives
    from mistudio_worker.analysis.statistics import StatisticsTable
    from mistudio_worker.analysis.terms import TermTable
    from mistudio_worker.analysis.unit_rows import UnitRows


@dataclass(frozen=True, slots=True)
class CoherenceTable:
    """Columns over the features.

    Attributes:
        distinct_texts: [F] positives that do not nearly repeat each other.
        scores: coherence_score and its interval.
        activation: MonoSemanticity over the original activations; None without them.
        text: the same over the words.
        activation_unity: whether the texts have one thing in common, over the original activations; None without.
        text_unity: the same over the words.
    """

    distinct_texts: NDArray[np.int64]
    scores: Scores
    activation: SpaceCoherence | None
    text: SpaceCoherence
    activation_unity: Unity | None
    text_unity: Unity


@dataclass(frozen=True, slots=True)
class CorpusTexts:
    """What the texts are known by.

    Attributes:
        texts: [n].
        terms: distinct terms of each.
        duplicates: which ones nearly repeat each other.
        distinct: one of each group of these, in an order by what they say alone (`distinct_texts`).
        rows: their original activations; None without.
    """

    texts: Sequence[str]
    terms: TermTable
    duplicates: DuplicateGroups
    distinct: NDArray[np.int64]
    rows: UnitRows | None


def measure_coherence(
    corpus: CorpusTexts,
    positives: Positives,
    statistics: StatisticsTable,
    length: NDArray[np.float64],
    execution: Execution,
) -> CoherenceTable:
    """Measure both spaces, and score what they say together.

    Args:
        corpus: the texts.
        positives: where the features fire.
        statistics: of the features.
        length: [F] figure of the flag `length_driven`; NaN where it is not raised.
        execution: threads, device and budget.
    """
    weights = weigh(positives, statistics, corpus.duplicates, execution)
    words, rows = text_rows(corpus.terms), corpus.rows
    usable = words.usable if rows is None or not rows.usable.any() else rows.usable
    draws = draw_texts(weights, usable, execution)
    pairs = text_pairs(words, corpus.distinct)
    text = text_coherence(weights, words, pairs, execution)
    text_unity = unity_in_texts(draws, words, pairs, execution)
    activation, activation_unity = None, None
    if rows is not None:
        pairs = activation_pairs(rows, corpus.distinct, execution)
        activation = activation_coherence(weights, rows, pairs, execution)
        activation_unity = unity_in_activations(draws, rows, pairs, execution)
    scores = coherence_score(activation_unity, text_unity, length)
    return CoherenceTable(weights.distinct, scores, activation, text, activation_unity, text_unity)


def coherence_record(table: CoherenceTable, feature: int) -> Coherence:
    """Return one feature's coherence as published."""
    activation, activation_unity = table.activation, table.activation_unity
    return Coherence(
        activation_space=None if activation is None else number_or_none(activation.score[feature]),
        activation_baseline=None if activation is None else number_or_none(activation.baseline),
        text_space=number_or_none(table.text.score[feature]),
        text_baseline=number_or_none(table.text.baseline),
        activation_percentile=None if activation is None else number_or_none(activation.percentile[feature]),
        text_percentile=number_or_none(table.text.percentile[feature]),
        activation_unity=None if activation_unity is None else number_or_none(activation_unity.value[feature]),
        text_unity=number_or_none(table.text_unity.value[feature]),
        score_low=number_or_none(table.scores.low[feature]),
        score_high=number_or_none(table.scores.high[feature]),
    )
