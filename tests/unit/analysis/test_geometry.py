from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.memory_runs import random_sae

from mistudio_worker.analysis import geometry
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.geometry import duplicate_flag, geometry_record, measure_geometry


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


def of_directions(*columns: list[float]) -> geometry.GeometryTable:
    """Geometry of an autoencoder with the given decoder directions."""
    decoder = torch.tensor(columns).T
    return measure_geometry(replace(random_sae(len(columns), len(columns[0])), decoder_weight=decoder), Execution())


def test_pairs_of_one_direction_and_of_opposite_ones() -> None:
    """Cosine 1, then 0.96, each pair once; what is not quite alike is no pair; lengths do not matter."""
    table = of_directions([3.0, 0.0], [0.96, 0.28], [-1.0, 0.0], [0.0, 2.0], [1.0, 0.0], [0.94, -0.3412])
    assert [pair.feature_ids for pair in table.duplicates] == [(0, 4), (0, 1), (1, 4)]
    assert [pair.cosine for pair in table.duplicates] == pytest.approx([1.0, 0.96, 0.96])
    assert [(pair.feature_ids, pair.cosine) for pair in table.antipodal] == [
        ((0, 2), -1.0),
        ((2, 4), -1.0),
        ((1, 2), pytest.approx(-0.96)),
    ]


def test_a_duplicate_is_flagged_with_its_cosine() -> None:
    """At least 0.95 to the nearest direction; neither an opposite one nor a zero one is a duplicate."""
    table = of_directions([1.0, 0.0], [0.96, 0.28], [-1.0, 0.0], [0.0, 0.0], [0.0, 1.0])
    flags = [duplicate_flag(table, feature) for feature in range(5)]
    assert flags == [{"duplicate_feature": pytest.approx(0.96)}] * 2 + [{}] * 3


def test_the_listed_pairs_are_the_first_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 9 copies and 9 opposite ones the first 20 pairs by their ids are listed, however the tiles are cut."""
    monkeypatch.setattr(geometry, "ROW_TILE", 4)
    monkeypatch.setattr(geometry, "COLUMN_TILE", 5)
    table = of_directions(*[[1.0, 0.0, 0.0]] * 9, *[[-1.0, 0.0, 0.0]] * 9)
    copies = [(low, high) for low in range(18) for high in range(low + 1, 18) if (low < 9) == (high < 9)]
    opposite = [(low, high) for low in range(9) for high in range(9, 18)]
    assert [pair.feature_ids for pair in table.duplicates] == copies[:20]
    assert [pair.feature_ids for pair in table.antipodal] == opposite[:20]


def test_pairs_equal_those_of_the_whole_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """In two dimensions many directions are alike: the most extreme of all pairs, in order."""
    monkeypatch.setattr(geometry, "ROW_TILE", 8)
    monkeypatch.setattr(geometry, "COLUMN_TILE", 11)
    sae = random_sae(50, 2)
    table = measure_geometry(sae, Execution(threads=2))
    decoder = sae.decoder_weight.T.double().numpy()
    unit = decoder / np.linalg.norm(decoder, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[np.triu_indices(50, 1)]
    assert [pair.cosine for pair in table.duplicates] == pytest.approx(sorted(cosines)[::-1][:20], abs=1e-6)
    assert [pair.cosine for pair in table.antipodal] == pytest.approx(sorted(cosines)[:20], abs=1e-6)
