"""The whole outcome of an analysis: what every export is written from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mistudio_worker.domain.feature_report import JUDGED_TIERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mistudio_worker.domain.feature_report import FeatureReport
    from mistudio_worker.domain.identity import JobIdentity
    from mistudio_worker.domain.parameters import Parameters
    from mistudio_worker.domain.training_run import Gap, TrainingMetadata

ResultStatus = Literal["completed", "partial"]


@dataclass(frozen=True, slots=True)
class Corpus:
    """The run as a whole.

    Attributes:
        texts: n.
        features: F.
        activation_dim: d; None without original activations and autoencoder.
        replaced_surrogates: code points replaced by U+FFFD when the texts were read.
        empty_texts: texts without any visible character.
        tiers: quality tier -> number of features, every tier named.
        categories: category -> number of features, descending.
        mean_density: mean share of texts that a feature fires on.
        mean_l0: mean number of features that fire on a text.
        histogram_edges: edges of the histograms of positives; a bin counts edges[i] <= a < edges[i + 1],
            the first bin also what lies below it, the last also what lies above it.
        covered_texts: share of the texts that are a top text of some feature.
        metadata_disagreements: what metadata.json says otherwise than the tensors, one sentence each.
    """

    texts: int
    features: int
    activation_dim: int | None
    replaced_surrogates: int
    empty_texts: int
    tiers: Mapping[str, int]
    categories: Mapping[str, int]
    mean_density: float
    mean_l0: float
    histogram_edges: tuple[float, ...]
    covered_texts: float
    metadata_disagreements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Versions:
    """What made the numbers; a change of any of them may change bytes."""

    analysis: str
    taxonomy: str
    taxonomy_sha256: str


@dataclass(frozen=True, slots=True)
class FindResult:
    """Every figure of one job. A pure function of artifacts, parameters and versions.

    Attributes:
        identity: names of the job.
        parameters: as used.
        versions: of formulas and taxonomy.
        metadata: what the trainer said about the run.
        features: one report a feature, ids 0 to F-1 in order.
        corpus: the run as a whole.
        gaps: what was missing from the input; status is `partial` where there are any.
    """

    identity: JobIdentity
    parameters: Parameters
    versions: Versions
    metadata: TrainingMetadata
    features: tuple[FeatureReport, ...]
    corpus: Corpus
    gaps: tuple[Gap, ...] = field(default=())

    @property
    def status(self) -> ResultStatus:
        """`partial` where anything was missing from the input."""
        return "partial" if self.gaps else "completed"

    @property
    def priority_features(self) -> list[FeatureReport]:
        """Features worth explaining: over the threshold, best first, ties by lower id."""
        over = [
            f
            for f in self.features
            if f.coherence_score >= self.parameters.coherence_threshold and f.quality_tier in JUDGED_TIERS
        ]
        return sorted(over, key=lambda f: (-f.coherence_score, f.feature_id))
