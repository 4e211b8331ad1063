"""How like a feature's top texts other texts are: what hard negatives are chosen by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import sparse

from mistudio_worker.analysis.execution import spans
from mistudio_worker.analysis.kernels.unit_rows import add_weighted
from mistudio_worker.analysis.text_rows import text_rows
from mistudio_worker.analysis.unit_rows import COLUMN_TILE, UnitRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.terms import TermTable


@dataclass(frozen=True, slots=True)
class ActivationLikeness:
    """By the standardised original activations.

    Attributes:
        rows: of the run.
        device: of the dense products.
    """

    rows: UnitRows
    device: str

    def to_centroids(self, top: NDArray[np.int64], pool: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return [P, m] products of the pool's unit rows with the mean unit row of each feature's top texts.

        In the order of the cosine to that centroid, and of its sign; 0 where either has no direction.

        Args:
            top: [P, k] texts of each feature, -1 where there are fewer.
            pool: [m] texts, ascending.
        """
        held = top >= 0
        texts, places = np.unique(top[held], return_inverse=True)
        counts = held.sum(axis=1)
        ends = np.cumsum(counts)
        shares = np.repeat(1.0 / np.maximum(counts, 1), counts).astype(np.float32)
        entries = (ends - counts, ends, places.astype(np.int32), shares)
        total = torch.zeros((top.shape[0], pool.size), dtype=torch.float32, device=self.device)
        for column in spans(self.rows.blocks.shape[1], COLUMN_TILE):
            centroids = np.zeros((top.shape[0], column[1] - column[0]), dtype=np.float32)
            add_weighted(entries, 0, self.rows.gather(texts, column).numpy(), centroids)
            total.addmm_(torch.from_numpy(centroids).to(self.device), self.rows.gather(pool, column).to(self.device).T)
        likeness: NDArray[np.float64] = total.double().cpu().numpy()
        return likeness


@dataclass(frozen=True, slots=True)
class TextLikeness:
    """By TF-IDF rows of the texts, where there are no original activations.

    Attributes:
        rows: [n, V] sparse unit rows.
    """

    rows: Any

    @classmethod
    def of(cls, terms: TermTable) -> TextLikeness:
        """Weigh the terms as the coherence in text space does."""
        rows = text_rows(terms)
        return cls(sparse.csr_array((rows.values, rows.ids, rows.offsets), shape=(rows.usable.size, rows.vocabulary)))

    def to_centroids(self, top: NDArray[np.int64], pool: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return [P, m] products as `ActivationLikeness` does; 0 where no term is common."""
        held = top >= 0
        owner = np.repeat(np.arange(top.shape[0]), held.sum(axis=1))
        shares = 1.0 / np.maximum(held.sum(axis=1), 1)[owner]
        members = sparse.csr_array((shares, (owner, top[held])), shape=(top.shape[0], self.rows.shape[0]))
        likeness: NDArray[np.float64] = (members @ self.rows @ self.rows[pool].T).toarray()
        return likeness
