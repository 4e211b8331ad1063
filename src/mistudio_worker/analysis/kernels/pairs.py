"""Compiled search for the most extreme pairs of features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def _keep(low: int, high: int, value: float, kept: tuple[NDArray[np.int32], NDArray[Any]]) -> None:
    """Insert into lists of ids [p, 2] (-1: free) and descending values [p] (0: free), equal ones by lower ids."""
    ids, values = kept
    place = values.size
    while place > 0 and (
        values[place - 1] < value
        or (values[place - 1] == value and (low, high) < (ids[place - 1, 0], ids[place - 1, 1]))
    ):
        place -= 1
    if place == values.size:
        return
    for moved in range(ids.shape[0] - 1, place, -1):  # no slices: what their error would say takes 3 s to compile
        ids[moved, 0], ids[moved, 1] = ids[moved - 1, 0], ids[moved - 1, 1]
        values[moved] = values[moved - 1]
    ids[place, 0], ids[place, 1] = low, high
    values[place] = value


@njit(cache=True, nogil=True)
def keep_pairs(
    cosines: NDArray[np.float32],
    corner: tuple[int, int],
    limit: float,
    alike: tuple[NDArray[np.int32], NDArray[np.float32]],
    opposed: tuple[NDArray[np.int32], NDArray[np.float32]],
) -> None:
    """Merge the pairs of a tile from `limit` in size into lists of ids [p, 2] and |cosine| [p].

    Most extreme first, equal ones by lower ids, in whatever order the tiles come. Each pair counts once, by its
    lower id.
    """
    first_row, first_column = corner
    rows, columns = cosines.shape
    for r in range(rows):
        for c in range(max(first_row + r + 1 - first_column, 0), columns):
            size = min(abs(cosines[r, c]), np.float32(1.0))
            if size >= limit:
                _keep(first_row + r, first_column + c, size, alike if cosines[r, c] > 0 else opposed)


@njit(cache=True, nogil=True)
def sharing_pairs(
    top: tuple[NDArray[np.int64], NDArray[np.int32]],
    rows: tuple[NDArray[np.int64], NDArray[np.uint32]],
    least_texts: int,
    compared: int,
    kept: tuple[NDArray[np.int32], NDArray[np.int64]],
) -> None:
    """Fill `kept` (ids [p, 2] and shared [p]) with the pairs that share at least half.

    Args:
        top: offsets and texts of each feature.
        rows: the same turned round: offsets and ascending features of each text.
        least_texts: features with fewer top texts are left out.
        compared: of the features of a text each is compared with so many that follow it.
        kept: most shared texts first, equal ones by lower ids.
    """
    offsets, texts = top
    row_offsets, features = rows
    places = row_offsets[:-1].copy()
    sizes = np.empty(offsets.size - 1, dtype=np.int64)
    counts = np.zeros(sizes.size, dtype=np.int64)
    touched = np.empty(sizes.size, dtype=np.int64)
    for f in range(sizes.size):
        sizes[f] = offsets[f + 1] - offsets[f]
    for f in range(sizes.size):
        held = 0
        for text in texts[offsets[f] : offsets[f + 1]]:
            places[text] += 1  # now behind f, since features come in ascending order
            for g in features[places[text] : min(places[text] + compared, row_offsets[text + 1])]:
                if counts[g] == 0:
                    touched[held] = g
                    held += 1
                counts[g] += 1
        for g in touched[:held]:
            fewer = min(sizes[f], sizes[g])
            if fewer >= least_texts and 2 * counts[g] >= fewer:
                _keep(f, g, counts[g], kept)
            counts[g] = 0
