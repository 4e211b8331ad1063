"""Whether what the texts of a feature have in common is found again on texts that were not looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mistudio_worker.analysis.execution import Execution, map_tiles, spans
from mistudio_worker.analysis.kernels.held_out import aurocs, fires_on, halves
from mistudio_worker.analysis.unit_rows import COLUMN_TILE, UnitRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.coherence_table import CorpusTexts
    from mistudio_worker.analysis.positives import Positives
    from mistudio_worker.analysis.top_examples import TopExamples

POOL = 512
"""Texts that stand for all silent ones."""
MIN_HALF = 2
TIE = 1e-6
FEATURE_TILE = 256


@dataclass(frozen=True, slots=True)
class SeparabilityTable:
    """`HeldOut.separability` of all features.

    Attributes:
        auroc: [F] float64, 0 to 1; NaN where not defined.
        distinct: [F] top texts that have a direction and repeat no better-ranked one; 4 are needed.
    """

    auroc: NDArray[np.float64]
    distinct: NDArray[np.int64]


def measure_separability(
    top: TopExamples, positives: Positives, texts: CorpusTexts, rows: UnitRows, execution: Execution
) -> SeparabilityTable:
    """AUROC of the cosine to the centroid of the odd-ranked top texts: even-ranked ones over silent texts.

    Ranks are counted without near-duplicates of better-ranked texts, which would be found again by
    themselves, and without texts that have no direction. The silent texts are those of a pool of up to 512
    distinct texts, chosen by what they say alone and the same for all features, that the feature does not
    fire on. Cosines within 1e-6 are ties. 0.5 is chance; not defined with fewer than 2 texts in either half or
    without a silent one in the pool.

    Cost: F (top_k + 512) d multiplications, in tiles of 256 features.
    """
    width = (int(np.diff(top.offsets).max(initial=0)) + 1) // 2
    odd, even = halves((top.offsets, top.texts), texts.duplicates.group, rows.usable, max(width, 1))
    pool = np.sort(texts.distinct[rows.usable[texts.distinct]][:POOL])
    execution.require(odd.shape[0] * pool.size, "which features fire on which of a pool of texts")
    fires = fires_on((positives.offsets, positives.texts), pool, positives.rows)

    def work(tile: tuple[int, int]) -> NDArray[np.float64]:
        chosen = slice(*tile)
        own, others = _cosines(odd[chosen], even[chosen], pool, rows, execution.device)
        counts = (even[chosen] >= 0).sum(axis=1)
        found: NDArray[np.float64] = aurocs(own, np.where(counts >= MIN_HALF, counts, 0), others, fires[chosen], TIE)
        return found

    tile_bytes = FEATURE_TILE * (2 * width * COLUMN_TILE * 8 + pool.size * 8) + pool.size * COLUMN_TILE * 4
    parts = list(map_tiles(work, spans(odd.shape[0], FEATURE_TILE), execution, tile_bytes=tile_bytes))
    return SeparabilityTable(np.concatenate(parts), (odd >= 0).sum(axis=1) + (even >= 0).sum(axis=1))


def _cosines(
    odd: NDArray[np.int64], even: NDArray[np.int64], pool: NDArray[np.int64], rows: UnitRows, device: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean cosine to the odd-ranked texts of each feature: of its even-ranked ones [f, w] and of the pool [f, s]."""
    members = np.concatenate([odd, even], axis=1)
    texts, places = np.unique(members, return_inverse=True)
    index = torch.from_numpy(places.reshape(-1)).to(device)
    own = torch.zeros(even.shape, dtype=torch.float64, device=device)
    others = torch.zeros((len(odd), pool.size), dtype=torch.float64, device=device)
    share = torch.from_numpy(1.0 / np.maximum((odd >= 0).sum(axis=1), 1)).float().to(device)
    for column in spans(rows.blocks.shape[1], COLUMN_TILE):
        chosen = rows.gather(texts, column).to(device).index_select(0, index).view(*members.shape, -1)
        centroid = chosen[:, : odd.shape[1]].sum(dim=1) * share[:, None]
        own += (chosen[:, odd.shape[1] :] @ centroid[:, :, None]).squeeze(2)
        others += centroid @ rows.gather(pool, column).to(device).T  # float32 in a tile, float64 over them
    return own.cpu().numpy(), others.cpu().numpy()
