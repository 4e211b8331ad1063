"""Whether a keyword is right, and whether a planted word was found."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.truth.measuring import Outcome

FIRST = 5
TIMES_AS_FREQUENT = 5.0
UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u4e00-\u9fff]")


def precision(outcomes: Sequence[Outcome], *, naive: bool = False) -> float:
    """Return the share of all first five keywords that are right; 0 where there are none."""
    verdicts = [is_right(outcome, word) for outcome in outcomes for word in first_words(outcome, naive=naive)]
    return sum(verdicts) / max(1, len(verdicts))


def recall(outcomes: Sequence[Outcome], *, naive: bool = False) -> float:
    """Return the share of all planted words that are found among the first five keywords of their feature."""
    found = [
        any(names(keyword, word) for keyword in first_words(outcome, naive=naive))
        for outcome in outcomes
        for word in outcome.planted.words
    ]
    return sum(found) / max(1, len(found))


def first_words(outcome: Outcome, *, naive: bool) -> tuple[str, ...]:
    """Return at most five keywords, of the report or of the baseline."""
    return (outcome.frequent if naive else outcome.report.pattern_keywords)[:FIRST]


def is_right(outcome: Outcome, keyword: str) -> bool:
    """Whether the planted members hold the keyword at least 5 times as often as all texts do."""
    holds = holders(keyword, tuple(outcome.corpus.texts))
    members = outcome.planted.members
    rate = sum(holds[row] for row in members.tolist()) / len(members)
    return bool(rate >= TIMES_AS_FREQUENT * sum(holds) / len(holds))


def names(keyword: str, word: str) -> bool:
    """Whether a keyword is the planted word, holds it as one of its words, or is a part of it in an unspaced script.

    >>> names("united states", "states"), names('"type"', "type"), names("statesman", "states")
    (True, True, False)
    """
    if UNSPACED.search(word):
        return keyword in word or word in keyword
    return word in re.findall(r"\w+", keyword)


@lru_cache(maxsize=20_000)
def holders(keyword: str, texts: tuple[str, ...]) -> tuple[bool, ...]:
    """Return which texts hold a keyword, case-folded, between word boundaries; its blanks match any separators."""
    pattern = r"\W+".join(re.escape(part) for part in keyword.split())
    if not UNSPACED.search(keyword):
        pattern = (
            (r"(?<!\w)" if keyword[:1].isalnum() else "") + pattern + (r"(?!\w)" if keyword[-1:].isalnum() else "")
        )
    expression = re.compile(pattern)
    return tuple(expression.search(text) is not None for text in folded(texts))


@lru_cache(maxsize=4)
def folded(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return case-folded texts."""
    return tuple(text.casefold() for text in texts)
