"""The priority score: between 0 and 1, never lower for a better part, whole without the parts that are missing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.results import dead, feature, statistics, unscored

from mistudio_worker.analysis.priority import FINDINGS_AGAINST, priority_score
from mistudio_worker.domain.feature_report import Coherence, Diversity, HeldOut

if TYPE_CHECKING:
    from mistudio_worker.domain.feature_report import FeatureReport

TEXTS = 1000
SHARE = st.floats(0, 1)
PART = st.none() | SHARE


@st.composite
def reports(draw: st.DrawFn) -> FeatureReport:
    """A judged feature with any parts."""
    positives = draw(st.integers(5, TEXTS))
    return feature(
        0,
        coherence_score=draw(SHARE),
        coherence=Coherence(None, None, None, None, score_low=draw(PART)),
        held_out=HeldOut(draw(PART), None, draw(PART)),
        diversity=Diversity(None, draw(PART)),
        activation_statistics=statistics(positives=positives, density=positives / TEXTS),
        flags=dict.fromkeys(draw(st.sets(st.sampled_from([*FINDINGS_AGAINST, "bimodal"]))), 0.9),
    )


@given(reports())
def test_it_lies_between_0_and_1(report: FeatureReport) -> None:
    """Whatever is missing, the score is a share."""
    assert 0.0 <= priority_score(report) <= 1.0


@given(reports(), SHARE)
def test_a_better_part_never_lowers_it(report: FeatureReport, value: float) -> None:
    """Coherence, its lower bound and both held-out checks each raise it or leave it."""
    coherence, held_out, score = report.coherence, report.held_out, report.coherence_score
    better = [replace(report, coherence_score=max(score, value))]
    if (low := coherence.score_low) is not None:
        better.append(replace(report, coherence=replace(coherence, score_low=max(low, value))))
    if (separability := held_out.separability) is not None:
        better.append(replace(report, held_out=replace(held_out, separability=max(separability, value))))
    if (auroc := held_out.keyword_auroc) is not None:
        better.append(replace(report, held_out=replace(held_out, keyword_auroc=max(auroc, value))))
    assert all(priority_score(other) >= priority_score(report) for other in better)


@given(reports(), SHARE)
def test_repetition_density_and_findings_never_raise_it(report: FeatureReport, value: float) -> None:
    """More near-duplicates, a higher density and another finding lower it or leave it."""
    share = report.diversity.near_duplicate_share or 0.0
    worse = [replace(report, diversity=Diversity(None, max(share, value)))]
    if (figures := report.activation_statistics) is not None:
        density = max(figures.density, value)
        worse.append(replace(report, activation_statistics=replace(figures, density=density)))
    worse += [replace(report, flags={**report.flags, name: 1.0}) for name in FINDINGS_AGAINST]
    assert all(priority_score(other) <= priority_score(report) for other in worse)


def test_by_hand() -> None:
    """Every part of the formula, in figures that can be checked on paper."""
    report = feature(
        0,
        coherence_score=0.9,
        coherence=Coherence(None, None, None, None, score_low=0.8),
        held_out=HeldOut(0.7, "word", 0.8),
        diversity=Diversity(None, 0.5),
        activation_statistics=statistics(positives=36, density=0.1),
        flags={"length_driven": 0.6, "bimodal": 0.7},
    )
    assert priority_score(report) == pytest.approx((0.8 + 0.6) / 2 * 19 / 20 * 0.9 / 2)
    alone = replace(report, coherence=Coherence(None, None, None, None), held_out=HeldOut(None, None, None), flags={})
    assert priority_score(alone) == pytest.approx(0.9 * 19 / 20 * 0.9)


def test_one_check_is_enough() -> None:
    """A concept of meaning, whose words predict nothing, is not put behind one without any check of words."""
    report = feature(0, held_out=HeldOut(0.95, "the", 0.51))
    assert priority_score(report) == priority_score(replace(report, held_out=HeldOut(0.95, None, None)))


def test_what_is_not_judged_has_none() -> None:
    """Dead, invalid and insufficient features have a priority of 0."""
    held = {"held_out": HeldOut(0.9, None, None)}
    few = unscored(2, "insufficient", activation_statistics=statistics(positives=3), **held)
    assert [priority_score(report) for report in (dead(0), unscored(1, "invalid"), few)] == [0.0, 0.0, 0.0]
