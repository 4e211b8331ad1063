from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from support.memory_runs import blocks, random_sae, run_of

from mistudio_worker.analysis import sae_quality as module
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.positives import gather
from mistudio_worker.analysis.ranking import rank_texts
from mistudio_worker.analysis.sae_quality import Reconstruction, reconstruct, reconstruction_errors, sae_quality
from mistudio_worker.analysis.statistics import compute_statistics
from mistudio_worker.analysis.unit_rows import unit_rows
from mistudio_worker.domain.training_run import SaeWeights

if TYPE_CHECKING:
    from mistudio_worker.domain.training_run import TrainingRun


def reconstructed(run: TrainingRun, execution: Execution | None = None) -> Reconstruction:
    """Decode a run that has originals and weights."""
    assert run.originals is not None
    assert run.sae is not None
    rows = unit_rows(run.originals, run.invalid_texts, Execution())
    return reconstruct(run, run.sae, rows, execution or Execution())


def run_with(cells: object, originals: object, weight: object, bias: object) -> TrainingRun:
    """Make a run of a decoder weight [d, F] and bias [d]."""
    decoder, offset = (torch.tensor(np.asarray(part), dtype=torch.float32) for part in (weight, bias))
    sae = SaeWeights(decoder.T.contiguous(), torch.zeros(decoder.shape[1]), decoder, offset)
    return replace(run_of(np.asarray(cells), originals=np.asarray(originals)), sae=sae)


def errors_of(run: TrainingRun, top_k: int = 2) -> list[float]:
    """Reconstruction error of every feature's top texts."""
    positives, _ = gather(run.features, run.invalid_features, Execution())
    return [float(error) for error in reconstruction_errors(reconstructed(run), rank_texts(positives, top_k))]


def explained(run: TrainingRun) -> float | None:
    """Explained variance, through the record."""
    statistics = compute_statistics(*gather(run.features, run.invalid_features, Execution()))
    return sae_quality(
        reconstructed(run), statistics, np.ones(run.features.shape[1], dtype=np.bool_)
    ).explained_variance


@pytest.mark.parametrize("dense_from", [0.0, 2.0])
def test_errors_are_those_of_the_definition(monkeypatch: pytest.MonkeyPatch, dense_from: float) -> None:
    """Cut into small tiles, over several threads, dense or not: |e - h W^T - b|^2 and |e - mean|^2 of every text."""
    monkeypatch.setattr(module, "DENSE_FROM", dense_from)
    for name, size in (("ROW_TILE", 7), ("COLUMN_TILE", 5), ("FEATURE_TILE", 4)):
        monkeypatch.setattr(module, name, size)
    random = np.random.default_rng(5)
    cells, originals = np.maximum(random.normal(size=(40, 18)), 0), random.normal(size=(40, 12)) * 3 + 5
    run = replace(run_of(cells, originals=originals), sae=random_sae(18, 12))
    found = reconstructed(run, Execution(threads=2))
    assert run.sae is not None
    exact = originals.astype(np.float32).astype(np.float64)
    decoded = cells.astype(np.float32) @ run.sae.decoder_weight.numpy().T.astype(np.float64)
    expected = np.square(exact - decoded - run.sae.decoder_bias.numpy()).sum(axis=1)
    assert found.errors == pytest.approx(expected, rel=1e-5)
    assert found.distances == pytest.approx(np.square(exact - exact.mean(axis=0)).sum(axis=1))


def test_a_perfect_and_a_useless_autoencoder() -> None:
    """Explained variance: 1 where decode(h) = e, 0 where it is the mean, below 0 where it is worse."""
    cells = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    originals = cells @ np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]) + 0.5
    perfect = run_with(cells, originals, [[1, 0], [0, 1], [1, 0]], [0.5, 0.5, 0.5])
    useless = run_with(cells, originals, np.zeros((3, 2)), originals.mean(axis=0))
    worse = run_with(cells, originals, [[-1, 0], [0, -1], [-1, 0]], [0.5, 0.5, 0.5])
    assert explained(perfect) == pytest.approx(1.0)
    assert explained(useless) == pytest.approx(0.0, abs=1e-6)
    assert explained(worse) is not None
    assert (explained(worse) or 0.0) < -1.0
    assert errors_of(perfect) == pytest.approx([0.0, 0.0], abs=1e-12)
    assert errors_of(useless)[0] > 0.0


def test_the_error_of_a_feature_is_that_of_its_top_texts() -> None:
    """Two top texts, one reconstructed and one not, weighed by their distance from the mean; dead: not defined."""
    cells = np.array([[2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.0, 0.0]])
    run = run_with(cells, [[2.0], [5.0], [-7.0], [0.0]], [[1.0, 0.0, 0.0]], [0.0])
    assert errors_of(run) == pytest.approx([16 / 29, 1.0, np.nan], nan_ok=True)


def test_texts_and_cells_that_are_not_finite_take_no_part() -> None:
    """A text without originals counts nowhere; a NaN cell of an invalid feature counts as silent."""
    cells = np.array([[1.0, 5.0], [2.0, np.nan], [0.0, -4.0], [9.0, np.inf]])
    run = run_with(cells, [[1.0], [2.0], [0.0], [np.nan]], [[1.0, 0.2]], [0.0])
    found = reconstructed(replace(run, invalid_features=(1,), invalid_texts=(3,)))
    assert found.errors == pytest.approx([1.0, 0.0, 0.0, 0.0], abs=1e-9)
    assert found.distances == pytest.approx([0.0, 1.0, 1.0, 0.0])
    assert found.unexplained() == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("originals", "weight", "invalid"),
    [
        ([[3.0]], 1.0, ()),
        ([[3.1], [3.1]], 1.0, ()),
        ([[1e4], [1e4 + 1e-3]], 1.0, ()),
        ([[np.nan], [1.0]], 1.0, (0,)),
        ([[1.0], [2.0]], 3e38, ()),
    ],
)
def test_without_a_spread_or_a_number_nothing_is_explained(
    originals: list[list[float]], weight: float, invalid: tuple[int, ...]
) -> None:
    """One text, equal and nearly equal texts, a single usable one, and products beyond float32: not defined."""
    run = run_with(np.full((len(originals), 1), 9.0), originals, [[weight]], [0.0])
    run = replace(run, invalid_texts=invalid)
    assert explained(run) is None
    assert np.isnan(errors_of(run)).all()


def test_half_precision_is_read_as_it_is() -> None:
    """Stored activations of another type are decoded like any other."""
    run = run_with([[1.0], [2.0]], [[1.0], [2.0]], [[1.0]], [0.0])
    assert explained(replace(run, features=blocks([[1.0], [2.0]], torch.float16))) == pytest.approx(1.0)


def test_shares_are_over_the_valid_features() -> None:
    """Of three valid features one is dead and one dense; what was not analysed counts nowhere."""
    cells = np.array([[1, 0, 1, np.nan], [1, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1]], dtype=np.float32)
    statistics = compute_statistics(*gather(blocks(cells), (3,), Execution()))
    quality = sae_quality(None, statistics, np.array([True, True, True, False]))
    assert (quality.explained_variance, quality.mean_l0) == (None, 0.75)
    assert [quality.dead_share, quality.dense_share] == pytest.approx([1 / 3, 1 / 3])
    none = sae_quality(None, statistics, np.zeros(4, dtype=np.bool_))
    assert (none.dead_share, none.dense_share) == (0.0, 0.0)
