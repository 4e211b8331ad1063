"""How well the autoencoder does on this run: what its features make of the original activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mistudio_worker.analysis.execution import Execution, map_tiles, spans
from mistudio_worker.analysis.tiers import DENSE_FROM
from mistudio_worker.domain.find_result import SaeQuality

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.statistics import StatisticsTable
    from mistudio_worker.analysis.top_examples import TopExamples
    from mistudio_worker.analysis.unit_rows import UnitRows
    from mistudio_worker.domain.training_run import SaeWeights, TrainingRun

ROW_TILE = 512
COLUMN_TILE = 512
FEATURE_TILE = 4096
_TILE_BYTES = 4 * ROW_TILE * FEATURE_TILE + 28 * ROW_TILE * COLUMN_TILE
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

    One pass over the originals, in tiles of 512 texts x 512 columns, 4,096 features at a time: products in
    float32, sums in float64, n F d multiplications. Cells of h that are no activations (NaN, infinite or
    negative, only in invalid features) count as 0. Texts with NaN or infinite originals take no part.

    Args:
        run: what is decoded.
        sae: its autoencoder.
        rows: its original activations, and their mean.
        execution: threads, device and budget.
    """
    count, width = rows.blocks.shape
    usable = np.ones(count, dtype=np.bool_)
    usable[list(run.invalid_texts)] = False
    weight = sae.decoder_weight.to(execution.device)

    def work(tile: tuple[int, int]) -> NDArray[np.float64]:
        found = np.zeros((3, tile[1] - tile[0]))
        for column in spans(width, COLUMN_TILE):
            cells = rows.blocks.rows(*tile)[:, column[0] : column[1]].to(torch.float64)
            decoded = _decode(run, weight, tile, column) + sae.decoder_bias[column[0] : column[1]]
            centred = cells - torch.from_numpy(rows.mean[column[0] : column[1]])
            for place, part in enumerate((cells - decoded, centred, cells)):
                found[place] += part.square().sum(dim=1).numpy()
        return np.where(usable[tile[0] : tile[1]], found, 0.0)

    parts = list(map_tiles(work, spans(count, ROW_TILE), execution, tile_bytes=_TILE_BYTES))
    return Reconstruction(*np.concatenate(parts, axis=1))


def _decode(run: TrainingRun, weight: torch.Tensor, row: tuple[int, int], column: tuple[int, int]) -> torch.Tensor:
    """H W_dec^T of one tile, [r, c] float64 on the CPU."""
    total = torch.zeros((row[1] - row[0], column[1] - column[0]), dtype=torch.float64)
    for first, last in spans(weight.shape[1], FEATURE_TILE):
        stored = run.features.rows(*row)[:, first:last].to(torch.float32)
        invalid = [feature - first for feature in run.invalid_features if first <= feature < last]
        if invalid:
            cells = stored[:, invalid]
            stored = stored.index_copy(1, torch.tensor(invalid), cells.where(cells.isfinite() & (cells > 0), 0.0))
        total += (stored.to(weight.device) @ weight[column[0] : column[1], first:last].T).cpu()
    return total


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
        dense_share=int((density >= DENSE_FROM).sum()) / count,
    )
