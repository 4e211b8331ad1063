"""The part of a text that shows why a feature fired, in at most 160 characters."""

from __future__ import annotations

import unicodedata
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.characters import is_unspaced
from mistudio_worker.analysis.execution import map_tiles
from mistudio_worker.analysis.kernels.keyword_clusters import LETTER, UNSPACED, find_clusters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from mistudio_worker.analysis.execution import Execution
    from mistudio_worker.analysis.top_examples import TopExamples

LONGEST_CONTEXT = 160
SEARCHED_CHARACTERS = 20_000
"""Keywords are looked for in the start of a text: models see a few hundred tokens of it at most."""
BEST_KEYWORDS = 5
OCCURRENCES_EACH = 8
"""A window is chosen from so many keywords, and from so many places of each: enough to show why, and bounded."""
_ELLIPSIS = "…"
_SLACK = 24
"""A cut moves by at most so many characters to reach a blank; longer words are cut within."""


BLOCK_CHARACTERS = 1 << 20
"""Texts are searched in blocks of about this size, each once for all features."""
_CODE_POINTS = 0x110000
_BLOCK_BYTES = 16 * BLOCK_CHARACTERS + 2 * _CODE_POINTS


def context_windows(
    texts: Sequence[str], top: TopExamples, keywords: Sequence[Sequence[str]], execution: Execution
) -> list[str]:
    """For each top text at most 160 characters around the densest cluster of keywords, else its start.

    White space runs become single blanks, so that a window is one line. Where something was cut off
    stands "…", counted in the 160. Cuts fall between words, and never before a combining mark. The
    cluster with the most distinct keywords wins, then the most occurrences, then the earliest one;
    keywords begin and end where words do, except in scripts without blanks.

    Args:
        texts: n texts of any length; only their first SEARCHED_CHARACTERS are searched.
        top: the top texts of all features.
        keywords: of each feature, best first: case-folded terms, may be empty.
        execution: threads; the result is the same for any.

    Returns:
        One window a top text, in their order: all of it where it fits, "" for a blank one.
    """
    owner = np.repeat(np.arange(top.offsets.size - 1), np.diff(top.offsets))
    order = np.argsort(top.texts, kind="stable")
    pool = _pool(keywords)

    def work(entries: NDArray[np.int64]) -> list[str]:
        return _windows(texts, top.texts[entries], owner[entries], pool)

    windows = [""] * order.size
    blocks = list(_blocks(texts, top.texts[order]))
    tiles = [order[start:end] for start, end in blocks]
    for entries, found in zip(tiles, map_tiles(work, tiles, execution, tile_bytes=_BLOCK_BYTES), strict=True):
        for entry, window in zip(entries.tolist(), found, strict=True):
            windows[entry] = window
    return windows


def _blocks(texts: Sequence[str], chosen: NDArray[np.int32]) -> Iterator[tuple[int, int]]:
    """Cut an ascending list of texts between texts, after each BLOCK_CHARACTERS."""
    start, characters = 0, 0
    for first in (places := np.flatnonzero(np.diff(chosen, prepend=-1))).tolist():
        if characters >= BLOCK_CHARACTERS:
            yield start, first
            start, characters = first, 0
        characters += min(len(texts[chosen[first]]), SEARCHED_CHARACTERS)
    if places.size:
        yield start, chosen.size


def _pool(keywords: Sequence[Sequence[str]]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]:
    """First keyword of each feature, first code point of each keyword, code points."""
    best = [list(mine[:BEST_KEYWORDS]) for mine in keywords]
    flat = list(chain.from_iterable(best))
    return _offsets(map(len, best)), _offsets(map(len, flat)), _codes("".join(flat))


def _offsets(sizes: Iterable[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *sizes], dtype=np.int64)


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _windows(
    texts: Sequence[str],
    chosen: NDArray[np.int32],
    owner: NDArray[np.int64],
    pool: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]],
) -> list[str]:
    """Windows of ascending texts for their features; each text is folded once."""
    distinct, places = np.unique(chosen, return_inverse=True)
    numbers = distinct.tolist()
    lines = [" ".join(texts[text][:SEARCHED_CHARACTERS].split()) for text in numbers]
    cut = [len(texts[text]) > SEARCHED_CHARACTERS for text in numbers]
    codes = _codes("".join(map(_folded, lines)))
    limits = (BEST_KEYWORDS, OCCURRENCES_EACH, LONGEST_CONTEXT - 2)
    searches = (places.astype(np.int64), owner)
    found = find_clusters((codes, _offsets(map(len, lines))), _classes(codes), searches, pool, limits)
    return [
        _window(lines[line], start, end, cut=cut[line])
        for line, (start, end) in zip(places.tolist(), found.tolist(), strict=True)
    ]


def _classes(codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Classes of the code points that occur."""
    present = np.zeros(_CODE_POINTS, dtype=np.bool_)
    present[codes] = True
    classes = np.zeros(_CODE_POINTS, dtype=np.uint8)
    for code in np.flatnonzero(present).tolist():
        character = chr(code)
        classes[code] = LETTER * _is_word(character) + UNSPACED * is_unspaced(character)
    return classes


def _folded(line: str) -> str:
    """Case-folded with the same length, so that places agree."""
    folded = line.casefold()
    if len(folded) == len(line):
        return folded
    return "".join(f if len(f := c.casefold()) == 1 else c for c in line)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M"


def _window(line: str, start: int, end: int, *, cut: bool) -> str:
    """The cluster in the middle, moved to the borders of the line and of its words; the line itself where it fits."""
    if len(line) <= LONGEST_CONTEXT and not cut:
        return line
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
