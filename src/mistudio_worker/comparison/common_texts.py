"""The texts that two runs both hold."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class CommonTexts:
    """Rows of the same texts; common text i is row `rows_a[i]` of A, in the order of A.

    Attributes:
        count: m.
        places_a: [n of A] int32, the common text of a row; -1 for a text that B lacks.
        places_b: [n of B] int32, likewise.
    """

    count: int
    places_a: NDArray[np.int32]
    places_b: NDArray[np.int32]


def match_texts(a: Sequence[str], b: Sequence[str]) -> CommonTexts:
    """Match texts by content; of a text that stands several times, the first with the first, and so on.

    >>> found = match_texts(["x", "y", "x"], ["x", "z", "x", "x"])
    >>> found.count, found.places_a.tolist(), found.places_b.tolist()
    (2, [0, -1, 1], [0, -1, 1, -1])
    """
    waiting: defaultdict[str, deque[int]] = defaultdict(deque)
    for row, text in enumerate(b):
        waiting[text].append(row)
    places_a, places_b = np.full(len(a), -1, dtype=np.int32), np.full(len(b), -1, dtype=np.int32)
    count = 0
    for row, text in enumerate(a):
        rows = waiting.get(text)
        if rows:
            places_a[row], places_b[rows.popleft()] = count, count
            count += 1
    return CommonTexts(count, places_a, places_b)
