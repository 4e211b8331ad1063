"""The texts to plant over, with their original activations and what is known of each text."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.artifacts.reader import read_training_run
from mistudio_worker.artifacts.run_dir import find_run

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FAMILIES = 10
"""Texts of which near-copies are inserted."""
COPIES = (14, 25)
"""Copies of a text: at least, less than."""
MIN_WORDS_OF_A_COPIED_TEXT = 15


@dataclass(frozen=True)
class Corpus:
    """Texts and what is known of them.

    Attributes:
        name: of the corpus.
        texts: [n].
        vectors: [n, d] float32, original activations.
        labels: [n], source or kind of each text.
        themes: [n], hidden meaning of each text that none of its words tells; -1 where it has none.
        theme_directions: [themes, d], what a theme adds to the vectors; no rows where themes are not known.
        families: rows of the near-copies of one text each, the text itself first.
        copy: [n] bool, whether a text is a copy that was inserted.
        unspaced_words: known words of scripts that write no blanks between words.
        word_groups: words of one topic each; empty where topics are not known.
    """

    name: str
    texts: list[str]
    vectors: NDArray[np.float32]
    labels: NDArray[np.str_]
    themes: NDArray[np.int64]
    theme_directions: NDArray[np.float32]
    families: tuple[NDArray[np.int64], ...]
    copy: NDArray[np.bool_]
    unspaced_words: tuple[str, ...] = ()
    word_groups: tuple[tuple[str, ...], ...] = ()

    @property
    def size(self) -> int:
        """Number of texts."""
        return len(self.texts)

    def centred(self) -> NDArray[np.float32]:
        """Return [n, d] unit rows of the vectors less their mean."""
        rows = self.vectors - self.vectors.mean(axis=0)
        norms = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
        return np.asarray(rows / norms, dtype=np.float32)


def real_corpus(run_dir: Path, sources: Path) -> Corpus:
    """Read the texts of a run, their original activations and the source of each.

    Raises:
        ValueError: the run has no original activations, or the sources are not one a text.
    """
    run = read_training_run(find_run(run_dir))
    with sources.open(newline="", encoding="utf-8") as file:
        labels = [row["source"] for row in csv.DictReader(file)]
    if run.originals is None or len(labels) != len(run.texts):
        raise ValueError(f"{sources} names {len(labels)} sources, the run has {len(run.texts)} texts with activations")
    vectors = run.originals.rows(0, len(labels)).float().numpy()
    return plain_corpus("real", list(run.texts), vectors, labels)


def plain_corpus(name: str, texts: list[str], vectors: NDArray[np.float32], labels: list[str]) -> Corpus:
    """Return a corpus without themes and copies."""
    size, width = vectors.shape
    return Corpus(
        name,
        texts,
        vectors.copy(),
        np.array(labels),
        np.full(size, -1),
        np.zeros((0, width), dtype=np.float32),
        (),
        np.zeros(size, dtype=np.bool_),
    )


def with_copies(corpus: Corpus, random: np.random.Generator) -> Corpus:
    """Append near-copies of a few texts, as crawled corpora hold them: few words and little of the vectors changed."""
    long_enough = np.flatnonzero([len(text.split()) >= MIN_WORDS_OF_A_COPIED_TEXT for text in corpus.texts])
    bases = np.sort(random.choice(long_enough, size=FAMILIES, replace=False))
    counts = random.integers(*COPIES, size=FAMILIES)
    rows = np.repeat(bases, counts)
    noise = 0.15 * corpus.vectors.std(axis=0) * random.standard_normal((len(rows), corpus.vectors.shape[1]))
    starts = corpus.size + np.concatenate([[0], np.cumsum(counts)[:-1]])
    families = tuple(
        np.concatenate([[base], np.arange(start, start + count)])
        for base, start, count in zip(bases, starts, counts, strict=True)
    )
    return replace(
        corpus,
        texts=[*corpus.texts, *(edited(corpus.texts[row], random) for row in rows)],
        vectors=np.concatenate([corpus.vectors, corpus.vectors[rows] + noise]).astype(np.float32),
        labels=np.concatenate([corpus.labels, corpus.labels[rows]]),
        themes=np.concatenate([corpus.themes, corpus.themes[rows]]),
        families=families,
        copy=np.concatenate([corpus.copy, np.ones(len(rows), dtype=np.bool_)]),
    )


def edited(text: str, random: np.random.Generator) -> str:
    """Return the text with at most one word in twenty replaced, at least one, by a number or another of its words."""
    words = text.split()
    for _ in range(max(1, int(random.integers(0, len(words) // 20 + 1)))):
        place = int(random.integers(len(words)))
        words[place] = str(random.integers(2, 3000)) if random.random() < 0.5 else words[random.integers(len(words))]
    return " ".join(words)
