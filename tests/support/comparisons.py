"""Runs to compare: figures made by hand, and similarities given as a matrix."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.execution import Execution
from mistudio_worker.comparison.compare import compare
from mistudio_worker.comparison.similarities import Similarities
from mistudio_worker.domain.comparison import ComparedRun, Comparison, ComparisonOptions, FeatureFigures, RunFigures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from mistudio_worker.domain.feature_report import QualityTier


def tier_of(score: float) -> QualityTier:
    """The tier of a score that is defined."""
    return "excellent" if score >= 0.8 else "good" if score >= 0.6 else "fair" if score >= 0.4 else "poor"


def figures(
    feature_id: int,
    score: float = 0.5,
    tier: QualityTier | None = None,
    category: str = "technical",
    texts: Sequence[tuple[str, float]] = (),
) -> FeatureFigures:
    """One feature of some results; the tier follows from the score unless it is given."""
    words = (f"word{feature_id}", "=sum", '{"type"', "naïve", "15min", "sixth")
    return FeatureFigures(feature_id, score, tier or tier_of(score), category, words, tuple(texts))


def run_figures(features: Sequence[FeatureFigures], **changes: object) -> RunFigures:
    """Some results."""
    run = ComparedRun(
        find_job_id="find_20260102_030405_0123abcd",
        source_job_id="train_20260102_030405_0001",
        status="completed",
        features=len(features),
        texts=200,
        top_k=20,
        analysis="1.0",
        taxonomy_sha256="ab" * 32,
    )
    return RunFigures(replace(run, **changes), tuple(features))  # type: ignore[arg-type]


def given_similarities(
    matrix: ArrayLike, comparable_a: Sequence[bool] | None = None, comparable_b: Sequence[bool] | None = None
) -> Similarities:
    """Similarities as they stand in a matrix [F of A, F of B]."""
    values = np.array(matrix, dtype=np.float64)
    rows, columns = values.shape
    return Similarities(
        method="decoder",
        comparable_a=np.ones(rows, dtype=np.bool_) if comparable_a is None else np.array(comparable_a),
        comparable_b=np.ones(columns, dtype=np.bool_) if comparable_b is None else np.array(comparable_b),
        lack="nothing to match by",
        tile=lambda chosen: values[chosen],
        tile_bytes=8,
    )


def compared(
    a: RunFigures, b: RunFigures, similarities: Similarities, options: ComparisonOptions | None = None
) -> Comparison:
    """Compare on two threads."""
    return compare(
        a,
        b,
        similarities,
        options or ComparisonOptions(),
        execution=Execution(threads=2),
        on_progress=lambda _share: None,
    )


def small_comparison() -> Comparison:
    """Everything that can become of a feature: matched, changed, vanished, appeared, not compared."""
    a = run_figures(
        [
            figures(0, 0.85),
            figures(1, 0.62),
            figures(2, 0.45, category="factual"),
            figures(3, 0.3),
            figures(4, 0, "dead"),
        ]
    )
    b = run_figures(
        [figures(0, 0.63), figures(1, 0.84), figures(2, 0.41), figures(3, 0.0, "insufficient"), figures(4, 0, "dead")],
        source_job_id="train_20260103_030405_0002",
        find_job_id="find_20260103_030405_4567cdef",
        analysis="2.0",
    )
    matrix = np.full((5, 5), 0.1)
    matrix[0, 1], matrix[1, 0], matrix[2, 2], matrix[3, 1] = 0.99, 0.95, 0.75, 0.8
    return compared(a, b, given_similarities(matrix))
