"""Compiled search for features that fire on the same texts, over the positives feature by feature (CSC)."""

# Compiled functions take plain arrays, one a column: numba knows no dataclasses.
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 5


@njit(cache=True, nogil=True)
def features_of_texts(
    offsets: NDArray[np.int64], texts: NDArray[np.int32], rows: int
) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Turn the positives round (CSR): the features that fire on each text, ascending."""
    row_offsets = np.zeros(rows + 1, dtype=np.int64)
    for text in texts:
        row_offsets[text + 1] += 1
    for row in range(rows):
        row_offsets[row + 1] += row_offsets[row]
    cursors = row_offsets[:-1].copy()
    features = np.empty(texts.size, dtype=np.uint32)
    for f in range(offsets.size - 1):
        for text in texts[offsets[f] : offsets[f + 1]]:
            features[cursors[text]] = f
            cursors[text] += 1
    return row_offsets, features


@njit(cache=True, nogil=True)
def _most_shared(
    feature: int,
    drawn: int,
    positives: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]],
    rows: tuple[NDArray[np.int64], NDArray[np.uint32]],
    counts: NDArray[np.int32],
    best: tuple[NDArray[np.int32], NDArray[np.float64]],
) -> None:
    """Fill `best` from `drawn` evenly spread texts of a feature; `counts` [F] is scratch.

    Exact where all its texts are drawn; else the texts shared with another feature are scaled up.
    """
    offsets, texts, _ = positives
    row_offsets, features = rows
    first, size = offsets[feature], offsets[feature + 1] - offsets[feature]
    counts[:] = 0
    for i in range(drawn):
        text = texts[first + i * size // drawn]
        for other in features[row_offsets[text] : row_offsets[text + 1]]:  # unsigned: no test for a negative index
            counts[other] += 1
    counts[feature] = 0
    best[0][:], best[1][:] = -1, 0.0
    scale, low = size / max(drawn, 1), 0.0
    for g in range(counts.size):
        both, total = counts[g] * scale, float(size + offsets[g + 1] - offsets[g])
        if both * (1.0 + low) > low * total:  # both / (total - both) > low, without a division for every pair
            _keep(g, both / max(total - both, 1.0), best)
            low = best[1][-1] * (1.0 - 1e-9)  # below the last one by more than rounding


@njit(cache=True, nogil=True)
def _keep(feature: int, value: float, best: tuple[NDArray[np.int32], NDArray[np.float64]]) -> None:
    """Insert into lists of ids (-1: free) and descending values (0: free), equal ones by lower ids."""
    ids, values = best
    place = ids.size
    while place > 0 and (values[place - 1] < value or (values[place - 1] == value and feature < ids[place - 1])):
        if place < ids.size:
            ids[place], values[place] = ids[place - 1], values[place - 1]
        place -= 1
    if place < ids.size:
        ids[place], values[place] = feature, value


@njit(cache=True, nogil=True)
def _rank_exactly(
    feature: int,
    candidates: NDArray[np.int32],
    positives: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]],
    fires: NDArray[np.bool_],
    best: tuple[NDArray[np.int32], NDArray[np.float64]],
) -> None:
    """Fill `best` with the candidates (-1: no more) by their exact Jaccard; `fires` [n] is scratch, all False."""
    offsets, texts, _ = positives
    own = texts[offsets[feature] : offsets[feature + 1]]
    for text in own:
        fires[text] = True
    best[0][:], best[1][:] = -1, 0.0
    for g in candidates:
        if g < 0:
            break
        others = texts[offsets[g] : offsets[g + 1]]
        both = 0
        for text in others:
            both += fires[text]
        _keep(g, both / (own.size + others.size - both), best)
    for text in own:
        fires[text] = False


@njit(cache=True, nogil=True)
def _correlate(
    feature: int,
    others: NDArray[np.int32],
    positives: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]],
    moments: tuple[NDArray[np.float64], NDArray[np.float64]],
    dense: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Pearson correlation over all n texts with each of `others`, in float64; `dense` [n] is scratch, all 0.

    With x, y the activations and P the texts that the other fires on:
    cov n = sum_P (x - mx)(y - my) - my (sum (x - mx) - sum_P (x - mx)), the last term being the silent texts'.
    NaN where either does not vary.
    """
    offsets, texts, values = positives
    means, variances = moments
    mean, rest = means[feature], 0.0
    first, last = offsets[feature], offsets[feature + 1]
    for i in range(first, last):
        dense[texts[i]] = values[i]
        rest += values[i] - mean
    rest -= (dense.size - (last - first)) * mean
    for k in range(others.size):
        out[k] = np.nan
        if others[k] < 0 or variances[feature] <= 0.0 or variances[others[k]] <= 0.0:
            continue
        other_mean, covariance, own = means[others[k]], 0.0, 0.0
        for i in range(offsets[others[k]], offsets[others[k] + 1]):
            distance = dense[texts[i]] - mean
            covariance += distance * (values[i] - other_mean)
            own += distance
        covariance -= other_mean * (rest - own)
        scale = math.sqrt(variances[feature]) * math.sqrt(variances[others[k]])
        out[k] = min(max(covariance / dense.size / scale, -1.0), 1.0)
    for i in range(first, last):
        dense[texts[i]] = 0.0


@njit(cache=True, nogil=True)
def coactive_tile(
    tile: tuple[int, int],
    drawn: NDArray[np.int64],
    candidates: int,
    positives: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]],
    rows: tuple[NDArray[np.int64], NDArray[np.uint32]],
    moments: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    """Ids (-1: fewer), Jaccard and correlation [f, 5] of the features [first, last).

    Where `drawn` [F] is less than all texts of a feature, its `candidates` best are compared exactly.
    """
    first, last = tile
    ids = np.full((last - first, MOST), -1, dtype=np.int32)
    jaccard, correlation = np.zeros((last - first, MOST)), np.full((last - first, MOST), np.nan)
    counts = np.empty(drawn.size, dtype=np.int32)
    fires, dense = np.zeros(rows[0].size - 1, dtype=np.bool_), np.zeros(rows[0].size - 1)
    found, estimates = np.empty(candidates, dtype=np.int32), np.empty(candidates)
    for f in range(first, last):
        best = (ids[f - first], jaccard[f - first])
        if drawn[f] == positives[0][f + 1] - positives[0][f]:
            _most_shared(f, drawn[f], positives, rows, counts, best)
        else:
            _most_shared(f, drawn[f], positives, rows, counts, (found, estimates))
            _rank_exactly(f, found, positives, fires, best)
        _correlate(f, best[0], positives, moments, dense, correlation[f - first])
    return ids, jaccard, correlation
