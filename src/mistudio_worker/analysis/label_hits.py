"""Which texts match which label of the taxonomy, found once over all texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.pattern_search import find_matches
from mistudio_worker.analysis.terms import build_term_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mistudio_worker.analysis.taxonomy import Taxonomy
    from mistudio_worker.analysis.terms import TermTable

WORDS_FOR_ONE_MORE = 150
"""A text must hold one more distinct word of a label for each so many words that it has, so that long
texts do not match everything."""
SHORT_TEXT_WORDS = 20
"""A text of at most so many words needs one word less of a label, though never less than one."""


@dataclass(frozen=True, slots=True)
class LabelHits:
    """Matches of all texts.

    Attributes:
        taxonomy: L labels; its entries (words, phrases, patterns) are numbered in its order.
        scores: [n, L] float32, evidence of the text for the label, 0 to 1.
        labels: [n, L] bool, whether the text matches the label: whether its evidence is 1.
        corpus_rates: [L] share of texts that match; 0 without texts.
        entry_names: [E] words, phrases and names of patterns.
        entry_offsets: [L + 1] first entry of each label.
        entries: [n, E] sparse 0/1.
    """

    taxonomy: Taxonomy
    scores: NDArray[np.float32]
    labels: NDArray[np.bool_]
    corpus_rates: NDArray[np.float64]
    entry_names: tuple[str, ...]
    entry_offsets: tuple[int, ...]
    entries: sparse.csr_array

    def categories(self) -> tuple[list[str], NDArray[np.bool_]]:
        """Names of the categories, and [n, C] whether a text matches any part of each."""
        columns: dict[str, list[int]] = {}
        for i, label in enumerate(self.taxonomy.labels):
            if label.kind == "category":
                columns.setdefault(label.name, []).append(i)
        matches = [self.labels[:, parts].any(axis=1) for parts in columns.values()]
        return list(columns), np.column_stack(matches)

    def entry_counts(self, texts: NDArray[np.int32]) -> NDArray[np.int64]:
        """[E] how many of these texts match each entry."""
        starts, ends = self.entries.indptr[texts], self.entries.indptr[texts + 1]
        found = [self.entries.indices[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
        return np.bincount(np.concatenate(found), minlength=len(self.entry_names))

    def strongest_entries(self, label: int, counts: NDArray[np.int64], most: int) -> tuple[str, ...]:
        """Names of the label's entries with the highest counts, above 0, ties in the taxonomy's order."""
        start, end = self.entry_offsets[label], self.entry_offsets[label + 1]
        order = np.argsort(-counts[start:end], kind="stable")[:most].tolist()
        return tuple(self.entry_names[start + i] for i in order if counts[start + i])


def build_label_hits(
    texts: Sequence[str], table: TermTable, taxonomy: Taxonomy, execution: Execution | None = None
) -> LabelHits:
    """Match every text with every label.

    A text needs `at_least + words // WORDS_FOR_ONE_MORE` distinct words and phrases of a label, one less where it is
    short, but at least one. Its evidence is the share of these that it holds, at most 1; it is 1 where one of the
    label's patterns is found.
    Words are looked up among the terms; phrases are searched only in texts that hold all their words.

    Args:
        texts: n texts without lone surrogates.
        table: their terms.
        taxonomy: checked labels.
        execution: threads for the patterns; one where left out. The result is the same for any.
    """
    finder = _Finder(texts, table, execution or Execution())
    names = [w for label in taxonomy.labels for w in (*label.words, *(name for name, _ in label.patterns))]
    sizes = [len(label.words) + len(label.patterns) for label in taxonomy.labels]
    offsets = (0, *np.cumsum(sizes, dtype=np.int64).tolist())
    rows = finder.rows(taxonomy)
    columns = np.repeat(np.arange(len(names)), [r.size for r in rows])
    cells = (np.ones(columns.size, dtype=np.int32), (np.concatenate(rows), columns))
    entries = sparse.coo_array(cells, shape=(len(texts), len(names))).tocsr()
    entries.sort_indices()
    scores = _scores(entries, offsets, taxonomy, table)
    labels = scores >= 1.0
    rates = labels.sum(axis=0, dtype=np.int64) / max(len(texts), 1)
    return LabelHits(taxonomy, scores, labels, rates, tuple(names), offsets, entries)


def _scores(
    entries: sparse.csr_array, offsets: tuple[int, ...], taxonomy: Taxonomy, table: TermTable
) -> NDArray[np.float32]:
    more = table.lengths // WORDS_FOR_ONE_MORE - (table.lengths <= SHORT_TEXT_WORDS)
    of_words = np.zeros((offsets[-1], len(taxonomy.labels)), dtype=np.int32)
    of_patterns = np.zeros_like(of_words)
    for i, label in enumerate(taxonomy.labels):
        of_words[offsets[i] : offsets[i] + len(label.words), i] = 1
        of_patterns[offsets[i] + len(label.words) : offsets[i + 1], i] = 1
    needed = np.maximum(np.array([label.at_least for label in taxonomy.labels])[None, :] + more[:, None], 1)
    scores: NDArray[np.float32] = np.minimum((entries @ of_words) / needed, 1.0).astype(np.float32)
    scores[(entries @ of_patterns) > 0] = 1.0
    return scores


class _Finder:
    """Looks entries up; same words and patterns of several labels are searched once."""

    def __init__(self, texts: Sequence[str], table: TermTable, execution: Execution) -> None:
        self._texts = texts
        self._execution = execution
        self._seen: dict[int, str] = {}
        self._numbers = {term: number for number, term in enumerate(table.terms)}
        cells = (np.ones(table.ids.size, dtype=np.int8), table.ids, table.offsets)
        self._holders = sparse.csr_array(cells, shape=(len(texts), len(table.terms))).tocsc()

    def rows(self, taxonomy: Taxonomy) -> list[NDArray[np.int64]]:
        """Matching texts of every entry, ascending."""
        expressions = dict.fromkeys(p for label in taxonomy.labels for _, p in label.patterns)
        patterns = find_matches(self._texts, list(expressions), self._execution)
        words = self._words(list(dict.fromkeys(w for label in taxonomy.labels for w in label.words)))
        return [
            row
            for label in taxonomy.labels
            for row in (*(words[w] for w in label.words), *(patterns[p] for _, p in label.patterns))
        ]

    def _words(self, words: list[str]) -> dict[str, NDArray[np.int64]]:
        parts = build_term_table(words)
        found = {}
        for word, start, end in zip(words, parts.offsets, parts.offsets[1:], strict=False):
            terms = [parts.terms[i] for i in parts.ids[start:end].tolist()]
            found[word] = self._of_term(word) if terms == [word] else self._phrase(word, terms)
        return found

    def _phrase(self, phrase: str, terms: list[str]) -> NDArray[np.int64]:
        """Texts that hold the phrase as whole words, among those that hold all of its words."""
        rows = self._of_term(terms[0]) if terms else np.empty(0, dtype=np.int64)
        for term in terms[1:]:
            rows = np.intersect1d(rows, self._of_term(term), assume_unique=True)
        return np.array([row for row in rows.tolist() if _holds(self._folded(row), phrase)], dtype=np.int64)

    def _folded(self, row: int) -> str:
        if row not in self._seen:
            self._seen[row] = " ".join(self._texts[row].casefold().split())
        return self._seen[row]

    def _of_term(self, term: str) -> NDArray[np.int64]:
        number = self._numbers.get(term)
        if number is None:
            return np.empty(0, dtype=np.int64)
        start, end = self._holders.indptr[number : number + 2].tolist()
        rows: NDArray[np.int64] = self._holders.indices[start:end].astype(np.int64)
        return rows


def _holds(text: str, phrase: str) -> bool:
    """Whether the phrase stands in the text with no letter or digit before or after it."""
    at = text.find(phrase)
    while at >= 0:
        end = at + len(phrase)
        if not (at and text[at - 1].isalnum()) and not (end < len(text) and text[end].isalnum()):
            return True
        at = text.find(phrase, at + 1)
    return False
