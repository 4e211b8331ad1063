"""The explainer's part of the published results."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mistudio_worker.contracts.feature import (
    CoherenceV1,
    Count,
    HeldOutV1,
    KeywordStatisticV1,
    LabelEvidenceV1,
    NotNegative,
    Share,
)
from mistudio_worker.contracts.wire import WireModel

TextKey = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]*)$")]


class BundleExampleV1(WireModel):
    """A text to show or to test on."""

    text_index: Count = Field(description="row of the text in the run, key of explainer.texts")
    activation_strength: NotNegative = Field(description="0 for a text that did not fire")
    quantile: Share = Field(description="share of the positives with a lower or equal activation")


class ExplainerBundleV1(WireModel):
    """One feature worth explaining; no text stands in two of the lists, near-duplicates are left out."""

    feature_id: Count
    priority_score: Share
    coherence_score: Share
    pattern_category: str
    top: list[BundleExampleV1] = Field(description="10 of the 15 strongest texts, best first")
    quantiles: list[BundleExampleV1] = Field(
        description="10 of 15 spread over the rest of the positives, strongest first"
    )
    hard_negatives: list[BundleExampleV1] = Field(
        description="10 of the 15 most like the top texts, but silent, most alike first"
    )
    test_active: list[BundleExampleV1] = Field(
        description="the others of the 15 and 15: fire; to test an explanation on"
    )
    test_silent: list[BundleExampleV1] = Field(description="do not fire, 5 of 10 alike; to test an explanation on")
    duplicates_left_out: Count = Field(description="positives that nearly repeat a stronger one")
    coherence: CoherenceV1
    held_out: HeldOutV1
    keyword_statistics: list[KeywordStatisticV1]
    label_evidence: list[LabelEvidenceV1]


class ExplainerV1(WireModel):
    """The bundles of all features worth explaining, and their texts."""

    bundles: list[ExplainerBundleV1] = Field(description="by priority_score, best first")
    texts: dict[TextKey, str] = Field(description="text_index -> the whole text, of every example")
