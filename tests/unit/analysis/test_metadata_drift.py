from __future__ import annotations

import numpy as np
from support.memory_runs import run_of

from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.metadata_drift import disagreements
from mistudio_worker.analysis.positives import gather
from mistudio_worker.analysis.statistics import compute_statistics
from mistudio_worker.domain.training_run import TrainingMetadata

JOB = "train_20260102_030405_0001"


def said(metadata: TrainingMetadata) -> tuple[str, ...]:
    """Disagreements of a run of 4 texts: rates 0.5 and 0.25, means 1 and 0.5, maxima 3 and 2; the third invalid."""
    run = run_of(np.array([[1, 2, np.nan], [3, 0, 0], [0, 0, 0], [0, 0, 0]]))
    statistics = compute_statistics(*gather(run.features, (2,), Execution()))
    return disagreements(JOB, metadata, statistics, np.array([True, True, False]))


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


def test_counts_and_the_mean_rate_are_compared() -> None:
    """Two valid features fire, none is dead, their mean rate is 0.375; the invalid one may count either way."""
    for active, dead in ((2, 0), (3, 0), (2, 1)):
        metadata = TrainingMetadata(
            total_samples_processed=4, active_features_count=active, dead_features_count=dead,
            avg_activation_frequency=0.375 + 1 / 3,
        )  # fmt: skip
        assert said(metadata) == ()
    metadata = TrainingMetadata(
        total_samples_processed=1_234_567, active_features_count=0, dead_features_count=2, avg_activation_frequency=0.9
    )
    assert said(metadata) == (
        "total_samples_processed is 1,234,567 in metadata.json, 4 measured.",
        "active_features_count is 0 in metadata.json, 2 measured.",
        "dead_features_count is 2 in metadata.json, 0 measured.",
        "avg_activation_frequency is 0.9 in metadata.json, 0.375 measured.",
    )
    assert said(TrainingMetadata(avg_activation_frequency=float("nan"))) == (
        "avg_activation_frequency is nan in metadata.json, 0.375 measured.",
    )


def test_without_invalid_features_counts_are_exact() -> None:
    """One dead feature too many, and a mean rate off by more than rounding, are named."""
    statistics = compute_statistics(*gather(run_of(np.eye(4)).features, (), Execution()))
    valid = np.ones(4, dtype=np.bool_)
    right = TrainingMetadata(active_features_count=4, dead_features_count=0, avg_activation_frequency=0.25 + 1e-9)
    assert disagreements(JOB, right, statistics, valid) == ()
    wrong = TrainingMetadata(active_features_count=3, dead_features_count=1, avg_activation_frequency=0.251)
    assert len(disagreements(JOB, wrong, statistics, valid)) == 3
    assert disagreements(JOB, wrong, statistics, ~valid) == ()


def test_the_metadata_of_another_run() -> None:
    """A file that names another job is said to, since model and time may be those of another run; no name is none."""
    assert said(TrainingMetadata(job_id=JOB)) == said(TrainingMetadata()) == ()
    assert said(TrainingMetadata(job_id="train_other")) == (
        f"job_id is 'train_other' in metadata.json, the run is '{JOB}'.",
    )
