"""Which words stand in which text, found once for everything that reads words.

A term is a run of letters, marks, digits and underscores, case-folded and never stemmed, with single
apostrophes or hyphens inside (`don't`, `self-aware`, `15min`, `max_tokens`). Scripts that write no
blanks (Han, kana, Thai, Lao, Khmer, Burmese) give overlapping pairs of characters instead.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mistudio_worker.analysis.kernels.term_index import JOINER, SEPARATOR, UNSPACED, WORD, fill_slots, index_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

LONGEST_TERM = 64
"""Longer tokens (base64, a word of 200,000 letters) are counted as words but are no terms."""

BLOCK_CHARACTERS = 1 << 19
"""Texts are indexed in blocks of about this size: 2 MiB of code points in hand at once."""

JOINERS = "'’-"
UNSPACED_RANGES = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3005, 0x3007),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)


@dataclass(frozen=True, slots=True)
class TermTable:
    """Distinct terms of every text (CSR over texts).

    Attributes:
        terms: ascending by code point; a term's id is its place.
        offsets: [n + 1] int64; text i owns `ids[offsets[i]:offsets[i + 1]]`.
        ids: [entries] int32, distinct and ascending within a text.
        document_frequency: [V] int32, number of texts that hold the term, >= 1.
        lengths: [n] int32, number of words of the text, repeated ones and over-long ones counted.
    """

    terms: tuple[str, ...]
    offsets: NDArray[np.int64]
    ids: NDArray[np.int32]
    document_frequency: NDArray[np.int32]
    lengths: NDArray[np.int32]


def is_unspaced(character: str) -> bool:
    """Whether the character belongs to a script that writes no blanks between words."""
    code = ord(character)
    return code >= UNSPACED_RANGES[0][0] and any(low <= code <= high for low, high in UNSPACED_RANGES)


def build_term_table(texts: Sequence[str]) -> TermTable:
    """Tokenise every text once.

    The result depends on the texts alone: neither on hash order nor on the size of the blocks.
    An empty text has no terms and length 0. Memory: 12 bytes for each distinct term of a text,
    and in hand about 12 bytes for each character and 40 for each word of the largest block or text.
    """
    index = _Index()
    for block in _blocks(texts):
        index.add(block)
    return index.table()


def _blocks(texts: Sequence[str]) -> Iterator[list[str]]:
    block: list[str] = []
    characters = 0
    for text in texts:
        if block and characters + len(text) > BLOCK_CHARACTERS:
            yield block
            block, characters = [], 0
        block.append(text.casefold())
        characters += len(text)
    if block:
        yield block


class _Index:
    """Terms seen so far, with room for the next block."""

    def __init__(self) -> None:
        self._classes = np.full(0x110000, 255, dtype=np.uint8)
        self._slots = np.full(0, -1, dtype=np.int32)
        self._pool = np.empty(0, dtype=np.uint32)
        self._bounds = np.zeros(1, dtype=np.int64)
        self._stamps = np.empty(0, dtype=np.int64)
        self._used = np.zeros(1, dtype=np.int64)
        self._texts = 0
        self._ids: list[NDArray[np.int32]] = []
        self._distinct: list[NDArray[np.int64]] = []
        self._lengths: list[NDArray[np.int32]] = []

    def add(self, block: list[str]) -> None:
        """Index one block of case-folded texts."""
        codes = np.frombuffer("".join(block).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        self._classify(codes)
        tokens = self._most_tokens(codes) + len(block)
        self._reserve(tokens, codes.size)
        ids = np.empty(tokens, dtype=np.int32)
        distinct = np.empty(len(block), dtype=np.int64)
        lengths = np.empty(len(block), dtype=np.int32)
        written = index_texts(
            codes,
            np.cumsum([len(text) for text in block], dtype=np.int64),
            self._texts,
            self._classes,
            LONGEST_TERM,
            self._slots,
            self._pool,
            self._bounds,
            self._used,
            self._stamps,
            ids,
            distinct,
            lengths,
        )
        self._ids.append(ids[:written].copy())
        self._distinct.append(distinct)
        self._lengths.append(lengths)
        self._texts += len(block)

    def _classify(self, codes: NDArray[np.uint32]) -> None:
        present = np.zeros(self._classes.size, dtype=bool)
        present[codes] = True
        for code in np.flatnonzero(present & (self._classes == 255)).tolist():
            self._classes[code] = _character_class(chr(code))

    def _most_tokens(self, codes: NDArray[np.uint32]) -> int:
        """Tokens of a block at most, but for a word that begins where the text before it ended."""
        classes = self._classes[codes]
        words = classes == WORD
        starts = np.count_nonzero(words[1:] & ~words[:-1]) + 1
        return int(starts + np.count_nonzero(classes == UNSPACED))

    def _reserve(self, tokens: int, characters: int) -> None:
        """Make room for as many new terms as a block can bring."""
        terms = int(self._used[0])
        most = terms + tokens
        if self._stamps.size < most:
            self._stamps = _grown(self._stamps, most, -1)
            self._bounds = _grown(self._bounds, most + 1, 0)
        characters_most = int(self._bounds[terms]) + 2 * characters  # pairs overlap: two a character
        if self._pool.size < characters_most:
            self._pool = _grown(self._pool, characters_most, 0)
        if self._slots.size < 2 * most:
            self._slots = np.full(1 << (2 * most).bit_length(), -1, dtype=np.int32)
            fill_slots(self._slots, self._pool, self._bounds, terms)

    def table(self) -> TermTable:
        """Number the terms by code point instead of by appearance."""
        terms = self._terms()
        order = sorted(range(len(terms)), key=terms.__getitem__)
        rank = np.empty(len(terms), dtype=np.int32)
        rank[order] = np.arange(len(terms), dtype=np.int32)
        distinct = np.concatenate([*self._distinct, np.empty(0, dtype=np.int64)])
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(distinct)])
        ids = rank[np.concatenate([*self._ids, np.empty(0, dtype=np.int32)])]
        keys = np.repeat(np.arange(distinct.size, dtype=np.int64) * max(len(terms), 1), distinct) + ids
        keys.sort()
        ids = (keys % max(len(terms), 1)).astype(np.int32)
        return TermTable(
            terms=tuple(terms[i] for i in order),
            offsets=offsets,
            ids=ids,
            document_frequency=np.bincount(ids, minlength=len(terms)).astype(np.int32),
            lengths=np.concatenate([*self._lengths, np.empty(0, dtype=np.int32)]),
        )

    def _terms(self) -> list[str]:
        bounds = self._bounds[: int(self._used[0]) + 1].tolist()
        letters = self._pool[: bounds[-1]].astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
        return [letters[start:end] for start, end in pairwise(bounds)]


def _grown(array: NDArray[Any], size: int, fill: int) -> NDArray[Any]:
    grown = np.full(max(size, 2 * array.size), fill, dtype=array.dtype)
    grown[: array.size] = array
    return grown


def _character_class(character: str) -> int:
    if character in JOINERS:
        return JOINER
    if character != "_" and unicodedata.category(character)[0] not in "LMN":
        return SEPARATOR
    return UNSPACED if is_unspaced(character) else WORD
