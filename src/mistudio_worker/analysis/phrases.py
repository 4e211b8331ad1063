"""Terms of several atoms: phrases (`state of the union`) and structural tokens (`{"type":`, `user:`, `*/5`).

Atoms are the words and marks of a text in the order in which it reads; `phrase_rules.py` says which runs are terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.characters import is_unspaced
from mistudio_worker.analysis.execution import map_tiles, spans
from mistudio_worker.analysis.kernels.phrase_counts import count_holders, count_places, number_runs
from mistudio_worker.analysis.kernels.phrase_search import common_phrases
from mistudio_worker.analysis.phrase_rules import CONTENT, LETTER, MOST_ATOMS_OF_A_TERM, automaton, mark_bits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.execution import Execution
    from mistudio_worker.analysis.terms import TermTable
    from mistudio_worker.analysis.top_examples import GroupedTop

FEATURE_TILE = 256
TEXT_TILE = 4096
MOST_PHRASES = 64
"""Phrases of a feature that are tested at most: bounds the memory where top texts are copies of each other."""


@dataclass(frozen=True, slots=True)
class CommonPhrases:
    """Terms of several atoms that enough top texts of a feature hold, one column a find, ascending by feature.

    Attributes:
        feature: [finds].
        place: [finds] where the term stands in the table's atoms.
        length: [finds] its atoms.
        count: [finds] top texts that hold it.
        groups: [finds] the same, copies counted once.
        frequency: [finds] texts of the corpus that hold it.
    """

    feature: NDArray[np.int64]
    place: NDArray[np.int64]
    length: NDArray[np.int64]
    count: NDArray[np.int64]
    groups: NDArray[np.int64]
    frequency: NDArray[np.int64]


def kinds_of_atoms(table: TermTable, content: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the kind of every term and mark.

    Args:
        table: V terms and their marks.
        content: [V] words that may begin and end a phrase.

    Returns:
        [V + marks] int32, for the automaton.
    """
    letters = np.fromiter((any(map(str.isalpha, t)) for t in table.terms), dtype=bool, count=len(table.terms))
    kinds = automaton().kinds
    words = np.where(content, kinds[LETTER | CONTENT], np.where(letters, kinds[LETTER], kinds[0]))
    return np.concatenate([words, [kinds[mark_bits(mark)] for mark in table.marks]]).astype(np.int32)


def count_terms(table: TermTable, kinds: NDArray[np.int32]) -> int:
    """Return the number of places where a term of several atoms stands, each length at one place counted."""
    rules = automaton()
    return int(count_places(table.atom_offsets, table.atoms, kinds, rules.steps, rules.forms, MOST_ATOMS_OF_A_TERM))


def find_common_phrases(
    table: TermTable, top: GroupedTop, kinds: NDArray[np.int32], least: NDArray[np.int64], execution: Execution
) -> CommonPhrases:
    """Find the terms of several atoms that enough top texts hold, and count them over the corpus.

    The search reads the top texts of a feature alone; what it finds is counted in one pass over all texts. Memory:
    at most MOST_PHRASES finds a feature, and for a tile 500 bytes for each atom of a feature's top texts.

    Args:
        table: atoms of all n texts.
        top: top texts of all features.
        kinds: see `kinds_of_atoms`.
        least: [F] top texts that must hold a term.
        execution: threads; the result is the same for any.
    """
    feature, place, length, count, groups = _search(table, top, kinds, least, execution)
    slots = np.full(1 << (2 * place.size + 2).bit_length(), -1, dtype=np.int32)
    number, example = np.empty((2, place.size), dtype=np.int32)
    used = number_runs(table.atoms, place, length, slots, number, example)
    rules = automaton()
    runs = (place[example[:used]], length[example[:used]])

    def work(texts: tuple[int, int]) -> NDArray[np.int32]:
        counts: NDArray[np.int32] = count_holders(
            texts,
            table.atom_offsets,
            table.atoms,
            kinds,
            rules.steps,
            rules.forms,
            MOST_ATOMS_OF_A_TERM,
            *runs,
            slots,
        )
        return counts

    frequency = np.zeros(used, dtype=np.int64)
    if used:
        tiles = spans(table.atom_offsets.size - 1, TEXT_TILE)
        for counts in map_tiles(work, tiles, execution, tile_bytes=8 * used):
            frequency += counts
    return CommonPhrases(feature, place, length, count, groups, frequency[number])


def _search(
    table: TermTable, top: GroupedTop, kinds: NDArray[np.int32], least: NDArray[np.int64], execution: Execution
) -> NDArray[np.int64]:
    """[5, finds] as `common_phrases` writes them."""
    rules = automaton()
    atoms = np.diff(table.atom_offsets)[top.texts]
    widest = int(np.diff(np.concatenate([[0], np.cumsum(atoms)])[top.offsets]).max(initial=1))

    def work(features: tuple[int, int]) -> NDArray[np.int64]:
        out = np.empty((5, MOST_PHRASES * (features[1] - features[0])), dtype=np.int64)
        found = common_phrases(
            top.offsets,
            top.texts,
            top.groups,
            features,
            table.atom_offsets,
            table.atoms,
            kinds,
            rules.steps,
            rules.forms,
            least,
            MOST_ATOMS_OF_A_TERM,
            MOST_PHRASES,
            out,
        )
        return out[:, :found].copy()

    tiles = spans(top.offsets.size - 1, FEATURE_TILE)
    parts = list(map_tiles(work, tiles, execution, tile_bytes=500 * widest + 4 * kinds.size)) if tiles else []
    return np.concatenate([*parts, np.empty((5, 0), dtype=np.int64)], axis=1)


def phrase_text(table: TermTable, place: int, length: int) -> str:
    """Write a term as it stands in the text, case-folded, with single blanks.

    Pairs of characters overlap: of the second only the last character is new.
    """
    written = ""
    before = ""
    for atom in table.atoms[place : place + length].tolist():
        symbol = atom >> 1
        word = symbol < len(table.terms)
        mine = table.terms[symbol] if word else table.marks[symbol - len(table.terms)]
        if written and atom & 1:
            written += " " + mine
        elif word and before and is_unspaced(before) and is_unspaced(mine[0]):
            written += mine[1:]
        else:
            written += mine
        before = mine[-1] if word else ""
    return written
