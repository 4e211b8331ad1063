"""What was measured of all features, column by column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mistudio_worker.analysis.coherence_table import CoherenceTable
    from mistudio_worker.analysis.dictionary import Dictionary
    from mistudio_worker.analysis.diversity import Likeness
    from mistudio_worker.analysis.held_out import SeparabilityTable
    from mistudio_worker.analysis.outliers import OutlierTable
    from mistudio_worker.analysis.positives import Positives
    from mistudio_worker.analysis.statistics import StatisticsTable
    from mistudio_worker.analysis.tiers import FlagTable
    from mistudio_worker.analysis.top_examples import TopExamples
    from mistudio_worker.analysis.unit_rows import UnitRows
    from mistudio_worker.analysis.word_measures import WordMeasures


@dataclass(frozen=True, slots=True)
class Measures:
    """Everything measured, as columns over the features.

    Attributes:
        texts: [n] of the run.
        positives: texts that each feature fires on.
        rows: original activations; None without any.
        invalid: [F] features that were not analysed.
        statistics: of the activations.
        top: strongest texts.
        coherence: scores and what they are made of.
        words: what was measured on the texts.
        likeness: None without original activations.
        separability: likewise.
        outliers: one row a top example.
        flags: figures of the flags.
        dictionary: of the features together.
    """

    texts: Sequence[str]
    positives: Positives
    words: WordMeasures
    rows: UnitRows | None
    invalid: NDArray[np.bool_]
    statistics: StatisticsTable
    top: TopExamples
    coherence: CoherenceTable
    likeness: Likeness | None
    separability: SeparabilityTable | None
    outliers: OutlierTable
    flags: FlagTable
    dictionary: Dictionary
