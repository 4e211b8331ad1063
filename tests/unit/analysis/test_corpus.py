from __future__ import annotations

from dataclasses import replace

import numpy as np
from support.memory_runs import run_of

from mistudio_worker.analysis.corpus import disagreements, is_empty
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.positives import gather
from mistudio_worker.analysis.statistics import compute_statistics
from mistudio_worker.domain.training_run import TrainingMetadata


def said(metadata: TrainingMetadata) -> tuple[str, ...]:
    """Disagreements of a run of 4 texts: rates 0.5 and 0.25, means 1 and 0.5, maxima 3 and 2; the third invalid."""
    run = run_of(np.array([[1, 2, np.nan], [3, 0, 0], [0, 0, 0], [0, 0, 0]]))
    run = replace(run, metadata=metadata, invalid_features=(2,))
    return disagreements(run, compute_statistics(*gather(run.features, (2,), Execution())))


def test_agreement_says_nothing() -> None:
    """Rounding is no disagreement, nor is anything about an invalid feature."""
    metadata = TrainingMetadata(
        feature_activation_rates=(0.50000001, 0.25, 0.9),
        feature_mean_activations=(1.001, 0.5, float("nan")),
        feature_max_activations=(3.0, 2.0, 7.0),
    )
    assert said(metadata) == ()


def test_a_disagreement_names_the_worst_feature() -> None:
    """One sentence a list, with both figures; NaN disagrees."""
    metadata = TrainingMetadata(
        feature_activation_rates=(0.4, 0.9, 0.0), feature_mean_activations=(float("nan"), 0.5, 0.0)
    )
    rates, means = said(metadata)
    assert rates == (
        "feature_activation_rates differs from the tensor for 2 of 3 features, most for feature 1: "
        "0.9 in metadata.json, 0.25 measured."
    )
    assert means.startswith("feature_mean_activations differs from the tensor for 1 of 3 features")


def test_another_number_of_features_is_one_sentence() -> None:
    """Lists of another length are not compared."""
    assert said(TrainingMetadata(feature_max_activations=(1.0,))) == (
        "feature_max_activations has 1 entries, the tensor has 3 features.",
    )


def test_empty_means_nothing_visible() -> None:
    """Blanks and zero-width characters show nothing."""
    assert [is_empty(text) for text in ("", " \n\u200b", "．", "x")] == [True, True, False, False]
