"""Where each feature lies in the dictionary, from the autoencoder's weights alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mistudio_worker.analysis.execution import Execution, map_tiles, spans
from mistudio_worker.analysis.kernels.neighbors import keep_nearest
from mistudio_worker.analysis.kernels.pairs import keep_pairs
from mistudio_worker.analysis.statistics import number_or_none
from mistudio_worker.domain.feature_report import Geometry, Neighbor
from mistudio_worker.domain.find_result import DirectionPair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.domain.training_run import SaeWeights

NEAREST = 5
ROW_TILE = 256
COLUMN_TILE = 2048
SAME_FROM = 0.95
"""Cosine in size from which two directions are one: 90 % of the square of either lies along the other."""
LISTED_PAIRS = 20


@dataclass(frozen=True, slots=True)
class GeometryTable:
    """`Geometry` of all features as columns.

    Attributes:
        nearest: [F, 5] int32 ids, best first; -1 where there are fewer.
        nearest_cosines: [F, 5] float32.
        opposed: [F] int32 id of the lowest cosine; -1 where there is no other feature.
        opposed_cosines: [F] float32.
        encoder_decoder: [F] float64 cosine; NaN where either direction is zero.
        decoder_norms: [F] float64.
        encoder_norms: [F] float64.
        encoder_bias: [F] float64.
        duplicates: up to 20 pairs with a cosine of at least 0.95, most alike first, ties by lower ids.
        antipodal: up to 20 pairs with a cosine of at most -0.95, most opposed first, ties by lower ids.
    """

    nearest: NDArray[np.int32]
    nearest_cosines: NDArray[np.float32]
    opposed: NDArray[np.int32]
    opposed_cosines: NDArray[np.float32]
    encoder_decoder: NDArray[np.float64]
    decoder_norms: NDArray[np.float64]
    encoder_norms: NDArray[np.float64]
    encoder_bias: NDArray[np.float64]
    duplicates: tuple[DirectionPair, ...]
    antipodal: tuple[DirectionPair, ...]


def measure_geometry(sae: SaeWeights, execution: Execution) -> GeometryTable:
    """Return neighbours by cosine of the decoder directions, exact, in float32 products.

    Tiles of 256 x 2,048 cosines: no [F, F] matrix. The cost grows with F^2 d. A feature whose decoder
    direction is zero has no neighbours and is nobody's.
    """
    features = sae.encoder_weight.shape[0]
    decoder_norms, encoder_norms, cosines = (np.empty(features) for _ in range(3))
    unit = torch.empty((features, sae.encoder_weight.shape[1]), dtype=torch.float32)
    execution.require(unit.nbytes, "the decoder's unit directions")

    def scale(tile: tuple[int, int]) -> None:
        rows = slice(*tile)
        decoder = sae.decoder_weight[:, rows].T.to(torch.float64)
        encoder = sae.encoder_weight[rows].to(torch.float64)
        norm, encoder_norm = decoder.norm(dim=1), encoder.norm(dim=1)
        both = (norm * encoder_norm).numpy()
        decoder_norms[rows], encoder_norms[rows] = norm.numpy(), encoder_norm.numpy()
        dot = (decoder * encoder).sum(dim=1).numpy()
        cosines[rows] = np.where(both > 0, np.clip(dot / np.where(both > 0, both, 1.0), -1.0, 1.0), np.nan)
        unit[rows] = (decoder / norm.where(norm > 0, 1.0)[:, None]).to(torch.float32)

    tiles = spans(features, ROW_TILE)
    for _ in map_tiles(scale, tiles, execution, tile_bytes=4 * ROW_TILE * unit.shape[1] * 8):
        pass
    directed = decoder_norms > 0
    unit = unit.to(execution.device)
    work_bytes = ROW_TILE * COLUMN_TILE * 8
    parts = list(map_tiles(lambda tile: _neighbors(unit, directed, tile), tiles, execution, tile_bytes=work_bytes))
    ids, values, low_ids, low_values, *pairs = (np.concatenate(column) for column in zip(*parts, strict=True))
    ids[~directed], low_ids[~directed] = -1, -1
    bias = sae.encoder_bias.to(torch.float64).numpy()
    duplicates, antipodal = _pairs(*pairs[:2], sign=1.0), _pairs(*pairs[2:], sign=-1.0)
    return GeometryTable(
        ids, values, low_ids, low_values, cosines, decoder_norms, encoder_norms, bias, duplicates, antipodal
    )


def _neighbors(
    unit: torch.Tensor, directed: NDArray[np.bool_], tile: tuple[int, int]
) -> tuple[NDArray[np.int32] | NDArray[np.float32], ...]:
    """Nearest (ids, cosines) and most opposed (ids, cosines) of a tile's rows; its alike and its opposed pairs."""
    first, last = tile
    ids = np.full((last - first, NEAREST), -1, dtype=np.int32)
    values = np.zeros((last - first, NEAREST), dtype=np.float32)
    low_ids = np.full(last - first, -1, dtype=np.int32)
    low_values = np.zeros(last - first, dtype=np.float32)
    alike, opposed = (
        (np.full((LISTED_PAIRS, 2), -1, dtype=np.int32), np.zeros(LISTED_PAIRS, dtype=np.float32)) for _ in range(2)
    )
    for start, stop in spans(unit.shape[0], COLUMN_TILE):
        cosines = (unit[first:last] @ unit[start:stop].T).cpu().numpy()
        keep_nearest(cosines, (first, start), directed, (ids, values), (low_ids, low_values))
        keep_pairs(cosines, (first, start), SAME_FROM, alike, opposed)
    return ids, values, low_ids, low_values, *alike, *opposed


def _pairs(ids: NDArray[np.int32], sizes: NDArray[np.float32], *, sign: float) -> tuple[DirectionPair, ...]:
    """Merge the lists of all tiles, free places left out."""
    kept = [place for place in np.lexsort((ids[:, 1], ids[:, 0], -sizes)).tolist() if ids[place, 0] >= 0]
    return tuple(
        DirectionPair((int(ids[place, 0]), int(ids[place, 1])), sign * float(sizes[place]))
        for place in kept[:LISTED_PAIRS]
    )


def duplicate_flag(table: GeometryTable, feature: int) -> dict[str, float]:
    """Return the flag `duplicate_feature` with the cosine of the nearest direction, where it is at least 0.95."""
    cosine = float(table.nearest_cosines[feature, 0])
    return {"duplicate_feature": cosine} if table.nearest[feature, 0] >= 0 and cosine >= SAME_FROM else {}


def geometry_record(table: GeometryTable, feature: int) -> Geometry:
    """Return one feature's geometry as published."""
    nearest = zip(table.nearest[feature].tolist(), table.nearest_cosines[feature].tolist(), strict=True)
    opposed = int(table.opposed[feature])
    return Geometry(
        nearest=tuple(Neighbor(other, cosine) for other, cosine in nearest if other >= 0),
        most_opposed=Neighbor(opposed, float(table.opposed_cosines[feature])) if opposed >= 0 else None,
        encoder_decoder_cosine=number_or_none(table.encoder_decoder[feature]),
        decoder_norm=float(table.decoder_norms[feature]),
        encoder_norm=float(table.encoder_norms[feature]),
        encoder_bias=float(table.encoder_bias[feature]),
    )
