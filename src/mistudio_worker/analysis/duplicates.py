"""Texts that nearly repeat others: they fake coherence, and count once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.kernels.duplicate_groups import leaders, repeats, set_hashes
from mistudio_worker.analysis.top_examples import GroupedTop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mistudio_worker.analysis.terms import TermTable
    from mistudio_worker.analysis.top_examples import TopExamples

JACCARD_FIFTHS = 4
"""Texts are near-duplicates from a Jaccard similarity of 4/5 of their distinct terms."""

MOST_CANDIDATES = 64
"""Texts compared for each rare term of a text; only a corpus made of few terms has more."""


@dataclass(frozen=True, slots=True)
class DuplicateGroups:
    """Which texts nearly repeat each other.

    Attributes:
        group: [n] int64, the lowest index among the texts of a text's group; its own where it has no repeats.
    """

    group: NDArray[np.int64]

    @property
    def repeated_texts(self) -> int:
        """Number of texts that nearly repeat an earlier one, 0 to n - 1."""
        return int(np.count_nonzero(self.group != np.arange(self.group.size)))


def group_duplicates(texts: Sequence[str], table: TermTable) -> DuplicateGroups:
    """Find the near-duplicates of the whole corpus once.

    J(A, B) = |A and B| / |A or B| over distinct terms, counted in whole numbers; near from 0.8. Texts are taken
    from few terms to many, equally many in the order of a hash of the terms; each joins the first leader that is
    near it, else leads a group. So members are near their leader, not always each other: likeness does not
    chain from text to text. The groups do not depend on the order of the rows. Texts without terms are
    grouped where they are equal but for blanks around them.

    Cost: linear in the number of terms, with at most 64 comparisons for each of the rarest fifth of a text's terms.
    """
    sizes = np.diff(table.offsets)
    hashes = set_hashes(table.offsets, table.ids)
    order = np.lexsort((hashes, sizes))
    rarity = np.empty(len(table.terms), dtype=np.int32)
    rarity[np.argsort(table.document_frequency, kind="stable")] = np.arange(rarity.size, dtype=np.int32)
    spoken = order[sizes[order] > 0]
    leader = leaders(spoken, (table.offsets, table.ids), rarity, JACCARD_FIFTHS, MOST_CANDIDATES)
    first: dict[str, int] = {}
    for text in np.flatnonzero(sizes == 0).tolist():
        leader[text] = first.setdefault(texts[text].strip(), text)
    lowest = np.full(sizes.size, sizes.size, dtype=np.int64)
    np.minimum.at(lowest, leader, np.arange(sizes.size))
    return DuplicateGroups(lowest[leader])


def near_duplicate_shares(groups: DuplicateGroups, top: TopExamples) -> NDArray[np.float64]:
    """Share of top texts that nearly repeat a better-ranked one: those whose group has one.

    Returns:
        [F] float64, 0 to (k - 1) / k, lower is better; NaN below 2 top texts, where it is not defined.
    """
    sizes = np.diff(top.offsets)
    counts = repeats(top.offsets, top.texts, groups.group)
    shares: NDArray[np.float64] = np.where(sizes >= 2, counts / np.maximum(sizes, 1), np.nan)
    return shares


def group_top_texts(groups: DuplicateGroups, top: TopExamples) -> GroupedTop:
    """Put the near-duplicates among the top texts of each feature side by side."""
    sizes = np.diff(top.offsets)
    owner = np.repeat(np.arange(sizes.size), sizes)
    _, first, inverse = np.unique(
        owner * groups.group.size + groups.group[top.texts], return_index=True, return_inverse=True
    )
    best = first[inverse]
    order = np.argsort(best, kind="stable")
    number = np.cumsum(np.diff(best[order], prepend=-1) != 0)
    start = number[top.offsets[:-1][sizes > 0]]
    return GroupedTop(top.offsets, top.texts[order], (number - np.repeat(start, sizes[sizes > 0])).astype(np.int32))
