"""What was measured of all features, column by column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mistudio_worker.analysis.coherence_table import CoherenceTable
    from mistudio_worker.analysis.complexity import FeatureComplexity
    from mistudio_worker.analysis.dictionary import Dictionary
    from mistudio_worker.analysis.diversity import Likeness
    from mistudio_worker.analysis.duplicates import DuplicateGroups
    from mistudio_worker.analysis.held_out import SeparabilityTable
    from mistudio_worker.analysis.keyword_predictiveness import KeywordChecks
    from mistudio_worker.analysis.labels import FeatureLabels
    from mistudio_worker.analysis.outliers import OutlierTable
    from mistudio_worker.analysis.positives import Positives
    from mistudio_worker.analysis.statistics import StatisticsTable
    from mistudio_worker.analysis.terms import TermTable
    from mistudio_worker.analysis.tiers import FlagTable
    from mistudio_worker.analysis.top_examples import TopExamples
    from mistudio_worker.analysis.unit_rows import UnitRows
    from mistudio_worker.domain.feature_report import KeywordStatistic


@dataclass(frozen=True, slots=True)
class Measures:
    """Everything measured, as columns over the features.

    Attributes:
        texts: [n] of the run.
        positives: texts that each feature fires on.
        terms: of the texts.
        rows: original activations; None without any.
        invalid: [F] features that were not analysed.
        statistics: of the activations.
        top: strongest texts.
        coherence: scores and what they are made of.
        keywords: one tuple a feature.
        contexts: the part of each top example that shows why the feature fires, in their order.
        predictiveness: of the words of half of the top texts for the other half.
        labels: one record a feature.
        complexity: one record a feature.
        duplicates: texts that nearly repeat each other.
        duplicate_shares: [F]; NaN below 2 top texts.
        likeness: None without original activations.
        separability: likewise.
        outliers: one row a top example.
        flags: figures of the flags.
        dictionary: of the features together.
    """

    texts: Sequence[str]
    positives: Positives
    terms: TermTable
    rows: UnitRows | None
    invalid: NDArray[np.bool_]
    statistics: StatisticsTable
    top: TopExamples
    coherence: CoherenceTable
    keywords: Sequence[tuple[KeywordStatistic, ...]]
    contexts: Sequence[str]
    predictiveness: KeywordChecks
    labels: Sequence[FeatureLabels]
    complexity: Sequence[FeatureComplexity]
    duplicates: DuplicateGroups
    duplicate_shares: NDArray[np.float64]
    likeness: Likeness | None
    separability: SeparabilityTable | None
    outliers: OutlierTable
    flags: FlagTable
    dictionary: Dictionary
