"""Cosines between the texts of each feature, for a few texts a feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mistudio_worker.analysis.execution import spans
from mistudio_worker.analysis.unit_rows import COLUMN_TILE, UnitRows

if TYPE_CHECKING:
    from numpy.typing import NDArray


def activation_grams(members: NDArray[Any], rows: UnitRows, device: str) -> NDArray[np.float64]:
    """Cosines over standardised original activations.

    Args:
        members: [f, k] texts, -1 where there is none.
        rows: of all texts.
        device: of torch, for the products.

    Returns:
        [f, k, k] float64, 1 on the diagonal; 0 where there is no text or no direction.
    """
    texts, places = np.unique(members, return_inverse=True)
    silent = int(texts.size > 0 and texts[0] < 0)
    total = torch.zeros((*members.shape, members.shape[1]), dtype=torch.float64, device=device)
    index = torch.from_numpy(places.reshape(members.shape)).to(device)
    for column in spans(rows.blocks.shape[1], COLUMN_TILE):
        unit = rows.gather(texts[silent:], column)
        padded = torch.cat([unit.new_zeros((silent, unit.shape[1])), unit]).to(device)
        chosen = padded[index]
        total += chosen @ chosen.transpose(1, 2)  # float32 within a tile of columns, float64 over them
    grams: NDArray[np.float64] = total.cpu().numpy()
    return grams
