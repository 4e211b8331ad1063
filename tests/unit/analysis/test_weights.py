from __future__ import annotations

import numpy as np
import pytest
from support.memory_runs import blocks

from mistudio_worker.analysis.duplicates import DuplicateGroups
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.positives import gather
from mistudio_worker.analysis.statistics import compute_statistics
from mistudio_worker.analysis.weights import DRAWS, Weights, draw_texts, weigh
from mistudio_worker.errors import RefusedInput


def weights_of(cells: object, group: list[int] | None = None, execution: Execution | None = None) -> Weights:
    """Weights of a matrix; `group` names near-duplicates, none by default."""
    found, moments = gather(blocks(np.asarray(cells)), (), Execution())
    groups = DuplicateGroups(np.arange(found.rows) if group is None else np.array(group))
    return weigh(found, compute_statistics(found, moments), groups, execution or Execution())


def drawn(column: list[float], usable: list[bool] | None = None) -> dict[int, int]:
    """Text -> number of draws of one feature, strongest first."""
    weights = weights_of(np.array(column)[:, None])
    draws = draw_texts(weights, np.array(usable or [True] * len(column)), Execution(threads=2))
    members, counts = draws.members[0].tolist(), draws.counts[0].tolist()
    assert all((member < 0) == (count == 0) for member, count in zip(members, counts, strict=True))
    return {member: count for member, count in zip(members, counts, strict=True) if count}


def test_weights_span_from_the_lowest_to_the_highest_activation() -> None:
    """Of positives 2, 4 and 6 over three texts: 0, 0.5 and 1; over texts with a zero: by the maximum."""
    assert weights_of([[2], [6], [4]]).values.tolist() == [0.0, 1.0, 0.5]
    assert weights_of([[2], [0], [8]]).values.tolist() == [0.25, 1.0]


def test_near_duplicates_are_one_text_with_their_mean_activation() -> None:
    """Texts 0, 2 and 5 are one: (4 + 8 + 0) / 3 of 8 at the strongest of them; equally strong ones at the first."""
    weights = weights_of([[4], [6], [8], [0], [2], [0]], [0, 1, 0, 3, 4, 0])
    assert weights.values.tolist() == pytest.approx([0.0, 0.75, 0.5, 0.25])
    assert weights.distinct.tolist() == [3]
    tied = weights_of([[8], [8], [4]], [0, 0, 2])
    assert tied.values.tolist() == [1.0, 0.0, 0.0]


def test_features_do_not_share_their_groups() -> None:
    """A group that fired for one feature is new for the next; dead and constant features weigh nothing."""
    weights = weights_of([[1, 1, 0, 3], [2, 0, 0, 3], [0, 4, 0, 3]], [0, 0, 2])
    assert weights.values.tolist() == pytest.approx([0.0, 0.75, 0.125, 1.0, 0.0, 0.0, 0.0])
    assert weights.distinct.tolist() == [1, 2, 0, 2]


def test_weights_that_do_not_fit_are_refused() -> None:
    """The figure is named before anything is allocated."""
    with pytest.raises(RefusedInput, match="the weights of 3 positive activations needs 12 bytes"):
        weights_of([[1], [2], [3]], execution=Execution(memory_bytes=11))


def test_texts_are_drawn_as_often_as_their_weight_asks_for() -> None:
    """Eight equal texts: five draws each; weights of 4 to 1: in proportion, strongest first."""
    assert drawn([3.0] * 8 + [0.0]) == dict.fromkeys(range(8), 5)
    assert drawn([1.0, 4.0, 3.0, 2.0, 3.0, 4.0, 3.0, 0.0]) == {1: 8, 5: 8, 2: 6, 4: 6, 6: 6, 3: 4, 0: 2}


def test_no_text_has_more_than_a_quarter_of_the_draws() -> None:
    """One text a thousand times as strong as twenty others is cut to a quarter, so are two and three such ones."""
    for strong in (1, 2, 3):
        found = drawn([1000.0] * strong + [1.0] * 20 + [0.0])
        assert [found[i] for i in range(strong)] == [DRAWS // 4] * strong
        assert sum(found.values()) == DRAWS
    assert drawn([1000.0, 100.0, 10.0, 1.0, 0.0]) == dict.fromkeys(range(4), DRAWS // 4)


def test_more_texts_than_draws_are_drawn_evenly() -> None:
    """Of 400 equal texts every tenth is drawn, give or take rounding; of weak noise among strong texts hardly any."""
    evenly = list(drawn([1.0] * 400 + [0.0]))
    assert len(evenly) == 40
    assert max(abs(place - (4 + 10 * i)) for i, place in enumerate(evenly)) <= 1
    noisy = drawn([1.0] * 40 + [0.01] * 40 + [0.0])
    assert len([text for text in noisy if text >= 40]) <= 1


def test_fewer_than_four_usable_texts_give_no_draws() -> None:
    """Three texts cannot be cut in halves; a text without a vector is passed over."""
    assert drawn([1.0, 2.0, 3.0, 0.0]) == {}
    assert drawn([1.0, 2.0, 3.0, 4.0, 0.0], [True, True, False, True, True]) == {}
    assert list(drawn([1.0, 2.0, 3.0, 4.0, 5.0, 0.0], [True, True, False, True, True, True])) == [4, 3, 1, 0]
