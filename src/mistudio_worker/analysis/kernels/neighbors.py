"""Compiled selection of neighbours from a tile of cosines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def keep_nearest(
    cosines: NDArray[np.float32],
    corner: tuple[int, int],
    directed: NDArray[np.bool_],
    nearest: tuple[NDArray[np.int32], NDArray[np.float32]],
    lowest: tuple[NDArray[np.int32], NDArray[np.float32]],
) -> None:
    """Merge a tile [r, c] into the running nearest [r, k] (id -1: free) and lowest [r]; ties keep the lower id.

    Tiles of one row come in ascending order of columns. A feature is no neighbour of itself, and one
    without a direction of nobody.
    """
    first_row, first_column = corner
    (ids, values), (low_ids, low_values) = nearest, lowest
    rows, columns = cosines.shape
    kept = ids.shape[1]
    for r in range(rows):
        for c in range(columns):
            column = first_column + c
            if column == first_row + r or not directed[column]:
                continue
            value = min(max(cosines[r, c], np.float32(-1.0)), np.float32(1.0))
            if low_ids[r] < 0 or value < low_values[r]:
                low_ids[r] = column
                low_values[r] = value
            if ids[r, kept - 1] >= 0 and value <= values[r, kept - 1]:
                continue
            place = kept - 1
            while place > 0 and (ids[r, place - 1] < 0 or values[r, place - 1] < value):
                ids[r, place] = ids[r, place - 1]
                values[r, place] = values[r, place - 1]
                place -= 1
            ids[r, place] = column
            values[r, place] = value
