"""The part of a text that shows why a feature fired, in at most 160 characters."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from mistudio_worker.analysis.characters import is_unspaced

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_CONTEXT = 160
SEARCHED_CHARACTERS = 20_000
"""Keywords are looked for in the start of a text: models see a few hundred tokens of it at most."""
BEST_KEYWORDS = 5
OCCURRENCES_EACH = 8
"""A window is chosen from so many keywords, and from so many places of each: enough to show why, and bounded."""
_ELLIPSIS = "…"
_SLACK = 24
"""A cut moves by at most so many characters to reach a blank; longer words are cut within."""


def context_window(text: str, keywords: Sequence[str]) -> str:
    """At most 160 characters around the densest cluster of keywords, else the start of the text.

    White space runs become single blanks, so that a window is one line. Where something was cut off
    stands "…", counted in the 160. Cuts fall between words, and never before a combining mark. The
    cluster with the most distinct keywords wins, then the most occurrences, then the earliest one;
    keywords begin and end where words do, except in scripts without blanks.

    Args:
        text: of any length; only its first SEARCHED_CHARACTERS are searched.
        keywords: case-folded terms, may be empty.

    Returns:
        The whole text where it fits; "" for a blank text.
    """
    line = " ".join(text[:SEARCHED_CHARACTERS].split())
    cut = len(text) > SEARCHED_CHARACTERS
    if len(line) <= LONGEST_CONTEXT and not cut:
        return line
    start, end = _cluster(_occurrences(_folded(line), keywords))
    return _window(line, start, end, cut=cut)


def _folded(line: str) -> str:
    """Case-folded with the same length, so that places agree."""
    folded = line.casefold()
    if len(folded) == len(line):
        return folded
    return "".join(f if len(f := c.casefold()) == 1 else c for c in line)


def _occurrences(folded: str, keywords: Sequence[str]) -> list[tuple[int, int, int]]:
    """Ascending (start, end, keyword) of whole words; the first few of each of the best keywords."""
    found: list[tuple[int, int, int]] = []
    for number, keyword in enumerate(keywords[:BEST_KEYWORDS]):
        at = folded.find(keyword) if keyword else -1
        most = len(found) + OCCURRENCES_EACH
        while at >= 0 and len(found) < most:
            end = at + len(keyword)
            if _stands_alone(folded, at, end):
                found.append((at, end, number))
            at = folded.find(keyword, end)
    return sorted(found)


def _stands_alone(folded: str, start: int, end: int) -> bool:
    """Whether neither end lies within a word; between characters of a script without blanks every place is an end."""
    return _may_end(folded, start) and _may_end(folded, end)


def _may_end(folded: str, at: int) -> bool:
    return at in (0, len(folded)) or _is_border(folded[at - 1], folded[at])


@lru_cache(maxsize=1 << 16)
def _is_border(before: str, after: str) -> bool:
    """Whether a word may end between two characters; kept, since the same few pairs are asked for all the time."""
    return not (_is_word(before) and _is_word(after)) or is_unspaced(before) or is_unspaced(after)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M"


def _cluster(found: list[tuple[int, int, int]]) -> tuple[int, int]:
    """Start and end of the best run of occurrences that fits into a window; (0, 0) without any."""
    best, place = (0, 0), (0, 0)
    first = 0
    inside: dict[int, int] = {}
    for last, (_, end, number) in enumerate(found):
        inside[number] = inside.get(number, 0) + 1
        while end - found[first][0] > LONGEST_CONTEXT - 2 and first < last:
            gone = found[first][2]
            inside[gone] -= 1
            if not inside[gone]:
                del inside[gone]
            first += 1
        score = (len(inside), last - first + 1)
        if score > best:
            best, place = score, (found[first][0], end)
    return place


def _window(line: str, start: int, end: int, *, cut: bool) -> str:
    """The cluster in the middle, moved to the borders of the line and of its words."""
    room = LONGEST_CONTEXT - 2
    left = max(0, min(start - max(0, room - (end - start)) // 2, len(line) - room)) if end else 0
    if left:
        left = _next_border(line, left, max(left, start))
    right = min(len(line), left + LONGEST_CONTEXT - (left > 0))
    if right < len(line) or cut:
        right = _last_border(line, min(right, left + LONGEST_CONTEXT - (left > 0) - 1), max(left + 1, end))
    before = _ELLIPSIS if left else ""
    after = _ELLIPSIS if right < len(line) or cut else ""
    return before + line[left:right].strip() + after


def _next_border(line: str, at: int, latest: int) -> int:
    blank = line.find(" ", at - 1, min(at + _SLACK, latest))
    if blank >= 0:
        return blank + 1
    while at < latest and unicodedata.combining(line[at]):
        at += 1
    return at


def _last_border(line: str, at: int, earliest: int) -> int:
    if at >= len(line):
        return len(line)
    blank = line.rfind(" ", max(at - _SLACK, earliest), at + 1)
    if blank >= 0:
        return blank
    while at > earliest and unicodedata.combining(line[at]):
        at -= 1
    return at
