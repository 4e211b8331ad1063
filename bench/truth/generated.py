"""A generated corpus: texts of 0 to 500 words in five scripts, and original activations that follow what they are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bench.truth.corpora import Corpus, plain_corpus
from bench.truth.forms import UNSPACED_SCRIPTS, Writer
from bench.truth.vocabulary import read_vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bench.truth.vocabulary import Vocabulary

TEXTS = 2_400
DIM = 256
LONGEST_WORDS = 500
THEMES = 16
WITH_A_THEME = 0.7
KIND_SHARES = {
    "prose": 0.42,
    "cyrillic": 0.05,
    "arabic": 0.05,
    "han": 0.05,
    "thai": 0.05,
    "json_object": 0.06,
    "cron_lines": 0.05,
    "intervals": 0.05,
    "urls": 0.05,
    "number_table": 0.05,
    "chat": 0.06,
    "code": 0.05,
    "empty": 0.01,
}
WORDS, TOPIC, KIND, THEME, LENGTH, NOISE, COMMON = 0.8, 0.8, 0.6, 0.9, 0.4, 0.9, 4.0
"""Sizes of what a vector is the sum of. Two texts that share only the theme have a cosine near 0.2 then, about what
texts of one source have in a layer of a sentence model."""


def generated_corpus(random: np.random.Generator, size: int = TEXTS) -> Corpus:
    """Return texts with synthetic original activations; the label of a text is its kind, for prose its topic."""
    vocabulary = read_vocabulary(random)
    writer = Writer(vocabulary, random)
    kinds = random.choice(list(KIND_SHARES), size=size, p=list(KIND_SHARES.values()))
    texts, topics, labels = [], [], []
    for kind in kinds.tolist():
        text, topic = _write(writer, vocabulary, kind, random)
        texts.append(text)
        topics.append(topic)
        labels.append(topic if kind == "prose" else kind)
    themes = np.where(random.random(size) < WITH_A_THEME, random.integers(THEMES, size=size), -1)
    themes[kinds == "empty"] = -1
    vectors, directions = _vectors(texts, topics, kinds, themes, random)
    unspaced = [word for topic in vocabulary.topics if topic.script in UNSPACED_SCRIPTS for word in topic.words]
    return replace(
        plain_corpus("generated", texts, vectors, labels),
        themes=themes,
        theme_directions=directions,
        unspaced_words=tuple(unspaced),
        word_groups=tuple(topic.words for topic in vocabulary.topics),
    )


def _write(writer: Writer, vocabulary: Vocabulary, kind: str, random: np.random.Generator) -> tuple[str, str]:
    """Return a text and the name of its topic."""
    if kind == "empty":
        return writer.pick(("", " ", "\n", "...", "-")), ""
    script = kind if kind in vocabulary.glue else "latin"
    choices = vocabulary.topics_in(script)
    topic = choices[int(random.integers(len(choices)))]
    longest = LONGEST_WORDS if kind == "prose" or script != "latin" else LONGEST_WORDS // 5
    words = max(1, int(longest ** random.random()))
    if kind == "prose" or script != "latin":
        return writer.prose(topic, words), topic.name
    text: str = getattr(writer, kind)(topic, max(2, words))
    return text, topic.name


def _vectors(
    texts: list[str],
    topics: list[str],
    kinds: NDArray[np.str_],
    themes: NDArray[np.int64],
    random: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return [n, d] sums of word, topic, kind, theme and length directions, one direction that all share, and noise."""
    theme_directions = _unit(random.standard_normal((THEMES, DIM)))
    length = np.log1p([len(text) for text in texts])
    length = (length - length.mean()) / length.std()
    full = np.array([bool(text.strip(" \n.-")) for text in texts])[:, None]
    strengths = random.uniform(0.7, 1.3, size=(len(texts), 1))
    vectors = full * (
        WORDS * _words(texts, random)
        + TOPIC * _by_name(topics, random)
        + KIND * _by_name(kinds.tolist(), random)
        + THEME * strengths * np.where((themes >= 0)[:, None], theme_directions[themes], 0.0)
    )
    vectors += LENGTH * length[:, None] * _unit(random.standard_normal((1, DIM)))
    vectors += NOISE * random.standard_normal((len(texts), DIM)) / DIM**0.5
    vectors += COMMON * _unit(random.standard_normal((1, DIM)))
    return vectors.astype(np.float32), theme_directions.astype(np.float32)


def _words(texts: list[str], random: np.random.Generator) -> NDArray[np.float64]:
    """Return [n, d]: the unit sum of a random direction for each distinct word, in unspaced scripts character."""
    directions: dict[str, NDArray[np.float64]] = {}
    rows = np.zeros((len(texts), DIM))
    for row, text in enumerate(texts):
        words = sorted(set(text.split() if text.isascii() or " " in text[:40] else text))
        for word in words:
            if word not in directions:
                directions[word] = random.standard_normal(DIM)
            rows[row] += directions[word]
    return _unit(rows)


def _by_name(names: Sequence[str], random: np.random.Generator) -> NDArray[np.float64]:
    distinct = sorted(set(names))
    directions = _unit(random.standard_normal((len(distinct), DIM)))
    return np.asarray(directions[np.searchsorted(distinct, names)])


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
