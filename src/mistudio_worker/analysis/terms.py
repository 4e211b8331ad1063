"""Which words stand in which text, found once for everything that reads words.

A term is a run of letters, combining marks, digits and underscores, case-folded and never stemmed, with
single apostrophes, hyphens or zero-width joiners inside (`don't`, `self-aware`, `15min`, `max_tokens`).
Scripts that write no blanks (Han, kana, Thai, Lao, Khmer, Burmese) give overlapping pairs of characters
instead. The order of terms and punctuation is kept beside them, for who looks for phrases.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mistudio_worker.analysis.characters import character_class
from mistudio_worker.analysis.kernels.term_index import (
    BREAK,
    JOINER,
    MARK,
    UNSPACED,
    WORD,
    fill_slots,
    index_texts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

LONGEST_TERM = 64
"""Longer tokens (base64, a word of 200,000 letters) are counted as words but are no terms."""

MOST_ATOMS = 2048
"""The order is kept of so many terms and marks from the start of a text: what models see of it, and more."""

BLOCK_CHARACTERS = 1 << 19
"""Texts are indexed in blocks of about this size: 2 MiB of code points in hand at once."""


@dataclass(frozen=True, slots=True)
class TermTable:
    """Distinct terms of every text (CSR over texts).

    Attributes:
        terms: ascending by code point; a term's id is its place.
        offsets: [n + 1] int64; text i owns `ids[offsets[i]:offsets[i + 1]]`.
        ids: [entries] int32, distinct and ascending within a text.
        document_frequency: [V] int32, number of texts that hold the term, >= 1.
        lengths: [n] int32, number of words of the text, repeated ones and over-long ones counted.
        marks: characters that are neither letter nor blank, ascending by code point.
        atom_offsets: [n + 1] int64; the start of text i reads `atoms[atom_offsets[i]:atom_offsets[i + 1]]`.
        atoms: int32, 2 s + b; s < V is a term, V + m the mark `marks[m]`; b = 1 after a blank. -1 for an
            over-long word.
    """

    terms: tuple[str, ...]
    offsets: NDArray[np.int64]
    ids: NDArray[np.int32]
    document_frequency: NDArray[np.int32]
    lengths: NDArray[np.int32]
    marks: str
    atom_offsets: NDArray[np.int64]
    atoms: NDArray[np.int32]


def build_term_table(texts: Sequence[str]) -> TermTable:
    """Tokenise every text once.

    The result depends on the texts alone: neither on hash order nor on the size of the blocks.
    An empty text has no terms and length 0. Memory: 12 bytes for each distinct term of a text and 4 for
    each of its first MOST_ATOMS terms and marks; in hand about 12 bytes for each character and 40 for each
    word of the largest block or text.
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
        self._atoms: list[NDArray[np.int32]] = []
        self._atom_counts: list[NDArray[np.int64]] = []

    def add(self, block: list[str]) -> None:
        """Index one block of case-folded texts."""
        codes = np.frombuffer("".join(block).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        self._classify(codes)
        tokens, marks = self._most_tokens(codes)
        tokens += len(block)
        self._reserve(tokens, codes.size)
        ids = np.empty(tokens, dtype=np.int32)
        distinct = np.empty(len(block), dtype=np.int64)
        lengths = np.empty(len(block), dtype=np.int32)
        atoms = np.empty(tokens + marks, dtype=np.int32)
        atom_counts = np.empty(len(block), dtype=np.int64)
        written, placed = index_texts(
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
            MOST_ATOMS,
            atoms,
            atom_counts,
        )
        self._atoms.append(atoms[:placed].copy())
        self._atom_counts.append(atom_counts)
        self._ids.append(ids[:written].copy())
        self._distinct.append(distinct)
        self._lengths.append(lengths)
        self._texts += len(block)

    def _classify(self, codes: NDArray[np.uint32]) -> None:
        present = np.zeros(self._classes.size, dtype=bool)
        present[codes] = True
        for code in np.flatnonzero(present & (self._classes == 255)).tolist():
            self._classes[code] = character_class(chr(code))

    def _most_tokens(self, codes: NDArray[np.uint32]) -> tuple[int, int]:
        """Tokens and marks of a block at most, but for a word that begins where the text before it ended."""
        classes = self._classes[codes]
        words = classes == WORD
        starts = np.count_nonzero(words[1:] & ~words[:-1]) + 1
        marks = np.count_nonzero(classes == MARK) + np.count_nonzero(classes == JOINER)
        return int(starts + np.count_nonzero(classes == UNSPACED)), int(marks)

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
        marks, atoms = _numbered(np.concatenate([*self._atoms, np.empty(0, dtype=np.int32)]), rank)
        counts = np.concatenate([np.zeros(1, dtype=np.int64), *self._atom_counts])
        return TermTable(
            terms=tuple(terms[i] for i in order),
            offsets=offsets,
            ids=ids,
            document_frequency=np.bincount(ids, minlength=len(terms)).astype(np.int32),
            lengths=np.concatenate([*self._lengths, np.empty(0, dtype=np.int32)]),
            marks=marks,
            atom_offsets=np.cumsum(counts),
            atoms=atoms,
        )

    def _terms(self) -> list[str]:
        bounds = self._bounds[: int(self._used[0]) + 1].tolist()
        letters = self._pool[: bounds[-1]].astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
        return [letters[start:end] for start, end in pairwise(bounds)]


def _numbered(atoms: NDArray[np.int32], rank: NDArray[np.int32]) -> tuple[str, NDArray[np.int32]]:
    """Marks in use, and the atoms with terms by rank and marks by their number after them; in place."""
    terms = atoms >= 0
    atoms[terms] = 2 * rank[atoms[terms] >> 1] + (atoms[terms] & 1)
    found = np.flatnonzero(~terms & (atoms != BREAK))
    codes = -1 - atoms[found]
    marks, number = np.unique(codes >> 1, return_inverse=True)
    atoms[found] = 2 * (rank.size + number) + (codes & 1)
    atoms[atoms == BREAK] = -1
    return "".join(map(chr, marks.tolist())), atoms


def _grown(array: NDArray[Any], size: int, fill: int) -> NDArray[Any]:
    grown = np.full(max(size, 2 * array.size), fill, dtype=array.dtype)
    grown[: array.size] = array
    return grown
