"""What the length of the top texts alone would make of a term: long texts hold more of every word.

With m_i distinct words in text i, a term of document frequency df stands in text i with probability
1 - exp(-theta m_i), where theta is such that the sum over all n texts is df.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betainc

from mistudio_worker.analysis.kernels.term_counts import mean_shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.significance import TermFinds
    from mistudio_worker.analysis.terms import TermTable
    from mistudio_worker.analysis.top_examples import GroupedTop

GRID = np.geomspace(1e-9, 1e2, 1024)
"""theta between two points is interpolated: within 0.1 % of the df."""


LEAST_ODDS = 4.0
"""A term needs odds in the top texts of so many times what their length makes expect: a large effect, whatever its
significance."""
LENGTH_ERROR = 1e-4
"""Chance of a term to stand in so many texts of that length: top texts hold some thousand words, so that less than
one of them is to be expected."""


def beyond_length(table: TermTable, top: GroupedTop, finds: TermFinds) -> NDArray[np.bool_]:
    """Whether more top texts hold a term than their length explains; copies count once.

    With e the mean probability over the k distinct top texts, of which y hold the term:
    (y + 0.5) / (k - y + 0.5) is at least LEAST_ODDS times e / (1 - e), and the binomial probability of y or more
    of k at e is at most LENGTH_ERROR.

    Args:
        table: terms of all n texts.
        top: top texts of all features.
        finds: terms, each in some top text of its feature.

    Returns:
        [finds].
    """
    offsets, distinct = top.distinct()
    others = np.diff(offsets)[finds.feature] - finds.groups
    words = np.diff(table.offsets).astype(np.float64)
    lengths, texts = np.unique(words, return_counts=True)
    holders = ((1.0 - np.exp(-GRID[:, None] * lengths)) * texts).sum(axis=1)
    expected = mean_shares(offsets, distinct, words, finds.feature, np.interp(finds.frequency, holders, GRID))
    large = (finds.groups + 0.5) * (1.0 - expected) >= LEAST_ODDS * (others + 0.5) * expected
    kept: NDArray[np.bool_] = large & (betainc(finds.groups, others + 1, expected) <= LENGTH_ERROR)
    return kept
