"""The figure that tells whether features, vectors and weights belong together."""

from __future__ import annotations

import math

import pytest
import torch
from support.runs import make_run

from mistudio_worker.artifacts.alignment import check_features_follow, encoding_error
from mistudio_worker.artifacts.blocks import TensorBlocks
from mistudio_worker.artifacts.limits import Limits
from mistudio_worker.domain.training_run import SaeWeights
from mistudio_worker.errors import RefusedInput


def by_hand() -> tuple[torch.Tensor, SaeWeights]:
    """Two texts, two features: relu(x W^T + b) is [[3, 0], [0, 4]]."""
    weights = torch.eye(2)
    return torch.tensor([[3.0, -1.0], [-1.0, 4.0]]), SaeWeights(weights, torch.zeros(2), weights, torch.zeros(2))


def test_figure_worked_by_hand() -> None:
    """One cell off by 1 beside values of norm 5 is an error of 0.2."""
    originals, sae = by_hand()
    assert encoding_error(torch.tensor([[3.0, 0.0], [0.0, 4.0]]), originals, sae) == 0.0
    assert encoding_error(torch.tensor([[3.0, 0.0], [1.0, 4.0]]), originals, sae) == pytest.approx(0.2)


def test_impossible_cells_are_left_out() -> None:
    """NaN, infinite and negative cells, reported elsewhere, take no part on either side."""
    originals, sae = by_hand()
    for bad in (math.nan, math.inf, -math.inf, -7.0):
        stored = torch.tensor([[bad, 0.0], [0.0, 4.0]])
        assert encoding_error(stored, originals, sae) == 0.0


def test_all_zero_is_equal() -> None:
    """A run in which nothing fires agrees with itself; one in which nothing should fire but something does not."""
    _, sae = by_hand()
    originals = torch.full((2, 2), -1.0)
    assert encoding_error(torch.zeros(2, 2), originals, sae) == 0.0
    assert encoding_error(torch.ones(2, 2), originals, sae) == math.inf


def test_rows_of_the_figure_are_seeded_and_bounded() -> None:
    """The same rows are taken each time, no more than the limit, and none with NaN in the vector."""
    contents = make_run()
    features = TensorBlocks(contents.activations["feature_activations"].clone())
    vectors = contents.activations["original_activations"].clone()
    vectors[7] = math.nan
    sae = SaeWeights(
        *(contents.weight(n) for n in ("encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"))
    )
    for rows in (3, 256):
        limits = Limits(alignment_rows=rows)
        figures = {check_features_follow(features, TensorBlocks(vectors), sae, (7,), limits) for _ in range(3)}
        assert len(figures) == 1
        assert figures.pop() < 1e-6


def test_every_row_of_a_small_run_is_checked() -> None:
    """Where a run has no more rows than the limit, a single foreign row is seen."""
    contents = make_run()
    stored = contents.activations["feature_activations"].clone()
    stored[123] += 5.0
    sae = SaeWeights(
        *(contents.weight(n) for n in ("encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"))
    )
    vectors = TensorBlocks(contents.activations["original_activations"])
    with pytest.raises(RefusedInput, match="over 200 rows"):
        check_features_follow(TensorBlocks(stored), vectors, sae, (), Limits())


def test_overflow_is_refused() -> None:
    """Vectors so large that the product is infinite leave no figure, and that is no agreement."""
    originals, sae = by_hand()
    vectors = TensorBlocks(originals * 3e38)
    with pytest.raises(RefusedInput, match="ARTIFACT_MISALIGNED"):
        check_features_follow(TensorBlocks(torch.ones(2, 2)), vectors, sae, (), Limits())


def test_nothing_to_compare_is_no_disagreement() -> None:
    """Where every vector is unusable there is no figure."""
    originals, sae = by_hand()
    blocks = TensorBlocks(originals)
    assert check_features_follow(blocks, blocks, sae, (0, 1), Limits()) == 0.0
