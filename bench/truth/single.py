"""Features about one thing: a word or related words, a structure, a direction, a source; and two strengths of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.truth.concepts import Concept
from bench.truth.planted import Planted
from bench.truth.strengths import NOISE_SHARES, POSITIVES, add_noise, count_between, members_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bench.truth.concepts import Nature
    from bench.truth.planted import Soil

SHARE_WITH_SEVERAL_WORDS = 0.35
CANDIDATES = 40
"""Words among which the one whose texts are most alike is taken as related."""
FEWEST_OF_TWO_STRENGTHS = 60


def plant_concept(soil: Soil, random: np.random.Generator, *, nature: Nature) -> Planted:
    """Return a clean feature of a concept of the given nature: members strong, noise weak or absent."""
    concept = _choose(soil, nature, random)
    values = soil.zeros()
    if concept.strengths is None:
        size = count_between(random, POSITIVES[0], min(POSITIVES[1], len(concept.rows)))
        members = _spread(soil, concept, size, random)
        values[members] = members_of(random, len(members))
    else:
        members = concept.rows
        values[members] = concept.strengths
    noisy = add_noise(values, float(random.choice(NOISE_SHARES)), random)
    return Planted(nature, noisy, concept.name, members, concept.words)


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


def _choose(soil: Soil, nature: Nature, random: np.random.Generator) -> Concept:
    concepts = soil.concepts[nature]
    if nature != "lexical":
        return concepts[int(random.integers(len(concepts)))]
    # frequent words are few: draw the frequency first, each octave as likely as another
    wanted = count_between(random, *POSITIVES)
    nearest = np.argsort([abs(np.log(len(concept.rows) / wanted)) for concept in concepts], kind="stable")[:CANDIDATES]
    concept = concepts[int(random.choice(nearest))]
    return related(soil, concept, random) if random.random() < SHARE_WITH_SEVERAL_WORDS else concept


def related(soil: Soil, concept: Concept, random: np.random.Generator) -> Concept:
    """Return the concept with one or two words more whose texts are most like its own, of similar frequency."""
    others = [
        other
        for other in soil.concepts["lexical"]
        if other.words != concept.words and 0.5 <= len(other.rows) / len(concept.rows) <= 2.0
    ]
    centroids = [soil.centred[other.rows].mean(axis=0) for other in others]
    own = soil.centred[concept.rows].mean(axis=0)
    alike = np.array([own @ centroid / np.linalg.norm(centroid) for centroid in centroids])
    chosen = [others[i] for i in np.argsort(-alike, kind="stable")[: int(random.integers(1, 3))]]
    words = (*concept.words, *(word for other in chosen for word in other.words))
    rows = np.unique(np.concatenate([concept.rows, *(other.rows for other in chosen)]))
    return Concept("lexical", " ".join(words), rows, words)


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
