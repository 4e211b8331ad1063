"""The naive measures that the published ones have to beat: what a first version does with the top texts alone."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

KEYWORDS = 5
WORD = re.compile(r"\w{4,}")


def word_overlap(top_texts: Sequence[str]) -> float:
    """Return the mean Jaccard similarity of the sets of words, split at white space, over all pairs of top texts.

    0 below 2 texts; 0 for a pair of empty texts.

    >>> word_overlap(["a b", "a c", "a b"])
    0.5555555555555555
    """
    words = [set(text.casefold().split()) for text in top_texts]
    pairs = [len(a & b) / max(1, len(a | b)) for a, b in combinations(words, 2)]
    return sum(pairs) / len(pairs) if pairs else 0.0


def frequent_words(top_texts: Sequence[str]) -> tuple[str, ...]:
    """Return the words of 4 letters and more that stand in the most top texts, the first five, ties by code point."""
    counts = Counter(word for text in top_texts for word in set(WORD.findall(text.casefold())))
    return tuple(word for word, _ in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:KEYWORDS])
