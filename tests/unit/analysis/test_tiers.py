from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr
from support.memory_runs import blocks

from mistudio_worker.analysis.duplicates import DuplicateGroups
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.positives import gather
from mistudio_worker.analysis.tiers import flags_of, quality_level, quality_tier, raise_flags


def flags_of_column(column: object, texts: list[str] | None = None, group: list[int] | None = None) -> dict[str, float]:
    """Flags of one feature; `group` names near-duplicates, none by default."""
    cells = np.asarray(column, dtype=np.float64)[:, None]
    found, _ = gather(blocks(cells), (), Execution())
    groups = DuplicateGroups(np.arange(len(cells)) if group is None else np.array(group))
    return flags_of(raise_flags(found, texts or ["x"] * len(cells), groups), 0)


@pytest.mark.parametrize(
    ("score", "tier", "level"),
    [
        (1.0, "excellent", "high"),
        (0.8, "excellent", "high"),
        (0.7, "good", "high"),
        (0.6, "good", "medium"),
        (0.4, "fair", "medium"),
        (math.nextafter(0.8, 0.0), "good", "high"),
        (math.nextafter(0.7, 0.0), "good", "medium"),
        (math.nextafter(0.6, 0.0), "fair", "medium"),
        (math.nextafter(0.4, 0.0), "poor", "low"),
        (0.0, "poor", "low"),
    ],
)
def test_thresholds_belong_to_the_better_side(score: float, tier: str, level: str) -> None:
    """Tiers and levels as published."""
    assert (quality_tier(score, 5, invalid=False), quality_level(score)) == (tier, level)


def test_what_comes_before_the_score() -> None:
    """Invalid before dead before insufficient."""
    assert quality_tier(0.9, 0, invalid=True) == "invalid"
    assert quality_tier(0.9, 0, invalid=False) == "dead"
    assert quality_tier(0.9, 4, invalid=False) == "insufficient"


def test_dense_carries_its_figure() -> None:
    """Half of the texts."""
    assert flags_of_column([1, 2, 0, 0]) == {"dense": 0.5}
    assert flags_of_column([1, 0, 0, 0]) == {}


def test_duplicate_driven_looks_at_the_twenty_strongest() -> None:
    """Ten repeats of 20 are half; what is weaker than those does not count."""
    column = [*range(40, 10, -1), *[0] * 70]
    copies = [0] * 11 + list(range(11, 100))
    assert flags_of_column(column, group=copies) == {"duplicate_driven": 0.5}
    assert flags_of_column(column, group=[0] * 10 + list(range(10, 100))) == {}
    assert flags_of_column(column, group=list(range(20)) + [20] * 80) == {}


def test_length_driven_needs_positives_and_corpus() -> None:
    """The longer the text, the stronger; fails when the silent texts are as long."""
    column = np.r_[np.zeros(30), np.arange(1, 31)]
    short_silent = ["x"] * 30 + ["x" * (10 + i) for i in range(30)]
    flags = flags_of_column(column, short_silent)
    assert flags["length_driven"] == pytest.approx(1.0)
    long_silent = ["x" * 500] * 30 + ["x" * (10 + i) for i in range(30)]
    assert "length_driven" not in flags_of_column(column, long_silent)


def test_length_correlation_equals_the_definition() -> None:
    """Over all texts, with mid-ranks for the zeros, as the Pearson correlation of ranks."""
    random = np.random.default_rng(9)
    lengths = random.integers(5, 60, size=200)
    column = np.maximum(lengths + random.normal(size=200) * 8 - 25, 0).astype(np.float32)
    figure = flags_of_column(column, ["x" * int(length) for length in lengths])["length_driven"]
    fires = column > 0
    expected = [spearmanr(column, lengths).statistic, spearmanr(column[fires], lengths[fires]).statistic]
    assert figure == pytest.approx(min(expected))


def test_two_groups_of_strengths_are_bimodal() -> None:
    """Strengths around 0.01 and 10 are two groups; one log-normal group is not."""
    noise = np.exp(np.random.default_rng(10).normal(size=120) * 0.2)
    assert flags_of_column(noise * np.repeat([0.01, 10.0], 60))["bimodal"] > 0.9
    assert "bimodal" not in flags_of_column(noise)


@pytest.mark.parametrize("column", [[0.0], [2.0], [0.0] * 60, [2.0] * 60])
def test_what_cannot_be_judged_raises_no_flag(column: list[float]) -> None:
    """One text, a dead and a constant feature, texts of one length: at most `dense`, never a NaN."""
    flags = flags_of_column(column, ["x"] * len(column))
    assert flags == ({"dense": 1.0} if column[0] else {})


def test_flags_need_their_number_of_positives() -> None:
    """19 positives say nothing of length, 49 nothing of two groups; one more does."""
    texts = ["x" * (i + 1) for i in range(100)]
    for positives, raised in ((19, False), (20, True)):
        column = np.r_[np.zeros(100 - positives), np.arange(1, positives + 1)]
        assert ("length_driven" in flags_of_column(column, texts)) == raised
    for positives, raised in ((49, False), (50, True)):
        column = np.where(np.arange(positives) % 2, 10.0, 0.01) * np.linspace(1.0, 1.1, positives)
        assert ("bimodal" in flags_of_column(np.r_[column, np.zeros(60)])) == raised
