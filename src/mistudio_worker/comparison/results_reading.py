"""`_complete_results.json` -> RunFigures: no more of it than a comparison needs, so that older results are read too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from mistudio_worker.contracts.feature import Count, Share, Tier
from mistudio_worker.contracts.wire import FindJobId, JobId, WireModel
from mistudio_worker.domain.comparison import ComparedRun, FeatureFigures, RunFigures
from mistudio_worker.domain.training_run import Gap
from mistudio_worker.errors import RefusedInput

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_SHOWN = 200


class _TopText(WireModel):
    text: str
    activation_strength: Annotated[float, Field(gt=0)]


class _Feature(WireModel):
    feature_id: Count
    coherence_score: Share
    quality_tier: Tier
    pattern_category: str
    pattern_keywords: tuple[str, ...]
    top_activations: tuple[_TopText, ...]


class _Parameters(WireModel):
    top_k: int


class _Versions(WireModel):
    analysis: str
    taxonomy_sha256: Annotated[str, StringConstraints(min_length=1)]


class _Job(WireModel):
    parameters: _Parameters
    versions: _Versions


class _Corpus(WireModel):
    texts: Count


class _Gap(WireModel):
    code: str
    message: str


class _Results(WireModel):
    find_job_id: FindJobId
    source_job_id: JobId
    status: Literal["completed", "partial"]
    job_metadata: _Job
    corpus: _Corpus
    features: Annotated[tuple[_Feature, ...], Field(min_length=1)]
    gaps: tuple[_Gap, ...] = ()


def read_results(content: bytes, name: str) -> RunFigures:
    """Read what a comparison needs of complete results.

    Args:
        content: of the file.
        name: of the file, for messages.

    Raises:
        RefusedInput: `RESULTS_INVALID`, naming the first field that does not fit.
    """
    try:
        results = _Results.model_validate_json(content)
    except ValidationError as error:
        raise RefusedInput(
            "RESULTS_INVALID",
            f"{name} holds no complete results: {_first(error.errors(include_url=False, include_input=False)[0])}",
            "name a _complete_results.json that analyze or fetch wrote",
        ) from None
    return RunFigures(
        run=ComparedRun(
            find_job_id=results.find_job_id,
            source_job_id=results.source_job_id,
            status=results.status,
            features=len(results.features),
            texts=results.corpus.texts,
            top_k=results.job_metadata.parameters.top_k,
            analysis=results.job_metadata.versions.analysis,
            taxonomy_sha256=results.job_metadata.versions.taxonomy_sha256,
        ),
        features=tuple(_figures(feature) for feature in results.features),
        gaps=tuple(Gap(gap.code, gap.message) for gap in results.gaps),
    )


def _figures(feature: _Feature) -> FeatureFigures:
    return FeatureFigures(
        feature_id=feature.feature_id,
        coherence_score=feature.coherence_score,
        quality_tier=feature.quality_tier,
        pattern_category=feature.pattern_category,
        pattern_keywords=feature.pattern_keywords,
        top_texts=tuple((top.text, top.activation_strength) for top in feature.top_activations),
    )


def _first(error: ErrorDetails) -> str:
    place = ".".join(str(part) for part in error["loc"])
    return f"{place}: {error['msg']}" if place else error["msg"][:_SHOWN]
