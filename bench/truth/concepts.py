"""What a feature can respond to: the texts of a word, of a structure, of a source, or along a direction."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bench.truth.corpora import Corpus

Nature = Literal["lexical", "structural", "semantic", "source"]
NATURES: tuple[Nature, ...] = ("lexical", "structural", "semantic", "source")
FEWEST_TEXTS = 10
COMMONEST_SHARE = 1 / 8
"""A word of more texts than this cannot be 5 times as frequent among any members as in a corpus of some breadth."""
SEMANTIC_TEXTS = (12, 60)
SEMANTIC_CONCEPTS = 90
WORD = re.compile(r"(?<!\w)[^\W\d_\u0e00-\u0eff\u3040-\u30ff\u4e00-\u9fff]{4,}(?!\w)")
"""A word of a script that writes blanks; those of other scripts are known from the vocabulary."""
STRUCTURES = {
    "json": r'\{\s*"[^"]{1,40}"\s*:',
    "json_type": r'"type"\s*:',
    "cron": r"(?:^|\s)[\d*/,-]+ [\d*/,-]+ [\d*/,L-]+ [\d*/,-]+ [\w*/,#-]+ ",
    "interval": r"\b\d+ ?(?:ms|s|sec|min|h|hours?|minutes?|seconds?|days?|weeks?)\b",
    "clock": r"\b\d{1,2}:\d\d\b",
    "url": r"https?://",
    "snake_case": r"\b[a-z]+_[a-z_]+\b",
    "call": r"\b[a-z_.]+\([^()]*\)",
    "prompt": r">>> ",
    "roles": r"\b(?:User|Human): .*(?:Assistant|AI): ",
    "speakers": r"(?:^|[.!?] )[A-Z][A-Z]{3,}\. .*[.!?] [A-Z][A-Z]{3,}\. ",
    "entry": r", (?:n|adj|v\.t)\. ",
    "code_number": r"^[A-Z]\d\d(?:\.\d+)? ",
    "table": r"\d \| \d",
    "decimal": r"\b\d+\.\d{2,}\b",
    "quoted_speech": r',["”] (?:said|cried|replied) |["“][A-Z][^"]{5,}[!?]["”]',
}


@dataclass(frozen=True)
class Concept:
    """The texts that a feature can respond to.

    Attributes:
        nature: what they have in common.
        name: of the concept.
        rows: of the texts, ascending.
        words: that they share; empty where the concept is no word.
        strengths: [rows], what a direction gives; None where the members are equal.
    """

    nature: Nature
    name: str
    rows: NDArray[np.int64]
    words: tuple[str, ...] = ()
    strengths: NDArray[np.float32] | None = field(default=None, compare=False)


def find_concepts(corpus: Corpus, random: np.random.Generator) -> dict[Nature, list[Concept]]:
    """Return the concepts of a corpus, by nature; copies that were inserted belong to none."""
    words = content_words(corpus)
    return {
        "lexical": lexical_concepts(corpus, words),
        "structural": structural_concepts(corpus),
        "semantic": semantic_concepts(corpus, words, random),
        "source": source_concepts(corpus),
    }


def content_words(corpus: Corpus) -> list[set[str]]:
    """Return the distinct words of every text that are no stop words, case-folded; of 4 letters at least."""
    stop = files("mistudio_worker.analysis.data").joinpath("stop_words.txt").read_text(encoding="utf-8").split()
    folded = [text.casefold() for text in corpus.texts]
    return [
        set(WORD.findall(text)) - set(stop) | {word for word in corpus.unspaced_words if word in text}
        for text in folded
    ]


def lexical_concepts(corpus: Corpus, words: Sequence[set[str]]) -> list[Concept]:
    """Return one concept a word that enough texts hold, and not too many."""
    holders: dict[str, list[int]] = defaultdict(list)
    for row in np.flatnonzero(~corpus.copy).tolist():
        for word in words[row]:
            holders[word].append(row)
    most = COMMONEST_SHARE * corpus.size
    return [
        Concept("lexical", word, np.array(rows), (word,))
        for word, rows in sorted(holders.items())
        if FEWEST_TEXTS <= len(rows) <= most
    ]


def structural_concepts(corpus: Corpus) -> list[Concept]:
    """Return one concept a structure that enough texts show."""
    found = []
    for name, pattern in STRUCTURES.items():
        shows = np.array([bool(re.search(pattern, text)) for text in corpus.texts]) & ~corpus.copy
        if FEWEST_TEXTS <= shows.sum() <= corpus.size / 4:
            found.append(Concept("structural", name, np.flatnonzero(shows)))
    return found


def source_concepts(corpus: Corpus) -> list[Concept]:
    """Return one concept a source or kind of text."""
    found = (
        Concept("source", str(label), np.flatnonzero((corpus.labels == label) & ~corpus.copy))
        for label in np.unique(corpus.labels)
    )
    return [concept for concept in found if len(concept.rows) >= FEWEST_TEXTS and concept.name != "empty"]


def semantic_concepts(corpus: Corpus, words: Sequence[set[str]], random: np.random.Generator) -> list[Concept]:
    """Return concepts that are directions in the original activations: a = relu(e . direction - threshold).

    A direction is that of a theme where the corpus has some, else that of a few texts close to each other.
    So that no word gives them away, texts are passed over, best first, whose content words others of the concept
    hold already.
    """
    rows = corpus.centred()
    usable = np.flatnonzero(~corpus.copy & (np.array([len(found) for found in words]) > 0))
    concepts = []
    for number in range(SEMANTIC_CONCEPTS):
        direction = _direction(corpus, rows, usable, number, random)
        alike = rows[usable] @ direction
        order = usable[np.argsort(-alike, kind="stable")]
        wanted = int(np.exp(random.uniform(*np.log(SEMANTIC_TEXTS))))
        members = _without_shared_words(order[: 8 * wanted], words, wanted)
        if len(members) >= FEWEST_TEXTS:
            members = np.sort(members)
            found = rows[members] @ direction
            strengths = found - found.min() + 0.1 * (found.max() - found.min())
            concepts.append(Concept("semantic", f"direction {number}", members, (), strengths))
    return concepts


def _direction(
    corpus: Corpus, rows: NDArray[np.float32], usable: NDArray[np.int64], number: int, random: np.random.Generator
) -> NDArray[np.float32]:
    if len(corpus.theme_directions):
        theme = corpus.theme_directions[number % len(corpus.theme_directions)]
        noise = random.standard_normal(theme.shape) / theme.size**0.5
        direction = theme + 0.3 * noise
    else:
        seed = int(random.choice(usable))
        close = usable[np.argsort(-(rows[usable] @ rows[seed]), kind="stable")[:5]]
        direction = rows[close].mean(axis=0)
    return np.asarray(direction / np.linalg.norm(direction), dtype=np.float32)


def _without_shared_words(order: NDArray[np.int64], words: Sequence[set[str]], wanted: int) -> NDArray[np.int64]:
    most = max(2, wanted // 8)
    seen: dict[str, int] = defaultdict(int)
    chosen: list[int] = []
    for row in order.tolist():
        if len(chosen) == wanted:
            break
        if all(seen[word] < most for word in words[row]):
            chosen.append(row)
            for word in words[row]:
                seen[word] += 1
    return np.array(chosen, dtype=np.int64)
