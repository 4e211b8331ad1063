"""Compile or load every kernel before the first job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mistudio_worker.analysis.analyze import analyze
from mistudio_worker.analysis.taxonomy import default_taxonomy
from mistudio_worker.domain.identity import JobIdentity
from mistudio_worker.domain.parameters import Parameters
from mistudio_worker.domain.training_run import SaeWeights, TrainingMetadata, TrainingRun

if TYPE_CHECKING:
    from mistudio_worker.analysis.execution import Execution

ROWS, FEATURES, DIM, RARITY = 64, 4, 8, 8
NAMES = ("amber", "birch", "cedar", "daisy", "elder", "fern", "gorse", "hazel")


@dataclass(frozen=True, slots=True)
class _Blocks:
    matrix: torch.Tensor

    @property
    def shape(self) -> tuple[int, int]:
        return (self.matrix.shape[0], self.matrix.shape[1])

    def rows(self, start: int, stop: int) -> torch.Tensor:
        return self.matrix[start:stop]


def warm_up(execution: Execution | None = None) -> None:
    """Analyse two tiny synthetic runs, so that no job waits for a compiler (some seconds on a fresh disk).

    In one every feature fires on half of the texts, in the other on few that share a phrase: dense and sparse tiles
    are computed by different kernels.
    """
    place = torch.arange(ROWS, dtype=torch.float32)
    dense = torch.stack([torch.relu(torch.sin(place * (f + 1))) for f in range(FEATURES)], dim=1)
    kind = torch.arange(ROWS) % RARITY
    sparse = torch.stack([(kind == f) * (1.0 + place / ROWS) for f in range(FEATURES)], dim=1)
    texts = [f"warming up, river {i % 7} and harbour {i % 5}: {{}} at noon" for i in range(ROWS)]
    phrases = [f"{text} by the quay of {NAMES[i % RARITY]} town" for i, text in enumerate(texts)]
    for features, said in ((dense, texts), (sparse, phrases)):
        _analyze(features, said, execution)


def _analyze(features: torch.Tensor, texts: list[str], execution: Execution | None) -> None:
    place = torch.arange(ROWS, dtype=torch.float32)
    originals = torch.stack([torch.cos(place * (c + 1)) for c in range(DIM)], dim=1)
    weight = originals[:FEATURES].clone()
    run = TrainingRun(
        training_job_id="warm-up",
        texts=texts,
        replaced_surrogates=0,
        features=_Blocks(features),
        originals=_Blocks(originals),
        sae=SaeWeights(weight, torch.zeros(FEATURES), weight.T.contiguous(), torch.zeros(DIM)),
        metadata=TrainingMetadata(),
    )
    identity = JobIdentity("warm-up", "find_00000000_000000_00000000", "0" * 64)
    parameters = Parameters(coherence_threshold=0.0)  # so that there are features worth explaining
    analyze(run, identity=identity, parameters=parameters, taxonomy=default_taxonomy(), execution=execution)
