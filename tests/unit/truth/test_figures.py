from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.truth.figures import all_figures
from bench.truth.generated import generated_corpus
from bench.truth.measuring import measure
from bench.truth.planted import Planted, Soil
from bench.truth.planting import generator
from bench.truth.table import figure_table, kind_table, markdown, measure_table
from bench.truth.unrelated import plant_constant, plant_dead, plant_random, plant_sparse

if TYPE_CHECKING:
    from bench.truth.measuring import Outcome


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """A few features, planted and analysed: the rows of the topic cooking, and some that are about nothing."""
    corpus, random = generated_corpus(generator(3), 1_200), generator(4)
    soil = Soil(corpus, {})
    values = soil.zeros()
    rows = (corpus.labels == "cooking").nonzero()[0]
    values[rows] = random.uniform(1.0, 2.0, size=len(rows))
    planted = [Planted("source", values, "cooking", rows), plant_dead(soil, random), plant_constant(soil, random)]
    planted += [plant(soil, random) for plant in (plant_random, plant_sparse) for _ in range(12)]
    return measure(corpus, planted, threads=1)


def test_outcomes_keep_the_order_of_what_was_planted(outcomes: list[Outcome]) -> None:
    """The report of a feature lies beside its truth."""
    assert [outcome.report.feature_id for outcome in outcomes] == list(range(27))
    assert all(
        o.report.activation_statistics.positives == o.planted.positives
        for o in outcomes
        if o.report.activation_statistics
    )
    assert outcomes[0].worth_explaining
    assert outcomes[0].report.coherence_score > max(outcome.report.coherence_score for outcome in outcomes[3:15])


def test_figures_of_what_was_planted(outcomes: list[Outcome]) -> None:
    """Dead, insufficient and constant ones are found by name; kinds that were not planted have no figure."""
    values = {figure.name: figure.value for figure in all_figures([outcomes])}
    assert values["dead features named"] == 1.0
    assert values["constant features named"] == 1.0
    assert values["features below 5 positives named insufficient"] == 1.0
    assert values["length features flagged length_driven"] is None
    assert values["AUROC of coherence_score, clean > duplicates"] is None


def test_tables_have_rows_of_equal_width(outcomes: list[Outcome]) -> None:
    """One row a figure, a measure and a kind, under a heading."""
    for rows in (
        figure_table(all_figures([outcomes]), ["generated"]),
        measure_table([outcomes]),
        kind_table([outcomes]),
    ):
        assert len({len(row) for row in rows}) == 1
        assert markdown(rows).count("\n") == len(rows) + 1
