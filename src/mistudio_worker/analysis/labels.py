"""Categories, tags and indicators of all features, by contrast with the corpus.

A label is given for the evidence of the top texts against that of all texts, never for matches as such: what every
text of the corpus has is no finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.special import gammaln

from mistudio_worker.analysis.kernels.term_counts import log_tails
from mistudio_worker.analysis.taxonomy import UNKNOWN
from mistudio_worker.domain.feature_report import LabelEvidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.label_hits import LabelHits
    from mistudio_worker.analysis.top_examples import TopExamples

LEAST_Z = {"category": 2.6, "tag": 3.0, "indicator": 3.0}
"""A label needs z of at least this, by kind."""
LEAST_CONFIDENCE = {"category": 0.25, "tag": 0.3, "indicator": 0.2}
"""A label needs this confidence, by kind. Together with z: of random features 1 in 20 gets any category."""
LEAST_TOP_TEXTS = 3
MATCH_ERROR = 0.05
_NO_SPREAD = 1e-15
"""Below this a variance is that of rounding: all texts alike, or all of them on top."""
MOST_TAGS = 10
MOST_EVIDENCE = 5


@dataclass(frozen=True, slots=True)
class FeatureLabels:
    """What stands out in the top texts of one feature.

    Attributes:
        primary: best category, or "unknown".
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

    With w = strength / sum of the strengths, s the evidence of a text, r the sum of w s over the top texts, c and v
    mean and variance of s over all n texts:
    z = (r - c) / sqrt(v (sum w^2 - 1/n) n / (n - 1)): mean and variance are those of r if the same weights lay on texts
    drawn at random without replacement; 0 where r cannot vary.
    confidence = max(0, (r - c) / (1 - c)), 0 to 1: how much of the way from the corpus to "all top texts" the feature
    goes; 0 where every text has full evidence.

    A label is given where z >= LEAST_Z and confidence >= LEAST_CONFIDENCE of its kind, at least LEAST_TOP_TEXTS top
    texts match, and the hypergeometric probability of so many is at most MATCH_ERROR (for few texts z is too
    rough). Labels are ranked by z times confidence, then the taxonomy's order: a label that half of the corpus has is
    easily that of all top texts, a rare one seldom. Parts of one category are judged each by itself, and the first in
    this order speaks for it. A dead feature, like one with fewer than 3 top texts, is "unknown".

    Returns:
        One record a feature.
    """
    contrast = _contrast(hits, top)
    return [_labels(feature, hits, top, contrast) for feature in range(top.offsets.size - 1)]


def _contrast(hits: LabelHits, top: TopExamples) -> _Contrast:
    n = hits.scores.shape[0]
    sizes = np.diff(top.offsets)
    strengths = top.strengths.astype(np.float64)
    total = np.where(sizes > 0, _sums(strengths, top.offsets), 1.0)
    rate = _product(strengths, top, hits.scores) / total[:, None]
    corpus = hits.scores.mean(axis=0, dtype=np.float64) if n else np.zeros(len(hits.taxonomy.labels))
    variance = hits.scores.var(axis=0, dtype=np.float64) if n else np.zeros(len(hits.taxonomy.labels))
    uneven = _sums(strengths**2, top.offsets) / total**2
    spread = np.maximum(uneven - 1.0 / max(n, 1), 0.0)[:, None] * variance * n / max(n - 1, 1)
    certain = spread <= _NO_SPREAD
    z = np.where(certain, 0.0, (rate - corpus) / np.sqrt(np.where(certain, 1.0, spread)))
    confidence = np.clip((rate - corpus) / np.where(corpus < 1.0, 1.0 - corpus, np.inf), 0.0, 1.0)
    count = _product(np.ones(strengths.size), top, hits.labels)
    kinds = [label.kind for label in hits.taxonomy.labels]
    given = (z >= [LEAST_Z[kind] for kind in kinds]) & (confidence >= [LEAST_CONFIDENCE[kind] for kind in kinds])
    given &= count >= LEAST_TOP_TEXTS
    holders = hits.labels.sum(axis=0, dtype=np.int64)
    given[given] = _unlikely(given, count, sizes, holders, n)
    d = _log_odds(count, sizes[:, None], holders, n)
    return _Contrast(d, z, confidence, count / np.maximum(sizes, 1)[:, None], given)


def _unlikely(
    given: NDArray[np.bool_], count: NDArray[np.float64], sizes: NDArray[np.int64], holders: NDArray[np.int64], n: int
) -> NDArray[np.bool_]:
    """Whether so many matching top texts are no chance, for the labels that are given so far."""
    feature, label = np.nonzero(given)
    log_factorial = gammaln(np.arange(n + 1, dtype=np.float64) + 1.0)
    tails = log_tails(log_factorial, holders[label], sizes[feature], count[feature, label].astype(np.int64))
    unlikely: NDArray[np.bool_] = tails <= np.log(MATCH_ERROR)
    return unlikely


def _log_odds(
    count: NDArray[np.float64], sizes: NDArray[np.int64], holders: NDArray[np.int64], n: int
) -> NDArray[np.float64]:
    """Of the share of top texts that match against that of the others, half a text added everywhere."""
    others = holders - count
    top = np.log((count + 0.5) / (sizes - count + 0.5))
    rest: NDArray[np.float64] = np.log((others + 0.5) / (n - sizes - others + 0.5))
    return top - rest


def _product(weights: NDArray[np.float64], top: TopExamples, columns: NDArray[Any]) -> NDArray[np.float64]:
    """[F, L]: sum over the top texts of weight times column."""
    shape = (top.offsets.size - 1, columns.shape[0])
    result: NDArray[np.float64] = sparse.csr_array((weights, top.texts, top.offsets), shape=shape) @ columns.astype(
        np.float64
    )
    return result


def _sums(values: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum of each run, 0 for an empty one; in the run's own order."""
    rows = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    return np.bincount(rows, weights=values, minlength=offsets.size - 1).astype(np.float64)


def _labels(feature: int, hits: LabelHits, top: TopExamples, contrast: _Contrast) -> FeatureLabels:
    given = np.flatnonzero(contrast.given[feature])
    weight = contrast.z[feature, given] * contrast.confidence[feature, given]
    best = given[np.lexsort((given, -weight))].tolist()
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
