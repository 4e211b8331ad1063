"""Polysemantic features: two or three unrelated concepts, or one among unrelated texts that fire as strongly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.truth.concepts import NATURES
from bench.truth.planted import Planted
from bench.truth.strengths import POSITIVES, count_between, members_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.truth.concepts import Concept
    from bench.truth.planted import Kind, Soil

FEWEST = 14
MOST_ALIKE = 0.3
"""Cosine of the centroids of two concepts that count as unrelated, at most."""
MOST_SHARED = 0.1
"""Share of the smaller concept's texts that the other may hold."""
ATTEMPTS = 1_000


def plant_equal_parts(soil: Soil, random: np.random.Generator) -> Planted:
    """Return a feature of two or three concepts, as many texts of each, equally strong."""
    parts = int(random.integers(2, 4))
    return _plant_parts("equal parts", soil, np.full(parts, 1 / parts), np.ones(parts), random)


def plant_unequal_parts(soil: Soil, random: np.random.Generator) -> Planted:
    """Return a feature whose first concept has 50 to 70 % of the texts, the others being down to 0.6 as strong."""
    parts = int(random.integers(2, 4))
    first = random.uniform(0.5, 0.7)
    shares = np.array([first, *np.full(parts - 1, (1 - first) / (parts - 1))])
    return _plant_parts("unequal parts", soil, shares, np.array([1.0, *random.uniform(0.6, 1.0, parts - 1)]), random)


def plant_majority(soil: Soil, random: np.random.Generator) -> Planted:
    """Return a feature of one concept in 60 to 70 % of its texts, the others being random and as strong."""
    concept = _any_concept(soil, random)
    share = random.uniform(0.6, 0.7)
    size = count_between(random, FEWEST, min(POSITIVES[1], int(len(concept.rows) / share)))
    members = random.choice(concept.rows, size=max(2, round(share * size)), replace=False)
    others = np.setdiff1d(np.arange(soil.corpus.size), concept.rows)
    rows = np.concatenate([members, random.choice(others, size=size - len(members), replace=False)])
    values = soil.zeros()
    values[rows] = members_of(random, len(rows))
    return Planted("majority", values, concept.name, np.sort(members))


def _plant_parts(
    kind: Kind, soil: Soil, shares: NDArray[np.float64], factors: NDArray[np.float64], random: np.random.Generator
) -> Planted:
    concepts = _unrelated_concepts(soil, len(shares), random)
    most = min(len(concept.rows) / share for concept, share in zip(concepts, shares, strict=True))
    size = count_between(random, FEWEST, min(POSITIVES[1], int(most)))
    values = soil.zeros()
    for concept, share, factor in zip(concepts, shares, factors, strict=True):
        rows = random.choice(concept.rows, size=min(len(concept.rows), max(2, round(share * size))), replace=False)
        values[rows] = members_of(random, len(rows)) * factor
    return Planted(kind, values, " + ".join(concept.name for concept in concepts), np.flatnonzero(values))


def _any_concept(soil: Soil, random: np.random.Generator) -> Concept:
    concepts = soil.concepts[NATURES[int(random.integers(len(NATURES)))]]
    return concepts[int(random.integers(len(concepts)))]


def _unrelated_concepts(soil: Soil, parts: int, random: np.random.Generator) -> list[Concept]:
    chosen = [_any_concept(soil, random)]
    for _ in range(ATTEMPTS):
        if len(chosen) == parts:
            return chosen
        candidate = _any_concept(soil, random)
        if all(_unrelated(soil, candidate, other) for other in chosen):
            chosen.append(candidate)
    raise ValueError(f"the corpus {soil.corpus.name} has no {parts} concepts that are unrelated")


def _unrelated(soil: Soil, one: Concept, other: Concept) -> bool:
    shared = len(np.intersect1d(one.rows, other.rows))
    a, b = (soil.centred[concept.rows].mean(axis=0) for concept in (one, other))
    alike = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    return alike <= MOST_ALIKE and shared <= MOST_SHARED * min(len(one.rows), len(other.rows))
