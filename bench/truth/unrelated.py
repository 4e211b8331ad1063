"""Features that are about nothing that a text says: random, dense, sparse, dead, constant; copies; length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm, rankdata

from bench.truth.planted import Planted
from bench.truth.strengths import count_between, members_of, skewed

if TYPE_CHECKING:
    from bench.truth.planted import Soil

FEWEST_RANDOM, MOST_RANDOM = 6, 400
MOST_SPARSE = 5
DENSITIES = (0.52, 0.97)
LENGTH_NOISE = (0.1, 0.25, 0.5)
LENGTH_SILENT = (0.0, 0.7)
"""Share of texts that are too short to fire."""
FALLING = 0.25
"""Share of the features that follow the length downwards."""


def plant_random(soil: Soil, random: np.random.Generator) -> Planted:
    """Return a feature that fires on random texts, with skewed strengths."""
    size = count_between(random, FEWEST_RANDOM, MOST_RANDOM)
    values = soil.zeros()
    values[random.choice(soil.corpus.size, size=size, replace=False)] = skewed(random, size)
    return Planted("random", values)


def plant_dense(soil: Soil, random: np.random.Generator) -> Planted:
    """Return a feature that fires on 52 to 97 % of the texts, strong or weak by chance."""
    values = np.abs(random.standard_normal(soil.corpus.size)).astype(np.float32)
    values[random.random(soil.corpus.size) > random.uniform(*DENSITIES)] = 0.0
    return Planted("dense", values)


def plant_sparse(soil: Soil, random: np.random.Generator) -> Planted:
    """Return a feature that fires on 1 to 5 texts."""
    size = int(random.integers(1, MOST_SPARSE + 1))
    values = soil.zeros()
    values[random.choice(soil.corpus.size, size=size, replace=False)] = members_of(random, size)
    return Planted("sparse", values)


def plant_dead(soil: Soil, random: np.random.Generator) -> Planted:
    """Return a feature that never fires."""
    del random
    return Planted("dead", soil.zeros())


def plant_constant(soil: Soil, random: np.random.Generator) -> Planted:
    """Return a feature that fires equally on all texts."""
    return Planted("constant", soil.zeros() + np.float32(random.uniform(0.01, 10.0)))


def plant_duplicates(soil: Soil, random: np.random.Generator) -> Planted:
    """Return a feature whose strongest texts are near-copies of one to three texts; others are random and weaker."""
    families = soil.corpus.families
    chosen = random.choice(len(families), size=int(random.integers(1, 4)), replace=False)
    members = np.sort(np.concatenate([families[family] for family in chosen]))
    others = np.setdiff1d(np.arange(soil.corpus.size), np.concatenate(families))
    rows = random.choice(others, size=int(random.integers(0, 120)), replace=False)
    values = soil.zeros()
    values[members] = members_of(random, len(members))
    values[rows] = values[members].min() * random.uniform(0.1, 0.95, size=len(rows))
    return Planted("duplicates", values, " + ".join(f"copies {family}" for family in chosen), members)


def plant_length(soil: Soil, random: np.random.Generator) -> Planted:
    """Return a feature that grows with the length of the text, or falls with it, plus noise; nothing else."""
    lengths = np.array([len(text) for text in soil.corpus.texts], dtype=np.float64)
    score = norm.ppf((rankdata(lengths) - 0.5) / len(lengths))
    sign = -1.0 if random.random() < FALLING else 1.0
    score = sign * score + random.choice(LENGTH_NOISE) * random.standard_normal(len(lengths))
    values = np.maximum(0.0, score - np.quantile(score, random.uniform(*LENGTH_SILENT)))
    return Planted("length", values.astype(np.float32))
