from __future__ import annotations

import numpy as np
from support.memory_runs import blocks

from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.positives import gather
from mistudio_worker.analysis.ranking import rank_texts


def ranked(cells: object, top_k: int) -> list[list[int]]:
    """Top texts of every feature, as lists."""
    top = rank_texts(gather(blocks(np.asarray(cells)), (), Execution())[0], top_k)
    return [top.texts[a:b].tolist() for a, b in zip(top.offsets[:-1], top.offsets[1:], strict=True)]


def test_ties_go_to_the_lowest_text() -> None:
    """Equal activations stand in the order of the texts, also at the cut."""
    assert ranked([[1], [2], [1], [2], [1]], 3) == [[1, 3, 0]]


def test_texts_that_did_not_fire_are_never_examples() -> None:
    """With 2 positives and k = 5 there are 2 examples; a dead feature has none."""
    assert ranked([[0, 0], [0.5, 0], [0, 0], [0.7, 0]], 5) == [[3, 1], []]


def test_equals_a_stable_sort() -> None:
    """Against the definition: a stable descending sort, cut at k."""
    cells = np.random.default_rng(3).integers(0, 6, size=(200, 5)).astype(np.float32)
    for feature, found in enumerate(ranked(cells, 17)):
        order = np.argsort(-cells[:, feature], kind="stable")
        assert found == [int(i) for i in order if cells[i, feature] > 0][:17]
