"""Likeness of two features by their decoder directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from mistudio_worker.analysis.execution import spans
from mistudio_worker.comparison.similarities import ROW_TILE, Similarities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.domain.training_run import SaeWeights

COLUMN_TILE = 1024
MIN_DIMENSIONS = 50
"""The cosine of two random directions has a standard deviation of 1 / sqrt(d): at d = 50 a cosine of 0.7 is five of
them, one chance in a million, at d = 20 three, so that among many features some are alike by chance."""


def decoder_similarities(a: SaeWeights, b: SaeWeights) -> Similarities:
    """Return the cosines of the decoder directions, in float64; both autoencoders must have the same d.

    Comparable is every feature with a direction, also one that never fires: it may have fired in the other run. Sign
    counts: an opposite direction is another feature. Source: matching of dictionaries by decoder cosine, Paulo and
    Belrose 2025, arXiv 2501.16615.
    """
    d = a.decoder_weight.shape[0]
    norms_a, norms_b = _norms(a.decoder_weight), _norms(b.decoder_weight)
    scale_a, scale_b = (np.where(norms > 0, norms, 1.0) for norms in (norms_a, norms_b))

    def tile(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        own = a.decoder_weight[:, torch.from_numpy(rows)].T.double()
        cosines = np.empty((rows.size, norms_b.size))
        for first, last in spans(norms_b.size, COLUMN_TILE):
            cosines[:, first:last] = (own @ b.decoder_weight[:, first:last].double()).numpy()
        cosines /= scale_a[rows, None]
        cosines /= scale_b
        return cosines

    return Similarities(
        method="decoder",
        comparable_a=norms_a > 0,
        comparable_b=norms_b > 0,
        lack="dead and without a match, or without a decoder direction",
        tile=tile,
        tile_bytes=8 * (2 * ROW_TILE * norms_b.size + d * (ROW_TILE + COLUMN_TILE)),
        caveats=_chance(d),
    )


def _norms(weight: torch.Tensor) -> NDArray[np.float64]:
    squares = [
        weight[:, first:last].double().square().sum(dim=0) for first, last in spans(weight.shape[1], COLUMN_TILE)
    ]
    norms: NDArray[np.float64] = torch.cat(squares).sqrt().numpy()
    return norms


def _chance(d: int) -> tuple[str, ...]:
    if d >= MIN_DIMENSIONS:
        return ()
    return (
        f"the decoder directions have {d} dimensions: below {MIN_DIMENSIONS} some of many features are alike by chance",
    )
