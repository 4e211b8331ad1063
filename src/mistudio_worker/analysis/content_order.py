"""An order of the texts that depends on what they say alone."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mistudio_worker.analysis.duplicates import DuplicateGroups


def shuffled(texts: Sequence[str]) -> NDArray[np.int64]:
    """Return all row indices in the order of the CRC-32 of the UTF-8 bytes, equal texts by their index.

    The first texts are as good as drawn at random, are the same ones whatever the order of the rows, and change
    little when texts are added.
    """
    marks = [zlib.crc32(text.encode("utf-8", "surrogatepass")) for text in texts]
    return np.argsort(np.array(marks, dtype=np.int64), kind="stable")


def distinct_texts(texts: Sequence[str], duplicates: DuplicateGroups) -> NDArray[np.int64]:
    """Return [groups] one text of each group of near-duplicates, shuffled: the first of its group in that order."""
    order = shuffled(texts)
    _, first = np.unique(duplicates.group[order], return_index=True)
    return order[np.sort(first)]
