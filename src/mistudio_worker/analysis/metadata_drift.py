"""Where the trainer's own statistics and ours disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mistudio_worker.analysis.statistics import StatisticsTable
    from mistudio_worker.domain.training_run import TrainingMetadata

RATE_TOLERANCE = 1e-4
RELATIVE_TOLERANCE = 5e-3
ABSOLUTE_TOLERANCE = 1e-6


def disagreements(
    training_job_id: str, metadata: TrainingMetadata, statistics: StatisticsTable, valid: NDArray[np.bool_]
) -> tuple[str, ...]:
    """Compare the job and all statistics of metadata.json with ours: at most one sentence for each.

    Another job id is no reason to refuse the run, since copies get other names, but model, layer and time may then
    be those of another run.

    Tolerances: 1e-4 for rates (share of texts with a > 0), 0.5 % for means and maxima, since the trainer may
    have measured before the activations were stored in half precision; none for counts. Invalid features are left
    out: a count may differ by as many, and the mean rate by their share. Sizes are no statistics: where
    text_count, total_features or a shape differ from the tensors, the run is refused before it gets here.
    """
    return (
        *_job(training_job_id, metadata),
        *_counts(metadata, statistics, valid),
        *_lists(metadata, statistics, valid),
    )


def _job(training_job_id: str, metadata: TrainingMetadata) -> Iterator[str]:
    if metadata.job_id not in (None, training_job_id):
        yield f"job_id is {metadata.job_id!r:.140} in metadata.json, the run is {training_job_id!r}."


def _counts(metadata: TrainingMetadata, statistics: StatisticsTable, valid: NDArray[np.bool_]) -> Iterator[str]:
    fires = (statistics.positives > 0)[valid]
    invalid = valid.size - fires.size
    rate = float(statistics.density[valid].mean()) if fires.size else 0.0
    compared: tuple[tuple[str, float | None, float, float], ...] = (
        ("total_samples_processed", metadata.total_samples_processed, statistics.rows, 0.0),
        ("active_features_count", metadata.active_features_count, int(fires.sum()), invalid),
        ("dead_features_count", metadata.dead_features_count, int((~fires).sum()), invalid),
        ("avg_activation_frequency", metadata.avg_activation_frequency, rate, RATE_TOLERANCE + invalid / valid.size),
    )
    for name, said, ours, tolerance in compared:
        if said is not None and not abs(said - ours) <= tolerance:  # a NaN disagrees
            yield f"{name} is {_figure(said)} in metadata.json, {_figure(ours)} measured."


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _lists(metadata: TrainingMetadata, statistics: StatisticsTable, valid: NDArray[np.bool_]) -> Iterator[str]:
    relative = (RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE)
    compared = (
        ("feature_activation_rates", metadata.feature_activation_rates, statistics.density, (0.0, RATE_TOLERANCE)),
        ("feature_mean_activations", metadata.feature_mean_activations, statistics.mean, relative),
        ("feature_max_activations", metadata.feature_max_activations, statistics.high, relative),
    )
    for name, said, ours, tolerances in compared:
        if said is None:
            continue
        if len(said) != ours.size:
            yield f"{name} has {len(said)} entries, the tensor has {ours.size} features."
        elif sentence := _worst(np.array(said, dtype=np.float64), ours, tolerances, valid):
            yield f"{name} {sentence}"


def _worst(
    said: NDArray[np.float64], ours: NDArray[np.float64], tolerances: tuple[float, float], valid: NDArray[np.bool_]
) -> str | None:
    """Describe how two lists differ by more than tolerances[0] * ours + tolerances[1], by the worst feature."""
    finite = np.isfinite(said)
    distance = np.where(finite, np.abs(np.where(finite, said, 0.0) - ours), np.inf)
    over = (distance > tolerances[0] * np.abs(ours) + tolerances[1]) & valid
    if not over.any():
        return None
    worst = int(np.argmax(np.where(over, distance, -1.0)))
    return (
        f"differs from the tensor for {int(over.sum())} of {ours.size} features, most for feature {worst}: "
        f"{said[worst]:.6g} in metadata.json, {ours[worst]:.6g} measured."
    )
