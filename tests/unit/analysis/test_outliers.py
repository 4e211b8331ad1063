from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.memory_runs import blocks

from mistudio_worker.analysis.diversity import Likeness
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.outliers import find_outliers, outlier_records
from mistudio_worker.analysis.positives import gather
from mistudio_worker.analysis.ranking import rank_texts
from mistudio_worker.analysis.statistics import compute_statistics

if TYPE_CHECKING:
    from mistudio_worker.domain.feature_report import OutlierExample


def outliers_of(
    column: list[float], similarity: list[float] | None = None, norms: list[float] | None = None
) -> tuple[OutlierExample, ...]:
    """Outlier examples of one feature; similarities in the order of the ranks."""
    found, moments = gather(blocks(np.array(column)[:, None]), (), Execution())
    top = rank_texts(found, 20)
    likeness = None if similarity is None else Likeness(np.array([np.nan]), np.array(similarity))
    known = None if norms is None else np.array(norms)
    table = find_outliers(top, compute_statistics(found, moments), likeness, known)
    return outlier_records(top, table, likeness, 0)


def test_a_value_far_from_the_median() -> None:
    """Positives 1, 1.1, 1.2, 1.3, 9: median 1.2, MAD 0.1, z = 0.6745 * 7.8 / 0.1."""
    (found,) = outliers_of([1.0, 1.1, 1.2, 1.3, 9.0, 0.0])
    assert (found.text_index, found.reasons, found.similarity) == (4, ("activation",), None)
    assert found.modified_z == pytest.approx(0.6745 * 7.8 / 0.1, rel=1e-5)


def test_skewed_positives_are_no_outliers_by_themselves() -> None:
    """The tail of a log-normal distribution belongs to it."""
    column = np.exp(np.linspace(-2, 2, 41))
    assert outliers_of(column.tolist()) == ()


def test_without_a_spread_nothing_is_flagged_by_activation() -> None:
    """More than half of the positives are equal: the MAD is 0, and there is no scale to judge by."""
    assert outliers_of([1.0, 1.0, 1.0, 1.0, 50.0]) == ()


def test_an_outsized_norm() -> None:
    """More than 10 times the median norm; unusable texts (norm 0) do not count into the median."""
    (found,) = outliers_of([1.0, 1.1, 1.2, 1.3], norms=[1.0, 11.0, 1.0, 0.0])
    assert (found.text_index, found.reasons) == (1, ("norm",))


def test_a_text_unlike_the_others() -> None:
    """One similarity far below the median of the feature's top texts, in order of strength."""
    (found,) = outliers_of([1.5, 1.4, 1.3, 1.2, 1.1], similarity=[0.6, 0.6, -0.1, 0.62, 0.61])
    assert (found.text_index, found.reasons, found.similarity) == (2, ("dissimilar",), -0.1)


def test_four_texts_are_too_few_to_compare() -> None:
    """A text without a similarity leaves 4, and nothing is called dissimilar."""
    assert outliers_of([1.5, 1.4, 1.3, 1.2, 1.1], similarity=[0.6, 0.6, -0.1, 0.62, np.nan]) == ()


@pytest.mark.parametrize("column", [[3.0], [0.0], [0.0, 0.0], [2.0] * 9, [1e-45, 1e-45, 3e38]])
def test_one_text_none_equal_ones_and_extremes_have_no_outlier_by_activation(column: list[float]) -> None:
    """Without a spread there is no scale, and without a positive no example."""
    assert outliers_of(column) == ()


def test_norms_of_unusable_texts_are_no_scale() -> None:
    """Where no text has a norm, none is outsized; a text of norm 0 never is."""
    assert outliers_of([1.0, 1.1, 1.2], norms=[0.0, 0.0, 0.0]) == ()
    assert outliers_of([1.0, 1.1, 1.2], norms=[0.0, 5.0, 5.0]) == ()


def test_at_the_limits_nothing_is_an_outlier() -> None:
    """Beyond a limit, not at it: 10 times the median norm, and 3 spreads of the floor 0.05."""
    assert outliers_of([1.0, 1.1, 1.2], norms=[1.0, 10.0, 1.0]) == ()
    assert outliers_of([1.5, 1.4, 1.3, 1.2, 1.1], similarity=[0.5, 0.5, 0.3501, 0.5, 0.5]) == ()
    (found,) = outliers_of([1.5, 1.4, 1.3, 1.2, 1.1], similarity=[0.5, 0.5, 0.3499, 0.5, 0.5])
    assert found.reasons == ("dissimilar",)
