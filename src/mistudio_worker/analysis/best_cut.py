"""Where the texts of a feature part most easily into two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST_SIDE = 0.25
_SQUARINGS = 8
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Cut:
    """The best cut of each feature's texts.

    Attributes:
        found: [f] whether there is a cut with a quarter of the draws on each side.
        first: [f, k] whether a text is on the first side.
        across: [f] mean likeness of pairs across the cut, each pair of texts as often as it is drawn.
        inside: [f] mean likeness of pairs on one side.
        inside_weight: [f] number of such ordered pairs.
        text_across: [f, k] sum of the likeness of a text's pairs across.
        text_inside: [f, k] sum of the likeness of a text's pairs inside.
    """

    found: NDArray[np.bool_]
    first: NDArray[np.bool_]
    across: NDArray[np.float64]
    inside: NDArray[np.float64]
    inside_weight: NDArray[np.float64]
    text_across: NDArray[np.float64]
    text_inside: NDArray[np.float64]


def best_cut(likeness: NDArray[np.float64], counts: NDArray[np.float64]) -> Cut:
    """Cut the texts of many features at once.

    The texts are lined up along the leading eigenvector of their centred likeness (principal coordinates), and cut
    at the place that leaves the largest difference between the likeness inside and across, with at least a
    quarter of the draws on each side: a few odd texts are no half.

    Args:
        likeness: [f, k, k] symmetric, less the likeness of random texts.
        counts: [f, k] number of draws, 0 where there is no text.
    """
    weights = counts[:, :, None] * counts[:, None, :]
    weights[:, np.arange(counts.shape[1]), np.arange(counts.shape[1])] = 0.0
    pairs = likeness * weights
    order = np.argsort(np.where(counts > 0, _positions(likeness, pairs, counts), np.inf), axis=1, kind="stable")
    found, places, across, inside, inside_weight = _sweep(pairs, counts, order)
    ranks = np.argsort(order, axis=1, kind="stable")
    first = (ranks <= places[:, None]) & (counts > 0)
    to_first = (pairs * first[:, None, :]).sum(axis=2)
    to_second = pairs.sum(axis=2) - to_first
    return Cut(
        found,
        first,
        across,
        inside,
        inside_weight,
        np.where(first, to_second, to_first),
        np.where(first, to_first, to_second),
    )


def _positions(
    likeness: NDArray[np.float64], pairs: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """[f, k] place of each text along the direction in which the texts differ most.

    A text's likeness to itself says nothing, so it is set to its mean likeness to the others. The leading
    eigenvector is a column of the 256th power: eight squarings, the same for every feature.
    """
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    share = counts / total
    others = total * counts - counts * counts
    mean = pairs.sum(axis=2) / np.where(others > 0, others, 1.0)
    own = np.arange(counts.shape[1])
    table = likeness.copy()
    shift = np.max(share * np.maximum(table[:, own, own] - mean, 0.0), axis=1)
    table[:, own, own] = mean
    row = (table @ share[:, :, None])[:, :, 0]
    table += (row * share).sum(axis=1)[:, None, None] - row[:, :, None] - row[:, None, :]
    root = np.sqrt(share)
    table *= root[:, :, None] * root[:, None, :]
    table[:, own, own] += shift[:, None]  # at least minus the lowest eigenvalue, so that powers keep the order
    power = torch.from_numpy(table.astype(np.float32))
    for _ in range(_SQUARINGS):
        power = power / power.diagonal(dim1=1, dim2=2).sum(dim=1).clamp(min=1e-30)[:, None, None]
        power = power @ power
    column = torch.argmax(power.diagonal(dim1=1, dim2=2), dim=1)
    leading = power.numpy()[np.arange(counts.shape[0]), :, column.numpy()].astype(np.float64)
    return leading / np.where(root > 0, root, 1.0)


def _sweep(
    pairs: NDArray[np.float64], counts: NDArray[np.float64], order: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Try every cut along the order: whether there is one, after which place, its likeness across and inside."""
    lined = np.take_along_axis(np.take_along_axis(pairs, order[:, :, None], axis=1), order[:, None, :], axis=2)
    h = np.take_along_axis(counts, order, axis=1)
    total, total_square = h.sum(axis=1, keepdims=True), (h * h).sum(axis=1, keepdims=True)
    a, square = np.cumsum(h, axis=1), np.cumsum(h * h, axis=1)
    left = np.cumsum(2.0 * np.tril(lined, -1).sum(axis=2), axis=1)
    touching = np.cumsum(lined.sum(axis=2), axis=1)
    inside_sum = left + (touching[:, -1:] - 2.0 * touching + left)
    inside_weight = a * a - square + (total - a) ** 2 - (total_square - square)
    across_weight = a * (total - a)
    share = a / np.maximum(total, 1.0)
    admissible = (share >= SMALLEST_SIDE - _SLACK) & (share <= 1.0 - SMALLEST_SIDE + _SLACK)
    admissible &= (inside_weight > 0) & (across_weight > 0)
    across = (touching - left) / np.where(admissible, across_weight, 1.0)
    inside = inside_sum / np.where(admissible, inside_weight, 1.0)
    place = np.argmin(np.where(admissible, across - inside, np.inf), axis=1)
    rows = np.arange(counts.shape[0])
    return admissible.any(axis=1), place, across[rows, place], inside[rows, place], inside_weight[rows, place]
