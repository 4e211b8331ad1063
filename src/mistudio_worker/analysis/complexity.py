"""How involved the top texts of a feature are: four parts of 0 to 1 and their weighted sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.kernels.distinct_terms import distinct_terms
from mistudio_worker.domain.feature_report import Complexity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.label_hits import LabelHits
    from mistudio_worker.analysis.terms import TermTable
    from mistudio_worker.analysis.top_examples import TopExamples

HALF_LENGTH_WORDS = 100
"""Mean number of words at which the part `length` is 0.5."""
WEIGHTS = {"length": 0.3, "vocabulary": 0.3, "mixing": 0.2, "technical": 0.2}
NO_TOP_TEXTS = "no top texts"
NO_WORDS = "the top texts hold no words"


@dataclass(frozen=True, slots=True)
class FeatureComplexity:
    """The parts and the score of one feature.

    Attributes:
        score: 0 to 1, higher is more involved; None where not defined.
        parts: None where not defined.
        reason: why it is not defined, else None.
    """

    score: float | None
    parts: Complexity | None
    reason: str | None


def score_complexity(table: TermTable, hits: LabelHits, top: TopExamples) -> list[FeatureComplexity]:
    """Parts and score of all features.

    length = m / (m + 100) with m the mean number of words of a top text;
    vocabulary = distinct terms of all top texts / their words, at most 1;
    mixing = entropy of the shares of the categories among all matches / ln(categories), 0 where at
    most one category matches;
    technical = share of top texts that match the category `technical`, 0 in a taxonomy without it;
    score = 0.3 length + 0.3 vocabulary + 0.2 mixing + 0.2 technical.

    Returns:
        One record a feature; without top texts, or where they hold no words, None with the reason.
    """
    sizes = np.diff(top.offsets)
    rows = np.repeat(np.arange(sizes.size), sizes)
    words = np.bincount(rows, weights=table.lengths[top.texts], minlength=sizes.size)
    distinct = distinct_terms(top.offsets, top.texts, table.offsets, table.ids, len(table.terms))
    mean = words / np.maximum(sizes, 1)
    length = mean / (mean + HALF_LENGTH_WORDS)
    vocabulary = np.minimum(distinct / np.maximum(words, 1.0), 1.0)
    mixing, technical = _categories(hits, top, rows)
    score = sum(
        WEIGHTS[name] * part
        for name, part in (
            ("length", length),
            ("vocabulary", vocabulary),
            ("mixing", mixing),
            ("technical", technical),
        )
    )
    columns = np.column_stack([score, length, vocabulary, mixing, technical]).tolist()
    return [_record(*values) for values in zip(columns, sizes.tolist(), words.tolist(), strict=True)]


def _record(columns: list[float], size: int, words: float) -> FeatureComplexity:
    if not size or not words:
        return FeatureComplexity(None, None, NO_WORDS if size else NO_TOP_TEXTS)
    score, *parts = columns
    return FeatureComplexity(score, Complexity(*parts), None)


def _categories(
    hits: LabelHits, top: TopExamples, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    features = top.offsets.size - 1
    names, matches = hits.categories()
    counts = np.zeros((features, len(names)))
    np.add.at(counts, rows, matches[top.texts].astype(np.float64))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    entropy = -(shares * np.log(np.where(shares > 0.0, shares, 1.0))).sum(axis=1)
    mixing = np.clip(entropy / np.log(max(len(names), 2)), 0.0, 1.0)
    sizes = np.maximum(np.diff(top.offsets), 1)
    technical = counts[:, names.index("technical")] / sizes if "technical" in names else np.zeros(features)
    return mixing, technical
