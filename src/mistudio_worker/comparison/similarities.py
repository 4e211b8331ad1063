"""What it means that two features are alike: the interface between the methods and the matching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from mistudio_worker.domain.comparison import MatchMethod

ROW_TILE = 128
"""Features of A whose similarities are in one tile."""

MIN_COMMON = 5
"""Texts that a feature must fire on to be compared by them: below, two features agree by chance too easily. The
same bound as for a defined coherence."""

DEFAULT_MIN_SIMILARITY: dict[MatchMethod, float] = {"decoder": 0.7, "activation": 0.7, "top_texts": 0.33}
"""Half in common, in each measure's own terms: a cosine of 0.7 is half of the squared length along the other
direction, a correlation of 0.7 half of the variance explained, a Jaccard of 0.33 half of the texts of two equally
large sets. No feature can have more than half in common with two features that have nothing in common."""


@dataclass(frozen=True, slots=True)
class Similarities:
    """Similarities of the features of A to those of B, computed when asked for: never held as [F of A, F of B].

    Attributes:
        method: what is compared.
        comparable_a: [F of A] features that give something to match by.
        comparable_b: [F of B] likewise.
        lack: what the other features lack.
        tile: for some features of A, ids [r], their similarities [r, F of B] float64, at most 1; any number
            in the columns that are not comparable. Called from several threads.
        tile_bytes: working memory of a tile of `ROW_TILE` features.
        common_texts: texts that both runs hold; None where no texts are compared.
        caveats: what a reader must know of these similarities.
    """

    method: MatchMethod
    comparable_a: NDArray[np.bool_]
    comparable_b: NDArray[np.bool_]
    lack: str
    tile: Callable[[NDArray[np.int64]], NDArray[np.float64]]
    tile_bytes: int
    common_texts: int | None = None
    caveats: tuple[str, ...] = ()
