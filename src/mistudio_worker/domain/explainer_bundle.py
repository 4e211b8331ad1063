"""What an explainer of a feature should read, and what its explanation should be tested on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mistudio_worker.domain.feature_report import Coherence, HeldOut, KeywordStatistic, LabelEvidence


@dataclass(frozen=True, slots=True)
class BundleExample:
    """A text to show or to test on; the text itself stands once in `Explainer.texts`.

    Attributes:
        text_index: row of the text in the run.
        activation_strength: 0 for a text that did not fire.
        quantile: share of the feature's positives with a lower or equal activation, 0 to 1; 0 for a text that
            did not fire.
    """

    text_index: int
    activation_strength: float
    quantile: float


@dataclass(frozen=True, slots=True)
class ExplainerBundle:
    """One feature worth explaining: no text stands in two of the lists, near-duplicates are left out.

    Top texts alone mislead (Bolukbasi et al. 2021, arXiv 2104.07143), so weaker texts and texts that nearly fired
    stand beside them, and what is tested on is kept apart from what is shown.

    Attributes:
        feature_id: the feature.
        priority_score: of the report.
        coherence_score: of the report.
        pattern_category: of the report.
        top: 10 of the 15 strongest texts, best first.
        quantiles: 10 of 15 texts spread evenly over the ranks of the rest, strongest first.
        hard_negatives: 10 of the 15 silent texts that are most like `top`, most alike first.
        test_active: the middle one of each three of the strongest and of the spread texts, strongest first.
        test_silent: the middle one of each three of the most alike silent texts and ordinary ones, up to 10, in the
            order of their rows.
        duplicates_left_out: positives that nearly repeat a stronger one, and so stand in no list.
        coherence: evidence for the score, as in the report.
        held_out: as in the report.
        keyword_statistics: as in the report.
        label_evidence: as in the report.
    """

    feature_id: int
    priority_score: float
    coherence_score: float
    pattern_category: str
    top: tuple[BundleExample, ...]
    quantiles: tuple[BundleExample, ...]
    hard_negatives: tuple[BundleExample, ...]
    test_active: tuple[BundleExample, ...]
    test_silent: tuple[BundleExample, ...]
    duplicates_left_out: int
    coherence: Coherence
    held_out: HeldOut
    keyword_statistics: tuple[KeywordStatistic, ...]
    label_evidence: tuple[LabelEvidence, ...]


@dataclass(frozen=True, slots=True)
class Explainer:
    """The bundles of all features worth explaining, and their texts.

    Attributes:
        bundles: in the order of `FindResult.priority_features`.
        texts: text_index, as a decimal string -> the whole text, for every example of every bundle, ascending.
    """

    bundles: tuple[ExplainerBundle, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
