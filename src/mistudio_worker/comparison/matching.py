"""One-to-one matching of the features of two runs: the most similar pair first, then the next among the rest."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.execution import map_tiles
from mistudio_worker.comparison.kernels import keep_best
from mistudio_worker.comparison.similarities import ROW_TILE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from mistudio_worker.analysis.execution import Execution
    from mistudio_worker.comparison.similarities import Similarities

CANDIDATES = 16
"""Best partners kept a feature at a time; where all of them are taken the next ones are looked up."""
DECIMALS = 9
"""Similarities are rounded, so that ties and bytes do not depend on the order in which a product adds up."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Who is matched with whom.

    Attributes:
        partners: [F of A] int64 feature of B; -1 for none.
        similarities: [F of A] float64 similarity to the partner; 0 without one.
        nearest_b: [F of A] int64 most similar comparable feature of B, matched or not; -1 where not comparable.
        nearest_b_similarities: [F of A] float64.
        nearest_a: [F of B] int64 most similar comparable feature of A; -1 where not comparable.
        nearest_a_similarities: [F of B] float64.
    """

    partners: NDArray[np.int64]
    similarities: NDArray[np.float64]
    nearest_b: NDArray[np.int64]
    nearest_b_similarities: NDArray[np.float64]
    nearest_a: NDArray[np.int64]
    nearest_a_similarities: NDArray[np.float64]


def match_features(
    similarities: Similarities, min_similarity: float, execution: Execution, on_progress: Callable[[float], None]
) -> Matching:
    """Match greedily: of all pairs at or over the threshold the most similar, then the most similar of what is left.

    Equal similarities go to the lower id in A, then in B. Exactly this matching is the only stable one (no two features
    would both be better off together), so it is found by deferred acceptance (Gale and Shapley 1962) from short lists:
    each feature of A asks the best of B, which keeps the best that asked. Memory is [F, 16], never [F of A, F of B].

    Args:
        similarities: by any method.
        min_similarity: over 0.
        execution: threads and budget.
        on_progress: told the share of the similarities that are computed, 0 to 1.
    """
    book = _Book(similarities.comparable_a.size, similarities.comparable_b.size)
    rows = np.flatnonzero(similarities.comparable_a)
    nearest_a, nearest_a_similarities = _look_up(book, rows, similarities, execution, on_progress)
    nearest_b, nearest_b_similarities = book.ids[:, 0].copy(), book.values[:, 0].copy()
    asking = rows.tolist()
    while asking := book.ask(asking, min_similarity):
        _look_up(book, np.array(asking), similarities, execution, lambda _share: None)
    nearest_a[~similarities.comparable_b] = -1
    return Matching(*book.pairs(), nearest_b, nearest_b_similarities, nearest_a, nearest_a_similarities)


class _Book:
    """Whom each feature of A may still ask, and whom each feature of B holds."""

    def __init__(self, features_a: int, features_b: int) -> None:
        self.ids = np.full((features_a, CANDIDATES), -1, dtype=np.int64)
        self.values = np.zeros((features_a, CANDIDATES))
        self._asked = [0] * features_a
        self.holders = np.full(features_b, -1, dtype=np.int64)
        self.held_values = np.zeros(features_b)

    def enter(self, tile: _Tile) -> None:
        """Give some features a new list."""
        self.ids[tile.rows], self.values[tile.rows] = tile.ids, tile.values
        for a in tile.rows.tolist():
            self._asked[a] = 0

    def ask(self, asking: Sequence[int], min_similarity: float) -> list[int]:
        """Let features of A ask down their lists until each is held or has nobody left to ask.

        Returns:
            Those whose list ended before the threshold did, ascending: they need a new one.
        """
        waiting, ended = deque(asking), []
        while waiting:
            a = waiting.popleft()
            place = self._asked[a]
            if place == CANDIDATES:
                ended.append(a)
                continue
            b, value = int(self.ids[a, place]), float(self.values[a, place])
            if b < 0 or value < min_similarity:
                continue
            self._asked[a] += 1
            rival = int(self.holders[b])
            if rival >= 0 and (-self.held_values[b], rival) < (-value, a):
                waiting.appendleft(a)
                continue
            self.holders[b], self.held_values[b] = a, value
            if rival >= 0:
                waiting.appendleft(rival)
        return sorted(ended)

    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the partner of each feature of A and how similar it is."""
        partners, similarities = np.full(len(self._asked), -1, dtype=np.int64), np.zeros(len(self._asked))
        taken = np.flatnonzero(self.holders >= 0)
        partners[self.holders[taken]], similarities[self.holders[taken]] = taken, self.held_values[taken]
        return partners, similarities


@dataclass(frozen=True, slots=True)
class _Tile:
    """What is kept of the similarities of some features of A.

    Attributes:
        rows: [r] the features.
        ids: [r, 16] features of B, best first; -1 where there are fewer.
        values: [r, 16] how similar they are.
        nearest: [F of B] the most similar of the rows.
        nearest_values: [F of B] how similar it is.
    """

    rows: NDArray[np.int64]
    ids: NDArray[np.int64]
    values: NDArray[np.float64]
    nearest: NDArray[np.int64]
    nearest_values: NDArray[np.float64]


def _look_up(
    book: _Book,
    rows: NDArray[np.int64],
    similarities: Similarities,
    execution: Execution,
    on_progress: Callable[[float], None],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Enter the best partners of some features of A that may still take them.

    Returns:
        The most similar of these features for each of B, and how similar it is.
    """
    nearest = np.full(book.holders.size, -1, dtype=np.int64)
    nearest_values = np.full(book.holders.size, -np.inf)
    tiles = np.split(rows, range(ROW_TILE, rows.size, ROW_TILE))
    found = map_tiles(lambda r: _tile(book, r, similarities), tiles, execution, tile_bytes=similarities.tile_bytes)
    for number, tile in enumerate(found):
        book.enter(tile)
        better = tile.nearest_values > nearest_values
        nearest[better], nearest_values[better] = tile.nearest[better], tile.nearest_values[better]
        on_progress((number + 1) / len(tiles))
    return nearest, nearest_values


def _tile(book: _Book, rows: NDArray[np.int64], similarities: Similarities) -> _Tile:
    tile = np.clip(np.round(similarities.tile(rows), DECIMALS), -1.0, 1.0)
    ids = np.full((rows.size, CANDIDATES), -1, dtype=np.int64)
    values = np.zeros((rows.size, CANDIDATES))
    keep_best(tile, rows, similarities.comparable_b, (book.holders, book.held_values), (ids, values))
    return _Tile(rows, ids, values, rows[tile.argmax(axis=0)], tile.max(axis=0))
