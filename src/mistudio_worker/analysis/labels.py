"""Categories, tags and indicators of all features, by contrast with the corpus.

A label is given for its rate among the top texts against its rate among the other texts, never for
matches as such: what every text of the corpus has is no finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from mistudio_worker.analysis.taxonomy import UNKNOWN
from mistudio_worker.domain.feature_report import LabelEvidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.label_hits import LabelHits
    from mistudio_worker.analysis.top_examples import TopExamples

LEAST_Z = {"category": 2.6, "tag": 3.0, "indicator": 3.0}
"""A label needs z of at least this, by kind: of random features about 1 in 50 gets any category."""
LEAST_TOP_RATE = {"category": 0.3, "tag": 0.3, "indicator": 0.2}
"""A label needs this weighted share of the top texts, by kind."""
LEAST_TOP_TEXTS = 3
PRIOR_TEXTS = 2.0
"""The rate among the top texts is shrunk towards the corpus by this many texts."""
MOST_TAGS = 10
MOST_EVIDENCE = 5


@dataclass(frozen=True, slots=True)
class FeatureLabels:
    """What stands out in the top texts of one feature.

    Attributes:
        primary: category with the highest confidence, or "unknown".
        secondary: further categories, best first.
        tags: best first, at most 10.
        indicators: best first.
        evidence: for the primary category unless unknown, then each of the above, same order.
    """

    primary: str
    secondary: tuple[str, ...]
    tags: tuple[str, ...]
    indicators: tuple[str, ...]
    evidence: tuple[LabelEvidence, ...]


@dataclass(frozen=True, slots=True)
class _Contrast:
    """Columns [F, L]."""

    log_odds: NDArray[np.float64]
    z: NDArray[np.float64]
    confidence: NDArray[np.float64]
    top_rate: NDArray[np.float64]
    given: NDArray[np.bool_]


def judge_labels(hits: LabelHits, top: TopExamples) -> list[FeatureLabels]:
    """Judge every label for every feature.

    With weights w = strength / strongest, r = sum of w over matching top texts / sum w, and the
    effective number of top texts m = (sum w)^2 / sum w^2, c the label's share of all texts, y' of n'
    other texts matching:
    d = logit((m r + 2 c) / (m + 2)) - logit((y' + 0.5) / (n' + 1)), where c counts half a text more,
    z = d over the square root of the sum of the reciprocals of the four counts,
    confidence = max(0, (r - c) / (1 - c)), 0 to 1: how much of the way from the corpus to "all top
    texts" the feature goes; 0 where every text matches.

    A label is given where z >= LEAST_Z and r >= LEAST_TOP_RATE of its kind, and at least LEAST_TOP_TEXTS
    top texts match. Labels are ranked by confidence, then z, then the taxonomy's order. Parts of one category are
    judged each by itself, and the first in this order speaks for it. A dead feature, like one with fewer than 3
    top texts, is "unknown".

    Returns:
        One record a feature.
    """
    contrast = _contrast(hits, top)
    return [_labels(feature, hits, top, contrast) for feature in range(top.offsets.size - 1)]


def _contrast(hits: LabelHits, top: TopExamples) -> _Contrast:
    n, _ = hits.labels.shape
    sizes = np.diff(top.offsets)
    alive = sizes > 0
    strongest = np.repeat(top.strengths[top.offsets[:-1][alive]], sizes[alive])
    weights = top.strengths.astype(np.float64) / strongest
    count = _product(np.ones(weights.size), top, hits)
    weighted = _product(weights, top, hits)
    total = _sums(weights, top.offsets)[:, None]
    squares = _sums(weights**2, top.offsets)[:, None]
    rate = weighted / np.maximum(total, 1e-300)
    effective = total**2 / np.maximum(squares, 1e-300)
    holders = hits.labels.sum(axis=0, dtype=np.int64).astype(np.float64)
    corpus = holders / max(n, 1)
    prior = PRIOR_TEXTS * (holders + 0.5) / (n + 1)
    yes, no = effective * rate + prior, np.maximum(effective * (1.0 - rate), 0.0) + PRIOR_TEXTS - prior
    other_yes = holders - count + 0.5
    other_no = (n - sizes[:, None]) - (holders - count) + 0.5
    d = np.log(yes / no) - np.log(other_yes / other_no)
    z = d / np.sqrt(1.0 / yes + 1.0 / no + 1.0 / other_yes + 1.0 / other_no)
    confidence = np.clip((rate - corpus) / np.where(corpus < 1.0, 1.0 - corpus, np.inf), 0.0, 1.0)
    kinds = [label.kind for label in hits.taxonomy.labels]
    given = (z >= [LEAST_Z[kind] for kind in kinds]) & (rate >= [LEAST_TOP_RATE[kind] for kind in kinds])
    given &= count >= LEAST_TOP_TEXTS
    return _Contrast(d, z, confidence, count / np.maximum(sizes, 1)[:, None], given)


def _product(weights: NDArray[np.float64], top: TopExamples, hits: LabelHits) -> NDArray[np.float64]:
    """[F, L]: sum of the weights of the top texts that match."""
    shape = (top.offsets.size - 1, hits.labels.shape[0])
    result: NDArray[np.float64] = sparse.csr_array((weights, top.texts, top.offsets), shape=shape) @ hits.labels.astype(
        np.float64
    )
    return result


def _sums(values: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum of each run, 0 for an empty one; in the run's own order."""
    rows = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    return np.bincount(rows, weights=values, minlength=offsets.size - 1).astype(np.float64)


def _labels(feature: int, hits: LabelHits, top: TopExamples, contrast: _Contrast) -> FeatureLabels:
    given = np.flatnonzero(contrast.given[feature])
    best = given[np.lexsort((given, -contrast.z[feature, given], -contrast.confidence[feature, given]))].tolist()
    kinds: dict[str, list[int]] = {"category": [], "tag": [], "indicator": []}
    seen: set[tuple[str, str]] = set()
    for label in best:
        named = hits.taxonomy.labels[label]
        if (named.kind, named.name) not in seen:  # the best part speaks for its category
            seen.add((named.kind, named.name))
            kinds[named.kind].append(label)
    kinds["tag"] = kinds["tag"][:MOST_TAGS]
    names = {kind: tuple(hits.taxonomy.labels[label].name for label in mine) for kind, mine in kinds.items()}
    order = [label for mine in kinds.values() for label in mine]
    return FeatureLabels(
        primary=names["category"][0] if names["category"] else UNKNOWN,
        secondary=names["category"][1:],
        tags=names["tag"],
        indicators=names["indicator"],
        evidence=_evidence(feature, order, hits, top, contrast) if order else (),
    )


def _evidence(
    feature: int, labels: list[int], hits: LabelHits, top: TopExamples, contrast: _Contrast
) -> tuple[LabelEvidence, ...]:
    texts = top.texts[top.offsets[feature] : top.offsets[feature + 1]]
    counts = hits.entry_counts(texts)
    return tuple(
        LabelEvidence(
            label=hits.taxonomy.labels[label].name,
            kind=hits.taxonomy.labels[label].kind,
            confidence=float(contrast.confidence[feature, label]),
            log_odds=float(contrast.log_odds[feature, label]),
            z=float(contrast.z[feature, label]),
            top_rate=float(contrast.top_rate[feature, label]),
            corpus_rate=float(hits.corpus_rates[label]),
            evidence=hits.strongest_entries(label, counts, MOST_EVIDENCE),
        )
        for label in labels
    )
