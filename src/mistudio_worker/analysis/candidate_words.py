"""Words that may be keywords, and begin and end phrases: no function words."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from mistudio_worker.analysis.terms import TermTable

FOREIGN_SHARE, FOREIGN_TEXTS = 0.01, 10
"""A function word of another language that more than this share of the texts, and more than so many, hold is a stop
word. Below, the corpus is in other languages, and such words may be all that tells its few texts apart."""


def stop_words(name: str = "stop_words.txt") -> frozenset[str]:
    """Function words of English, or of other languages (`stop_words_other.txt`), from the package."""
    text = (files("mistudio_worker.analysis") / "data" / name).read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


def candidate_words(table: TermTable, also_stopped: AbstractSet[str] = frozenset()) -> NDArray[np.bool_]:
    """Words that may be keywords: no stop words, more than one character, with a letter, no combining mark in front.

    Function words of other languages than English are stop words where they are common, see FOREIGN_SHARE.

    Args:
        table: V terms.
        also_stopped: further case-folded terms that are never keywords.

    Returns:
        [V].
    """
    stopped = stop_words() | also_stopped
    usual = stop_words("stop_words_other.txt")
    n = table.offsets.size - 1
    common = table.document_frequency > max(FOREIGN_TEXTS, FOREIGN_SHARE * n)
    return np.fromiter(
        (
            len(t) > 1 and t not in stopped and not (c and t in usual) and any(map(str.isalpha, t)) and t[0].isalnum()
            for t, c in zip(table.terms, common.tolist(), strict=True)
        ),
        dtype=bool,
        count=len(table.terms),
    )
