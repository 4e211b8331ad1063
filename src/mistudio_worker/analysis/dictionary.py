"""The features as a dictionary: how they lie to each other, fire together, and what they make of the texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistudio_worker.analysis.coactivation import find_coactive
from mistudio_worker.analysis.geometry import measure_geometry
from mistudio_worker.analysis.sae_quality import reconstruct, reconstruction_errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mistudio_worker.analysis.coactivation import CoactivationTable
    from mistudio_worker.analysis.execution import Execution
    from mistudio_worker.analysis.geometry import GeometryTable
    from mistudio_worker.analysis.positives import Positives
    from mistudio_worker.analysis.sae_quality import Reconstruction
    from mistudio_worker.analysis.statistics import StatisticsTable
    from mistudio_worker.analysis.top_examples import TopExamples
    from mistudio_worker.analysis.unit_rows import UnitRows
    from mistudio_worker.domain.training_run import TrainingRun


@dataclass(frozen=True, slots=True)
class Dictionary:
    """What was measured of the features together.

    Attributes:
        geometry: None without the autoencoder.
        coactivation: features that fire on the same texts.
        reconstruction: of all texts; None without autoencoder or original activations.
        reconstruction_errors: [F] of the top texts; NaN where not defined, None likewise.
    """

    geometry: GeometryTable | None
    coactivation: CoactivationTable
    reconstruction: Reconstruction | None
    reconstruction_errors: NDArray[np.float64] | None


def measure_dictionary(  # noqa: PLR0913 - the run, and what was measured of it before
    run: TrainingRun,
    *,
    positives: Positives,
    statistics: StatisticsTable,
    top: TopExamples,
    rows: UnitRows | None,
    execution: Execution,
) -> Dictionary:
    """Take the measures that compare features with each other, or need the autoencoder's weights."""
    found = None if run.sae is None or rows is None else reconstruct(run, run.sae, rows, execution)
    return Dictionary(
        geometry=None if run.sae is None else measure_geometry(run.sae, execution),
        coactivation=find_coactive(positives, statistics, execution),
        reconstruction=found,
        reconstruction_errors=None if found is None else reconstruction_errors(found, top),
    )
