"""Cosines between the texts of each feature, for a few texts a feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mistudio_worker.analysis.execution import spans
from mistudio_worker.analysis.unit_rows import COLUMN_TILE, UnitRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT_ONCE = 16
"""Features whose texts are laid side by side: so few stay in a core's cache until they are multiplied."""


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
    count, width = members.shape
    total = torch.zeros((count, width, width), dtype=torch.float64, device=device)
    index = torch.from_numpy(places.reshape(-1)).to(device)
    for column in spans(rows.blocks.shape[1], COLUMN_TILE):
        unit = rows.gather(texts, column).to(device)
        for first, last in spans(count, AT_ONCE):
            chosen = unit.index_select(0, index[first * width : last * width]).view(last - first, width, -1)
            total[first:last] += torch.bmm(chosen, chosen.transpose(1, 2))  # float32 here, float64 over the tiles
    grams: NDArray[np.float64] = total.cpu().numpy()
    return grams
