"""A planted feature, and what it is planted over."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.truth.concepts import Concept, Nature
    from bench.truth.corpora import Corpus

Kind = Literal[
    "lexical",
    "structural",
    "semantic",
    "source",
    "equal parts",
    "unequal parts",
    "majority",
    "random",
    "dense",
    "sparse",
    "dead",
    "constant",
    "duplicates",
    "length",
    "bimodal",
]
CLEAN: tuple[Kind, ...] = ("lexical", "structural", "semantic", "source")
POLYSEMANTIC: tuple[Kind, ...] = ("equal parts", "unequal parts", "majority")


@dataclass(frozen=True)
class Soil:
    """A corpus and the concepts found in it."""

    corpus: Corpus
    concepts: dict[Nature, list[Concept]]

    @cached_property
    def centred(self) -> NDArray[np.float32]:
        """[n, d] unit rows of the original activations less their mean."""
        return self.corpus.centred()

    def zeros(self) -> NDArray[np.float32]:
        """Return [n] activations of a feature that fires on no text."""
        return np.zeros(self.corpus.size, dtype=np.float32)


@dataclass(frozen=True)
class Planted:
    """One feature of known kind.

    Attributes:
        kind: of the feature.
        values: [n] float32 activations, >= 0.
        name: of its concept or concepts.
        members: rows of the texts that it is about; empty where it is about nothing.
        words: that make the concept of a lexical feature.
    """

    kind: Kind
    values: NDArray[np.float32]
    name: str = ""
    members: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    words: tuple[str, ...] = ()

    @property
    def positives(self) -> int:
        """Number of texts that it fires on."""
        return int(np.count_nonzero(self.values))
