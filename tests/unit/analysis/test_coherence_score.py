from __future__ import annotations

import numpy as np
import pytest
from support.coherence_of import in_both
from support.memory_runs import planted_run

from mistudio_worker.analysis.coherence_score import Scores, coherence_score
from mistudio_worker.analysis.unity import Unity

NAN = float("nan")


def unity(*values: float, without: object = None) -> Unity:
    """Unity of some features; without leave-one-out values by default."""
    figures = np.full((len(values), 4), NAN) if without is None else np.asarray(without, dtype=np.float64)
    return Unity(np.array(values), figures)


def scored(activation: Unity | None, text: Unity, length: list[float] | None = None) -> Scores:
    """Scores of some features that do not follow the length, unless said."""
    return coherence_score(activation, text, np.array(length or [NAN] * text.value.size))


def test_points_of_the_scale() -> None:
    """-1 is 0, two halves without anything in common are at the readers' threshold 0.4, and 1 is 1."""
    assert scored(None, unity(-1.0, 0.0, 1.0)).score == pytest.approx([0.0, 0.4, 1.0])
    values = np.linspace(-1, 1, 41)
    assert (np.diff(scored(None, unity(*values)).score) > 0).all()


def test_either_space_is_witness_enough_and_both_are_better() -> None:
    """1 - (1 - a)(1 - t) of what is positive; the better one where nothing is."""
    cases = [(0.5, 0.5, 0.75), (0.5, -0.9, 0.5), (-0.9, 0.5, 0.5), (-0.2, -0.6, -0.2), (0.5, 0.0, 0.5), (1.0, 0.3, 1.0)]
    a, t, expected = map(list, zip(*cases, strict=True))
    assert scored(unity(*a), unity(*t)).score == pytest.approx(scored(None, unity(*expected)).score)


def test_what_one_space_does_not_define_the_other_does() -> None:
    """NaN only where both are."""
    found = scored(unity(NAN, 0.5, NAN), unity(0.5, NAN, NAN)).score
    assert found[:2] == pytest.approx([scored(None, unity(0.5)).score[0]] * 2)
    assert np.isnan(found[2])


def test_following_the_length_lowers_the_score_without_a_step() -> None:
    """At a figure of 0.5 nothing is taken off, at 0.75 half, at 1 everything; the sign does not matter."""
    whole = scored(None, unity(0.6)).score[0]
    figures = [NAN, 0.5, 0.75, -0.75, 1.0]
    found = scored(None, unity(*[0.6] * 5), figures).score
    assert found == pytest.approx([whole, whole, whole / 2, whole / 2, 0.0])


def test_interval_is_that_of_the_jackknife() -> None:
    """Without three texts the scores are s1, s2, s3: 1.96 sqrt(2 / 3 sum of squared distances), cut at 0 and 1."""
    left = np.array([[0.2, 0.3, 0.5, NAN], [0.9, 1.0, 1.0, NAN]])
    found = scored(None, unity(0.3, 0.99, without=left))
    values = scored(None, unity(0.2, 0.3, 0.5)).score
    error = 1.959964 * np.sqrt(2 / 3 * ((values - values.mean()) ** 2).sum())
    assert (found.low[0], found.high[0]) == pytest.approx((found.score[0] - error, found.score[0] + error))
    assert found.high[1] == 1.0
    assert (found.low <= found.score).all()
    assert (found.score <= found.high).all()


def test_interval_covers_what_other_texts_of_the_concept_give() -> None:
    """Of 120 draws of 20 texts each of one topic, 85 % at least have the mean score in their interval."""
    run = planted_run(n=1600, features=3, dim=32)
    assert run.originals is not None
    random = np.random.default_rng(5)
    cells = np.zeros((1600, 120))
    for f in range(120):
        chosen = 4 * random.choice(400, 20, replace=False)
        cells[chosen, f] = np.exp(0.3 * random.normal(size=20))
    scores = in_both(cells, run.texts, run.originals.rows(0, 1600).numpy()).scores
    mean = scores.score.mean()
    assert ((scores.low <= mean) & (mean <= scores.high)).mean() >= 0.85
    assert (scores.high - scores.low).mean() < 0.5


def test_more_texts_make_surer() -> None:
    """The interval of a concept of 100 texts is narrower than that of 10 of them."""
    run = planted_run(n=800, features=3, dim=32)
    assert run.originals is not None
    cells = np.zeros((800, 2))
    cells[np.arange(0, 400, 4), 0] = 1.0
    cells[np.arange(0, 40, 4), 1] = 1.0
    scores = in_both(cells, run.texts, run.originals.rows(0, 800).numpy()).scores
    assert np.diff(scores.high - scores.low)[0] > 0
