from __future__ import annotations

import numpy as np
import pytest
import torch

from mistudio_worker.analysis import weighted_rows as module
from mistudio_worker.analysis.weighted_rows import weighted_rows


@pytest.mark.parametrize("dense_from", [0.0, 2.0])
@pytest.mark.parametrize("feature", [(0, 7), (2, 5)])
@pytest.mark.parametrize("row", [(0, 40), (13, 31)])
def test_both_ways_give_the_product(
    monkeypatch: pytest.MonkeyPatch, dense_from: float, feature: tuple[int, int], row: tuple[int, int]
) -> None:
    """The sums over a tile's entries and the dense product are those of the whole matrices, cut out."""
    monkeypatch.setattr(module, "DENSE_FROM", dense_from)
    random = np.random.default_rng(3)
    weights = np.where(random.random((7, 40)) < 0.3, random.random((7, 40)), 0.0).astype(np.float32)
    weights[4] = 0.0
    rows = random.normal(size=(40, 5)).astype(np.float32)
    owner, texts = np.nonzero(weights)
    offsets = np.searchsorted(owner, np.arange(8))
    entries = (offsets, texts.astype(np.int32), weights[owner, texts])
    found = weighted_rows(entries, feature, row, torch.from_numpy(rows[row[0] : row[1]]))
    expected = weights[slice(*feature), slice(*row)].astype(np.float64) @ rows[slice(*row)]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
