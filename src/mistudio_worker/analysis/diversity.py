"""How many distinct texts stand behind the top examples, and how well each fits the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mistudio_worker.analysis.execution import Execution, map_tiles, spans
from mistudio_worker.analysis.grams import activation_grams
from mistudio_worker.analysis.unit_rows import COLUMN_TILE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.top_examples import TopExamples
    from mistudio_worker.analysis.unit_rows import UnitRows

FEATURE_TILE = 256


@dataclass(frozen=True, slots=True)
class Likeness:
    """Of the top texts, by standardised unit rows of the original activations.

    Attributes:
        vendi: [F] Vendi score, 1 to the number of top texts with a direction; NaN below 2 of them.
        similarity: [entries] mean cosine to the feature's other top texts, in the order of the top
            examples; NaN for a text without a direction or without others.
    """

    vendi: NDArray[np.float64]
    similarity: NDArray[np.float64]


def compare_top_texts(top: TopExamples, rows: UnitRows, execution: Execution) -> Likeness:
    """Return Vendi scores and leave-one-out similarities (Friedman & Dieng 2023, arXiv 2210.02410).

    vendi = exp(-sum l ln l) over the eigenvalues l of the Gram matrix / k: k for orthogonal texts, 1
    for copies of one.
    """
    features = top.offsets.size - 1
    width = max(int(np.diff(top.offsets).max(initial=0)), 1)
    tiles = spans(features, FEATURE_TILE)
    gathered = min(FEATURE_TILE * width, rows.blocks.shape[0]) + FEATURE_TILE * width
    work_bytes = gathered * COLUMN_TILE * 8 + 2 * FEATURE_TILE * width * width * 8
    vendi, similarity = np.full(features, np.nan), np.full(top.texts.size, np.nan)

    def work(tile: tuple[int, int]) -> None:
        first, last = tile
        members = _members(top, tile, width)
        grams = activation_grams(members, rows, execution.device)
        usable = (members >= 0) & rows.usable[np.maximum(members, 0)]
        vendi[first:last] = _vendi(grams, usable.sum(axis=1))
        others = usable.sum(axis=1)[:, None] - 1
        means = (grams.sum(axis=2) - 1.0) / np.maximum(others, 1)
        means = np.where(usable & (others > 0), np.clip(means, -1.0, 1.0), np.nan)
        similarity[top.offsets[first] : top.offsets[last]] = means[members >= 0]

    for _ in map_tiles(work, tiles, execution, tile_bytes=work_bytes):
        pass
    return Likeness(vendi, similarity)


def _members(top: TopExamples, tile: tuple[int, int], width: int) -> NDArray[np.int64]:
    """Top texts of a tile's features as [f, width], -1 where a feature has fewer."""
    first, last = tile
    counts = np.diff(top.offsets[first : last + 1])
    members = np.full((last - first, width), -1, dtype=np.int64)
    members[np.arange(width) < counts[:, None]] = top.texts[top.offsets[first] : top.offsets[last]]
    return members


def _vendi(grams: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    scaled = torch.from_numpy(grams / np.maximum(counts, 1)[:, None, None])
    shares = torch.linalg.eigvalsh(scaled).clamp_(min=0.0)
    entropy = -torch.special.xlogy(shares, shares).sum(dim=1).numpy()
    return np.where(counts >= 2, np.clip(np.exp(entropy), 1.0, np.maximum(counts, 1)), np.nan)
