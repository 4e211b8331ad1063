"""All planted features of a corpus.

Each kind draws from a generator of its own, so that a change to one kind leaves the others as they were.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bench.truth.concepts import find_concepts
from bench.truth.mixed import plant_equal_parts, plant_majority, plant_unequal_parts
from bench.truth.planted import Planted, Soil
from bench.truth.single import in_turn, plant_bimodal, plant_concept, word_or_words
from bench.truth.unrelated import (
    plant_constant,
    plant_dead,
    plant_dense,
    plant_duplicates,
    plant_length,
    plant_random,
    plant_sparse,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.truth.corpora import Corpus
    from bench.truth.planted import Kind

    Planter = Callable[[Soil, np.random.Generator], Planted]

EACH = 60
"""Features a kind and corpus."""
COUNTS: dict[Kind, int] = {"random": 200, "dead": 20, "constant": 20}
"""Where it is another number."""
DECADES = (-2.0, 1.0)
"""Features differ in scale."""


def plant_all(corpus: Corpus, seed: int) -> list[Planted]:
    """Return features of every kind, by kind, each on a scale of its own."""
    soil = Soil(corpus, find_concepts(corpus, generator(seed, corpus.name, "concepts")))
    return [
        _scaled(planter(soil, random), random)
        for kind, planter in planters(soil).items()
        for random in [generator(seed, corpus.name, kind)]
        for _ in range(COUNTS.get(kind, EACH))
    ]


def planters(soil: Soil) -> dict[Kind, Planter]:
    """Return how a feature of each kind is planted."""
    return {
        "lexical": partial(plant_concept, choose=partial(word_or_words, soil=soil)),
        "structural": partial(plant_concept, choose=in_turn(soil.concepts["structural"])),
        "semantic": partial(plant_concept, choose=in_turn(soil.concepts["semantic"])),
        "source": partial(plant_concept, choose=in_turn(soil.concepts["source"])),
        "equal parts": plant_equal_parts,
        "unequal parts": plant_unequal_parts,
        "majority": plant_majority,
        "random": plant_random,
        "dense": plant_dense,
        "sparse": plant_sparse,
        "dead": plant_dead,
        "constant": plant_constant,
        "duplicates": plant_duplicates,
        "length": plant_length,
        "bimodal": plant_bimodal,
    }


def _scaled(planted: Planted, random: np.random.Generator) -> Planted:
    factor = np.float32(10.0 ** random.uniform(*DECADES))
    return replace(planted, values=planted.values * factor)


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return the generator of one part of the benchmark."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])
