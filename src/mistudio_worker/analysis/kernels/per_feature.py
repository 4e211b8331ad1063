"""Compiled figures of each feature over its positives (CSC); features are independent of each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def power_sums(offsets: NDArray[np.int64], values: NDArray[np.float32], threshold: np.float32) -> NDArray[Any]:
    """[F, 3] float64: sum of a, sum of a^2, number of a > threshold (compared in float32)."""
    features = offsets.size - 1
    out = np.zeros((features, 3))
    for f in range(features):
        for i in range(offsets[f], offsets[f + 1]):
            a = np.float64(values[i])
            out[f, 0] += a
            out[f, 1] += a * a
            out[f, 2] += 1.0 if values[i] > threshold else 0.0
    return out


@njit(cache=True, nogil=True)
def octave_histogram(
    offsets: NDArray[np.int64], values: NDArray[np.float32], lowest_exponent: int, bins: int
) -> NDArray[np.int64]:
    """[F, bins] int64: bin i counts 2^(lowest + i) <= a < 2^(lowest + i + 1), outer bins take the rest."""
    features = offsets.size - 1
    out = np.zeros((features, bins), dtype=np.int64)
    for f in range(features):
        for i in range(offsets[f], offsets[f + 1]):
            _, exponent = math.frexp(np.float64(values[i]))
            out[f, min(max(exponent - 1 - lowest_exponent, 0), bins - 1)] += 1
    return out


@njit(cache=True, nogil=True)
def _quantile(ordered: NDArray[np.float64], share: float) -> float:
    place = share * (ordered.size - 1)
    below = int(place)
    above = min(below + 1, ordered.size - 1)
    return float(ordered[below] + (ordered[above] - ordered[below]) * (place - below))


@njit(cache=True, nogil=True)
def quantiles(
    offsets: NDArray[np.int64], values: NDArray[np.float32], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[F, q] quantiles of the positives, linear between neighbours; [F, 2] MAD of a and of ln a; 0 without any."""
    features = offsets.size - 1
    out = np.zeros((features, shares.size))
    mad = np.zeros((features, 2))
    for f in range(features):
        if offsets[f] == offsets[f + 1]:
            continue
        ordered = np.sort(values[offsets[f] : offsets[f + 1]].astype(np.float64))
        for q in range(shares.size):
            out[f, q] = _quantile(ordered, shares[q])
        mad[f, 0] = _quantile(np.sort(np.abs(ordered - _quantile(ordered, 0.5))), 0.5)
        logs = np.log(ordered)
        mad[f, 1] = _quantile(np.sort(np.abs(logs - math.log(_quantile(ordered, 0.5)))), 0.5)
    return out, mad


@njit(cache=True, nogil=True)
def strongest(
    positives: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]],
    top: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]],
) -> None:
    """Fill the strongest entries of each feature, as many as it owns places, equal ones in entry order."""
    offsets, texts, values = positives
    out_offsets, out_texts, out_values = top
    for f in range(offsets.size - 1):
        first = out_offsets[f]
        room = out_offsets[f + 1] - first
        held = 0
        for i in range(offsets[f], offsets[f + 1]):
            a = values[i]
            if held == room and (room == 0 or a <= out_values[first + room - 1]):
                continue
            place = first + min(held, room - 1)
            while place > first and out_values[place - 1] < a:
                out_values[place] = out_values[place - 1]
                out_texts[place] = out_texts[place - 1]
                place -= 1
            out_values[place] = a
            out_texts[place] = texts[i]
            held = min(held + 1, room)


@njit(cache=True, nogil=True)
def log_shape(offsets: NDArray[np.int64], values: NDArray[np.float32]) -> NDArray[Any]:
    """[F, 2] skew and excess kurtosis of ln(positives); NaN where they do not vary."""
    features = offsets.size - 1
    out = np.full((features, 2), np.nan)
    for f in range(features):
        logs = np.log(values[offsets[f] : offsets[f + 1]].astype(np.float64))
        if logs.size < 2:
            continue
        mean = logs.sum() / logs.size
        m2, m3, m4 = 0.0, 0.0, 0.0
        for x in logs:
            square = (x - mean) * (x - mean)
            m2 += square
            m3 += square * (x - mean)
            m4 += square * square
        m2 /= logs.size
        if m2 > 1e-18:
            out[f, 0] = m3 / logs.size / m2**1.5
            out[f, 1] = m4 / logs.size / (m2 * m2) - 3.0
    return out


@njit(cache=True, nogil=True)
def mid_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1 of [m] values; equal values share the mean of their ranks."""
    order = np.argsort(values, kind="mergesort")
    ranks = np.empty(values.size)
    start = 0
    while start < values.size:
        stop = start + 1
        while stop < values.size and values[order[stop]] == values[order[start]]:
            stop += 1
        for place in range(start, stop):
            ranks[order[place]] = 0.5 * (start + stop + 1)
        start = stop
    return ranks


@njit(cache=True, nogil=True)
def length_correlations(
    offsets: NDArray[np.int64],
    texts: NDArray[np.int32],
    values: NDArray[np.float32],
    lengths: NDArray[np.float64],
    length_ranks: NDArray[np.float64],
) -> NDArray[Any]:
    """[F, 2] Spearman correlation of activation and length: over the positives, over all texts.

    NaN where either side does not vary. Over all texts the zeros share the lowest mid-rank.
    """
    features = offsets.size - 1
    rows = lengths.size
    out = np.full((features, 2), np.nan)
    corpus_length_square = 0.0
    middle = 0.5 * (rows + 1)
    for i in range(rows):
        corpus_length_square += (length_ranks[i] - middle) ** 2
    for f in range(features):
        first, last = offsets[f], offsets[f + 1]
        m = last - first
        if m < 2:
            continue
        ranks = mid_ranks(values[first:last].astype(np.float64))
        own = np.empty(m)
        for i in range(m):
            own[i] = lengths[texts[first + i]]
        own = mid_ranks(own)
        centre = 0.5 * (m + 1)
        xy, xx, yy, corpus_xy, corpus_xx = 0.0, 0.0, 0.0, 0.0, 0.0
        zeros = rows - m
        silent = 0.5 * (zeros + 1) - middle
        for i in range(m):
            x, y = ranks[i] - centre, own[i] - centre
            xy += x * y
            xx += x * x
            yy += y * y
            firing = zeros + ranks[i] - middle
            corpus_xx += firing * firing
            corpus_xy += (firing - silent) * (length_ranks[texts[first + i]] - middle)
        corpus_xx += zeros * silent * silent
        if xx > 0 and yy > 0:
            out[f, 0] = xy / math.sqrt(xx * yy)
        if corpus_xx > 0 and corpus_length_square > 0:
            out[f, 1] = corpus_xy / math.sqrt(corpus_xx * corpus_length_square)
    return out
