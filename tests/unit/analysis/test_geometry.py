from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.memory_runs import random_sae

from mistudio_worker.analysis import geometry
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.geometry import geometry_record, measure_geometry


def test_neighbours_equal_the_whole_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut into small tiles, the 5 nearest and the most opposed are those of the full cosine matrix."""
    monkeypatch.setattr(geometry, "ROW_TILE", 4)
    monkeypatch.setattr(geometry, "COLUMN_TILE", 7)
    sae = random_sae(30, 6)
    table = measure_geometry(sae, Execution(threads=2))
    decoder = sae.decoder_weight.T.double().numpy()
    unit = decoder / np.linalg.norm(decoder, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -9)
    assert table.nearest.tolist() == np.argsort(-cosines, axis=1, kind="stable")[:, :5].tolist()
    np.fill_diagonal(cosines, 9)
    assert table.opposed.tolist() == cosines.argmin(axis=1).tolist()
    assert table.opposed_cosines == pytest.approx(cosines.min(axis=1), abs=1e-6)


def test_ties_and_zero_directions() -> None:
    """Equal cosines go to the lower id; a zero direction has no neighbours and is nobody's."""
    decoder = torch.tensor([[1.0, 1.0, 0.0, 1.0, -1.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    sae = replace(random_sae(5, 2), decoder_weight=decoder)
    table = measure_geometry(sae, Execution())
    assert [neighbor.feature_id for neighbor in geometry_record(table, 3).nearest] == [0, 1, 4]
    silent = geometry_record(table, 2)
    assert (silent.nearest, silent.most_opposed, silent.encoder_decoder_cosine) == ((), None, None)
    opposed = geometry_record(table, 0).most_opposed
    assert opposed is not None
    assert (opposed.feature_id, opposed.cosine) == (4, -1.0)


def test_a_single_feature_has_no_neighbours() -> None:
    """F = 1 is a dictionary too."""
    record = geometry_record(measure_geometry(random_sae(1, 3), Execution()), 0)
    assert (record.nearest, record.most_opposed) == ((), None)
    assert record.decoder_norm > 0


def test_tied_weights_have_a_cosine_of_one() -> None:
    """Encoder and decoder of the same direction agree."""
    sae = random_sae(3, 4)
    tied = replace(sae, decoder_weight=sae.encoder_weight.T * 2)
    table = measure_geometry(tied, Execution())
    assert table.encoder_decoder == pytest.approx(1.0)
    assert table.decoder_norms == pytest.approx(2 * table.encoder_norms)
