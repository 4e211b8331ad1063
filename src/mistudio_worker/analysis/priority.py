"""How worthwhile it is to explain a feature: not coherence alone.

    evidence    = mean of c and h             c = score_low where there is one, else coherence_score
                                              h = the better held-out check, max(0, 2 AUROC - 1); c alone without any
    support     = (D + 1) / (D + 2)           D = positives (1 - near_duplicate_share): about as many distinct texts
    specificity = 1 - density
    priority    = evidence * support * specificity / 2^findings

- A feature is worth the effort where an explanation can be right and can be checked: c is what its texts have in
  common at least, h whether that is found again on texts that were not looked at. One check is enough, since a
  concept may be one of words or one of meaning. Equal weights, since none are fitted: improper linear models
  order nearly as well as fitted ones, and carry over to other data (Dawes 1979).
- Support is Laplace's rule of succession: after D distinct texts that fit, the chance that the next one does.
- What fires on most texts cannot be told apart by an explanation; density 1 leaves nothing to explain.
- A finding says that something else than a concept may stand behind the texts (duplicates, length), or that
  another feature tells the same: it halves the score, and so puts the feature behind every clean one of half
  its evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistudio_worker.domain.feature_report import JUDGED_TIERS

if TYPE_CHECKING:
    from mistudio_worker.domain.feature_report import FeatureReport, HeldOut

FINDINGS_AGAINST = ("duplicate_driven", "length_driven", "duplicate_feature")


def priority_score(report: FeatureReport) -> float:
    """Return how worthwhile it is to explain a feature, 0 to 1, higher is better.

    Never lower where coherence, a held-out check or the number of distinct texts is higher, where the density is
    lower, or where a finding is gone. A part that is not defined is left out, not counted as 0. 0 for a feature
    whose coherence is not defined.

    Args:
        report: all but its `priority_score` is set.
    """
    statistics = report.activation_statistics
    if statistics is None or report.quality_tier not in JUDGED_TIERS:
        return 0.0
    low = report.coherence.score_low
    evidence = report.coherence_score if low is None else low
    if (check := _best_check(report.held_out)) is not None:
        evidence = (evidence + check) / 2
    distinct = statistics.positives * (1.0 - (report.diversity.near_duplicate_share or 0.0))
    support = (distinct + 1.0) / (distinct + 2.0)
    findings = sum(name in report.flags for name in FINDINGS_AGAINST)
    return evidence * support * (1.0 - statistics.density) * 0.5**findings


def _best_check(held_out: HeldOut) -> float | None:
    """How far the better of the two AUROC lies over chance, 0 to 1; None where neither is defined."""
    defined = [auroc for auroc in (held_out.separability, held_out.keyword_auroc) if auroc is not None]
    return max(0.0, 2.0 * max(defined) - 1.0) if defined else None
