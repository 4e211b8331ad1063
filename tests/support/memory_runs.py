"""Training runs built in memory, small or large, without a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from mistudio_worker.domain.training_run import SaeWeights, TrainingMetadata, TrainingRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

WORDS = (
    ("river", "boat", "water", "sail", "harbour", "tide", "shore", "anchor"),
    ("schema", "json", "field", "string", "integer", "required", "object", "array"),
    ("grief", "sorrow", "tears", "heart", "weeping", "mourning", "lament", "loss"),
    ("monday", "schedule", "hourly", "weekly", "deadline", "calendar", "tomorrow", "15min"),
)


@dataclass(frozen=True)
class MemoryBlocks:
    """A matrix in memory, read like any other source of blocks."""

    matrix: torch.Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return (self.matrix.shape[0], self.matrix.shape[1])

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Return a view of the rows."""
        return self.matrix[start:stop]


def blocks(matrix: ArrayLike, dtype: torch.dtype = torch.float32) -> MemoryBlocks:
    """Return anything that numpy understands as a source of blocks."""
    return MemoryBlocks(torch.from_numpy(np.ascontiguousarray(matrix, dtype=np.float32)).to(dtype))


def run_of(
    activations: ArrayLike, texts: Sequence[str] | None = None, originals: ArrayLike | None = None
) -> TrainingRun:
    """Return a run with the given feature activations and no autoencoder."""
    features = blocks(activations)
    return TrainingRun(
        training_job_id="train_20260102_030405_0001",
        texts=list(texts) if texts is not None else [f"text number {i}" for i in range(features.shape[0])],
        replaced_surrogates=0,
        features=features,
        originals=None if originals is None else blocks(originals),
        sae=None,
        metadata=TrainingMetadata(),
    )


def planted_run(n: int = 240, features: int = 24, dim: int = 16, seed: int = 7) -> TrainingRun:
    """Return a run with topics: texts, originals and a third each of clean, mixed and random features.

    A text has twelve words of its topic's eight and six of no topic, so that texts of a topic do not repeat each other.

    Feature f is clean (fires on topic f % 4) for f % 3 == 0, mixed (on two topics) for 1, random for 2.
    """
    random = np.random.default_rng(seed)
    topic = np.arange(n) % len(WORDS)
    others = [f"word{i}" for i in range(200)]
    texts = [" ".join([*random.choice(WORDS[t], 12), *random.choice(others, 6)]) for t in topic]
    originals = random.normal(size=(len(WORDS), dim))[topic] * 2 + random.normal(size=(n, dim)) * 0.7 + 3.0
    strength = random.gamma(2.0, 1.0, size=(n, features))
    fires = np.zeros((n, features), dtype=bool)
    for f in range(features):
        pure = topic == f % len(WORDS)
        mixed = pure | (topic == (f + 1) % len(WORDS))
        chance = random.random(n) < 0.25
        fires[:, f] = (pure, mixed, chance)[f % 3]
    run = run_of(np.where(fires, strength, 0.0), texts, originals)
    return replace(run, sae=random_sae(features, dim, seed))


def random_sae(features: int, dim: int, seed: int = 7) -> SaeWeights:
    """Return weights drawn from a normal distribution."""
    random = np.random.default_rng(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.from_numpy(random.normal(size=shape).astype(np.float32))

    return SaeWeights(draw(features, dim), draw(features), draw(dim, features), draw(dim))
