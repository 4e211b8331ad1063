"""What is measured on the texts alone, and on where the features fire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistudio_worker.analysis.candidate_words import candidate_words
from mistudio_worker.analysis.complexity import score_complexity
from mistudio_worker.analysis.contexts import context_windows
from mistudio_worker.analysis.duplicates import group_duplicates, group_top_texts, near_duplicate_shares
from mistudio_worker.analysis.keyword_predictiveness import check_predictiveness
from mistudio_worker.analysis.keywords import find_keywords
from mistudio_worker.analysis.label_hits import build_label_hits
from mistudio_worker.analysis.labels import judge_labels
from mistudio_worker.analysis.terms import build_term_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mistudio_worker.analysis.complexity import FeatureComplexity
    from mistudio_worker.analysis.duplicates import DuplicateGroups
    from mistudio_worker.analysis.execution import Execution
    from mistudio_worker.analysis.keyword_predictiveness import KeywordChecks
    from mistudio_worker.analysis.labels import FeatureLabels
    from mistudio_worker.analysis.positives import Positives
    from mistudio_worker.analysis.taxonomy import Taxonomy
    from mistudio_worker.analysis.terms import TermTable
    from mistudio_worker.analysis.top_examples import TopExamples
    from mistudio_worker.domain.feature_report import KeywordStatistic


@dataclass(frozen=True, slots=True)
class WordMeasures:
    """Columns over the features, and the table of words behind them.

    Attributes:
        terms: of the texts.
        duplicates: texts that nearly repeat each other.
        keywords: one tuple a feature.
        contexts: the part of each top example that shows why the feature fires, in their order.
        predictiveness: of the words of half of the top texts for the other half.
        labels: one record a feature.
        complexity: one record a feature.
        duplicate_shares: [F]; NaN below 2 top texts.
    """

    terms: TermTable
    duplicates: DuplicateGroups
    keywords: Sequence[tuple[KeywordStatistic, ...]]
    contexts: Sequence[str]
    predictiveness: KeywordChecks
    labels: Sequence[FeatureLabels]
    complexity: Sequence[FeatureComplexity]
    duplicate_shares: NDArray[np.float64]


def measure_words(  # noqa: PLR0913, PLR0917 - the texts, where features fire on them, how it is run
    texts: Sequence[str],
    taxonomy: Taxonomy,
    positives: Positives,
    top: TopExamples,
    execution: Execution,
    on_progress: Callable[[str, float], None],
) -> WordMeasures:
    """Tokenise every text once, and take all measures that read words."""
    on_progress("terms", 0.1)
    terms = build_term_table(texts)
    duplicates = group_duplicates(texts, terms)
    grouped, candidates = group_top_texts(duplicates, top), candidate_words(terms)
    keywords = find_keywords(terms, grouped, candidates, execution=execution)
    on_progress("categories", 0.3)
    hits = build_label_hits(texts, terms, taxonomy, execution)
    return WordMeasures(
        terms=terms,
        duplicates=duplicates,
        keywords=keywords,
        contexts=context_windows(texts, top, [[k.keyword for k in mine] for mine in keywords], execution),
        predictiveness=check_predictiveness(texts, terms, candidates, positives, grouped, execution),
        labels=judge_labels(hits, top),
        complexity=score_complexity(terms, hits, top),
        duplicate_shares=near_duplicate_shares(duplicates, top),
    )
