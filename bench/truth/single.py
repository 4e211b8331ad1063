"""Features about one thing: a word or related words, a structure, a direction, a source; and two strengths of one."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from bench.truth.concepts import Concept
from bench.truth.planted import Planted
from bench.truth.strengths import NOISE_SHARES, POSITIVES, add_noise, count_between, members_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from bench.truth.planted import Soil

    Choice = Callable[[np.random.Generator], Concept]

SHARE_WITH_SEVERAL_WORDS = 0.5
SHARE_OF_TOPICS = 0.6
CANDIDATES = 40
"""Words of the frequency nearest to the wanted one, of which one is taken."""
FEWEST_SHARED, LEAST_LIFT, LEAST_ALIKE = 3, 3.0, 0.5
"""What two words of one concept must have in common, see `_go_together`."""
FEWEST_OF_TWO_STRENGTHS = 60


def plant_concept(soil: Soil, random: np.random.Generator, *, choose: Choice) -> Planted:
    """Return a clean feature of a concept: members strong, noise weak or absent."""
    concept = choose(random)
    values = soil.zeros()
    if concept.strengths is None:
        size = count_between(random, POSITIVES[0], min(POSITIVES[1], len(concept.rows)))
        members = _spread(soil, concept, size, random)
        values[members] = members_of(random, len(members))
    else:
        members = concept.rows
        values[members] = concept.strengths
    noisy = add_noise(values, float(random.choice(NOISE_SHARES)), random)
    return Planted(concept.nature, noisy, concept.name, members, concept.words)


def plant_bimodal(soil: Soil, random: np.random.Generator) -> Planted:
    """Return a clean feature that fires either strongly or 10 to 50 times more weakly, on the texts of one source."""
    large = [c for c in soil.concepts["source"] if len(c.rows) >= FEWEST_OF_TWO_STRENGTHS]
    concept = large[int(random.integers(len(large)))]
    members = random.choice(
        concept.rows, size=count_between(random, FEWEST_OF_TWO_STRENGTHS, len(concept.rows)), replace=False
    )
    strong = random.random(len(members)) < random.uniform(0.3, 0.7)
    values = soil.zeros()
    values[members] = members_of(random, len(members)) * np.where(strong, 1.0, random.uniform(0.02, 0.1))
    return Planted("bimodal", values, concept.name, members)


def in_turn(concepts: Sequence[Concept]) -> Choice:
    """Return a choice that takes every concept equally often."""
    endless = cycle(concepts)
    return lambda _: next(endless)


def word_or_words(random: np.random.Generator, *, soil: Soil) -> Concept:
    """Return a word's concept, or that of a few related words; frequent words are as likely as rare ones.

    Where topics are known, most words are of a topic: of any of the scripts, and with a meaning.
    """
    concepts = soil.concepts["lexical"]
    if random.random() < SHARE_OF_TOPICS:
        of_topics = {word for group in soil.corpus.word_groups for word in group}
        concepts = [concept for concept in concepts if concept.name in of_topics] or concepts
    wanted = count_between(random, *POSITIVES)
    nearest = np.argsort([abs(np.log(len(concept.rows) / wanted)) for concept in concepts], kind="stable")[:CANDIDATES]
    concept = concepts[int(random.choice(nearest))]
    return related(soil, concept, random) if random.random() < SHARE_WITH_SEVERAL_WORDS else concept


def related(soil: Soil, concept: Concept, random: np.random.Generator) -> Concept:
    """Return the concept with one or two related words more, of similar frequency; alone where there are none."""
    others = [
        other
        for other in soil.concepts["lexical"]
        if other.words != concept.words
        and 0.5 <= len(other.rows) / len(concept.rows) <= 2.0
        and _go_together(soil, concept, other)
    ]
    chosen = random.permutation(len(others))[: int(random.integers(1, 3))]
    words = (*concept.words, *(word for i in chosen for word in others[i].words))
    rows = np.unique(np.concatenate([concept.rows, *(others[i].rows for i in chosen)]))
    return Concept("lexical", " ".join(words), rows, words)


def _go_together(soil: Soil, one: Concept, other: Concept) -> bool:
    """Whether two words have to do with each other.

    They are words of one topic where topics are known. Else they stand in one text 3 times as often as by chance, and
    the texts that hold only one of them are alike on the whole.
    """
    if soil.corpus.word_groups:
        return any(one.name in group and other.name in group for group in soil.corpus.word_groups)
    shared = np.intersect1d(one.rows, other.rows)
    by_chance = len(one.rows) * len(other.rows) / soil.corpus.size
    if len(shared) < max(FEWEST_SHARED, LEAST_LIFT * by_chance):
        return False
    apart = [np.setdiff1d(concept.rows, shared) for concept in (one, other)]
    if min(map(len, apart)) < FEWEST_SHARED:
        return False
    a, b = (soil.centred[rows].mean(axis=0) for rows in apart)
    return bool(a @ b >= LEAST_ALIKE * np.linalg.norm(a) * np.linalg.norm(b))


def _spread(soil: Soil, concept: Concept, size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Return `size` of the concept's texts; of several words, as many of each as can be."""
    if len(concept.words) <= 1:
        return np.sort(random.choice(concept.rows, size=size, replace=False))
    holders = [c.rows for word in concept.words for c in soil.concepts["lexical"] if c.words == (word,)]
    return np.sort(_in_turns([random.permutation(rows) for rows in holders], size))


def _in_turns(lists: Sequence[NDArray[np.int64]], size: int) -> NDArray[np.int64]:
    chosen: dict[int, None] = {}
    for place in range(max(map(len, lists))):
        for rows in lists:
            if place < len(rows) and len(chosen) < size:
                chosen[int(rows[place])] = None
    return np.array(list(chosen), dtype=np.int64)
