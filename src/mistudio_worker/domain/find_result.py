"""The whole outcome of an analysis: what every export is written from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mistudio_worker.domain.explainer_bundle import Explainer
from mistudio_worker.domain.feature_report import JUDGED_TIERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mistudio_worker.domain.feature_report import FeatureReport
    from mistudio_worker.domain.identity import JobIdentity
    from mistudio_worker.domain.parameters import Parameters
    from mistudio_worker.domain.training_run import Gap, TrainingMetadata

ResultStatus = Literal["completed", "partial"]


@dataclass(frozen=True, slots=True)
class SaeQuality:
    """How well the autoencoder does on this run.

    Attributes:
        explained_variance: 1 - sum |e - SAE(e)|^2 / sum |e - mean e|^2 over the usable texts, at most 1.
        mean_l0: mean number of features that fire on a text.
        dead_share: share of the features that never fire, 0 to 1.
        dense_share: share of the features that fire on at least half of the texts, 0 to 1.
    """

    explained_variance: float | None
    mean_l0: float
    dead_share: float
    dense_share: float


@dataclass(frozen=True, slots=True)
class SharedTopTexts:
    """Two features whose top texts are largely the same.

    Attributes:
        feature_ids: the two, ascending.
        shared: number of top texts of both.
        share: shared / the smaller number of top texts, 0 to 1.
    """

    feature_ids: tuple[int, ...]
    shared: int
    share: float


@dataclass(frozen=True, slots=True)
class DirectionPair:
    """Two features by the cosine of their decoder directions, -1 to 1."""

    feature_ids: tuple[int, ...]
    cosine: float


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
        near_duplicate_texts: texts that nearly repeat an earlier one of the run.
        priority_share: share of the judged features that reach the threshold; None where none is judged.
        priority_covered_texts: share of the texts on which some feature worth explaining fires.
        sae_quality: of the autoencoder on this run.
        shared_top_texts: up to 20 pairs that share at least half of their top texts, most first, ties by lower ids.
        duplicate_features: up to 20 pairs with nearly the same decoder direction, most alike first, ties by lower ids.
        antipodal_features: up to 20 pairs with nearly opposite decoder directions, most opposed first.
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
    near_duplicate_texts: int = 0
    priority_share: float | None = None
    priority_covered_texts: float = 0.0
    sae_quality: SaeQuality | None = None
    shared_top_texts: tuple[SharedTopTexts, ...] = ()
    duplicate_features: tuple[DirectionPair, ...] = ()
    antipodal_features: tuple[DirectionPair, ...] = ()
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
        explainer: one bundle a feature worth explaining, with the texts that they show.
    """

    identity: JobIdentity
    parameters: Parameters
    versions: Versions
    metadata: TrainingMetadata
    features: tuple[FeatureReport, ...]
    corpus: Corpus
    gaps: tuple[Gap, ...] = field(default=())
    explainer: Explainer = field(default=Explainer())

    @property
    def status(self) -> ResultStatus:
        """`partial` where anything was missing from the input."""
        return "partial" if self.gaps else "completed"

    @property
    def priority_features(self) -> list[FeatureReport]:
        """Features worth explaining, see `priority_features`."""
        return priority_features(self.features, self.parameters.coherence_threshold)


def priority_features(features: Sequence[FeatureReport], threshold: float) -> list[FeatureReport]:
    """Return the features whose coherence is defined and reaches the threshold, by priority, ties by lower id."""
    over = [f for f in features if f.coherence_score >= threshold and f.quality_tier in JUDGED_TIERS]
    return sorted(over, key=lambda f: (-f.priority_score, f.feature_id))
