"""How well the autoencoder does on this run: what its features make of the original activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mistudio_worker.analysis.execution import Execution, map_tiles, spans
from mistudio_worker.analysis.kernels.reconstruction import add_decoded, squared_distances
from mistudio_worker.analysis.tiers import DENSE_FROM as DENSE_FEATURE_FROM
from mistudio_worker.analysis.unit_rows import read_columns
from mistudio_worker.analysis.weighted_rows import DENSE_FROM
from mistudio_worker.domain.find_result import SaeQuality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mistudio_worker.analysis.statistics import StatisticsTable
    from mistudio_worker.analysis.top_examples import TopExamples
    from mistudio_worker.analysis.unit_rows import UnitRows
    from mistudio_worker.domain.training_run import ActivationBlocks, SaeWeights, TrainingRun

ROW_TILE = 512
COLUMN_TILE = 512
FEATURE_TILE = 4096
_TILE_BYTES = 4 * ROW_TILE * FEATURE_TILE + 16 * ROW_TILE * COLUMN_TILE
_ZERO_DISTANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """Squared distances of every text, in the units of the original activations.

    Attributes:
        errors: [n] float64, |e - decode(h)|^2, h the stored feature activations; 0 for a text that is not usable.
        distances: [n] float64, |e - mean e|^2; likewise.
        squares: [n] float64, |e|^2; likewise.
    """

    errors: NDArray[np.float64]
    distances: NDArray[np.float64]
    squares: NDArray[np.float64]

    def unexplained(self) -> float:
        """Return the fraction of variance unexplained, sum errors / sum distances; NaN where not defined.

        0 is perfect, 1 as bad as the mean. Not defined where the texts equal the mean up to 1e-6 of their
        length, and where a reconstruction exceeds float32.
        """
        return float(_ratio(*(np.asarray(column.sum()) for column in (self.errors, self.distances, self.squares))))


def reconstruct(run: TrainingRun, sae: SaeWeights, rows: UnitRows, execution: Execution) -> Reconstruction:
    """Decode the stored activations of every text and compare: decode(h) = h W_dec^T + b_dec.

    Tiles of 512 columns run over the texts, 512 at a time, and 4,096 features at a time: sums of one tile in
    float32, over tiles in float64; the cost grows with the cells of h that are not 0, times d. Cells of h that are
    no activations (NaN, infinite or negative, only in invalid features) count as 0. Texts with NaN or infinite
    originals take no part.

    Args:
        run: what is decoded.
        sae: its autoencoder.
        rows: its original activations, and their mean.
        execution: threads, device and budget.
    """
    count, width = rows.blocks.shape
    tiles = spans(count, ROW_TILE)
    dense = [execution.device != "cpu" or _is_dense(run.features, row) for row in tiles]

    def work(column: tuple[int, int]) -> NDArray[np.float64]:
        found = np.empty((2, count))
        centre = sae.decoder_bias[column[0] : column[1]].double().numpy(), rows.mean[column[0] : column[1]]
        weights = [
            sae.decoder_weight[column[0] : column[1], first:last].T.contiguous().to(execution.device)
            for first, last in spans(sae.decoder_weight.shape[1], FEATURE_TILE)
        ]
        for row, full in zip(tiles, dense, strict=True):
            cells = read_columns(rows.blocks, row, column)
            out = found[0, row[0] : row[1]], found[1, row[0] : row[1]]
            squared_distances(cells, _decode(run, weights, row, dense=full), centre, out)
        return found

    total = np.zeros((2, count))
    tile_bytes = _TILE_BYTES + 4 * COLUMN_TILE * sae.decoder_weight.shape[1] + 16 * count
    for part in map_tiles(work, spans(width, COLUMN_TILE), execution, tile_bytes=tile_bytes):
        total += part
    usable = np.ones(count, dtype=np.bool_)
    usable[list(run.invalid_texts)] = False
    errors, distances = np.where(usable, total, 0.0)
    return Reconstruction(errors, distances, rows.norms**2)


def _is_dense(features: ActivationBlocks, row: tuple[int, int]) -> bool:
    """Whether so many cells are not 0 that a dense product is faster; the answer depends on the tile alone."""
    block = features.rows(*row)
    return int(torch.count_nonzero(block)) >= DENSE_FROM * block.numel()


def _decode(
    run: TrainingRun, weights: Sequence[torch.Tensor], row: tuple[int, int], *, dense: bool
) -> NDArray[np.float64]:
    """H W_dec^T of some rows and columns [r, c], by the decoder's directions [f, c], one part a feature tile."""
    total = np.zeros((row[1] - row[0], weights[0].shape[1]))
    feature = 0
    for directions in weights:
        column = (feature, feature + directions.shape[0])
        if dense:
            total += (_activations(run, row, column).to(directions.device) @ directions).cpu().numpy()
        else:
            part = np.zeros(total.shape, dtype=np.float32)
            add_decoded(read_columns(run.features, row, column), directions.numpy(), part)
            total += part
        feature = column[1]
    return total


def _activations(run: TrainingRun, row: tuple[int, int], feature: tuple[int, int]) -> torch.Tensor:
    """[r, f] float32, 0 where there is no activation."""
    stored = run.features.rows(*row)[:, feature[0] : feature[1]].to(torch.float32)
    invalid = [number - feature[0] for number in run.invalid_features if feature[0] <= number < feature[1]]
    if invalid:
        cells = stored[:, invalid]
        stored = stored.index_copy(1, torch.tensor(invalid), cells.where(cells.isfinite() & (cells > 0), 0.0))
    return stored


def reconstruction_errors(found: Reconstruction, top: TopExamples) -> NDArray[np.float64]:
    """Return [F] the fraction of variance unexplained of each feature's top texts; NaN where not defined."""
    features = top.offsets.size - 1
    owner = np.repeat(np.arange(features), np.diff(top.offsets))
    columns = (found.errors, found.distances, found.squares)
    return _ratio(*(np.bincount(owner, weights=column[top.texts], minlength=features) for column in columns))


def _ratio(errors: NDArray[Any], distances: NDArray[Any], squares: NDArray[Any]) -> NDArray[np.float64]:
    defined = np.isfinite(errors) & (distances > _ZERO_DISTANCE * squares)
    return np.where(defined, errors / np.where(defined, distances, 1.0), np.nan)


def sae_quality(found: Reconstruction | None, statistics: StatisticsTable, valid: NDArray[np.bool_]) -> SaeQuality:
    """Put the autoencoder in four figures: shares of the valid features, explained variance of the usable texts.

    explained variance = 1 - sum |e - decode(h)|^2 / sum |e - mean e|^2: 1 is perfect, 0 as bad as the mean.
    """
    unexplained = np.nan if found is None else found.unexplained()
    density, count = statistics.density[valid], max(int(valid.sum()), 1)
    return SaeQuality(
        explained_variance=None if np.isnan(unexplained) else 1.0 - unexplained,
        mean_l0=int(statistics.positives.sum()) / statistics.rows,
        dead_share=int((density == 0.0).sum()) / count,
        dense_share=int((density >= DENSE_FEATURE_FROM).sum()) / count,
    )
