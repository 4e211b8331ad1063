"""Whether a word that half of a feature's top texts suggest tells the feature's other texts from silent ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from mistudio_worker.analysis.execution import map_tiles, spans
from mistudio_worker.analysis.held_out import MIN_HALF
from mistudio_worker.analysis.kernels.keyword_checks import FEW_TEXTS, NO_TERM, NONE_SILENT, check_keywords

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mistudio_worker.analysis.execution import Execution
    from mistudio_worker.analysis.positives import Positives
    from mistudio_worker.analysis.terms import TermTable
    from mistudio_worker.analysis.top_examples import GroupedTop

FEATURE_TILE = 256
FEWEST_TEXTS = 2 * MIN_HALF
REASONS = {
    FEW_TEXTS: f"fewer than {FEWEST_TEXTS} distinct texts among the top texts",
    NO_TERM: "the odd-ranked top texts hold no word that could be a keyword",
    NONE_SILENT: "there is no text to compare with on which the feature does not fire",
}


@dataclass(frozen=True, slots=True)
class KeywordChecks:
    """What became of the term of each feature.

    Attributes:
        term: [F] int32 number of the chosen term; -1 where there is none.
        auroc: [F] float64, 0 to 1; NaN where not defined.
        outcome: [F] int8, a key of REASONS, else 0.
    """

    term: NDArray[np.int32]
    auroc: NDArray[np.float64]
    outcome: NDArray[np.int8]

    def why_undefined(self, feature: int) -> dict[str, str]:
        """Return field -> reason for what is not defined of a feature."""
        reason = REASONS.get(int(self.outcome[feature]))
        if reason is None:
            return {}
        names = ("keyword", "keyword_auroc") if self.term[feature] < 0 else ("keyword_auroc",)
        return {f"held_out.{name}": reason for name in names}


def check_predictiveness(  # noqa: PLR0913, PLR0917 - what is read, and how it is run
    texts: Sequence[str],
    table: TermTable,
    candidates: NDArray[np.bool_],
    positives: Positives,
    top: GroupedTop,
    execution: Execution,
) -> KeywordChecks:
    """Choose a word on the odd-ranked top texts of each feature, measure it on the even-ranked ones.

    Texts are halved by a hash of their content, so that the halves do not depend on the order of the rows. The
    word is the one with the highest TPR - FPR: share of the odd-ranked top texts less share of the texts of one
    half that are not on top; ties to the lowest code point. Its AUROC as a yes-or-no score is
    (1 + TPR - FPR) / 2 with TPR the share of the even-ranked top texts and FPR the share of those texts of the
    other half on which the feature does not fire. Nothing that is measured on was used to choose.

    Args:
        texts: n texts without lone surrogates.
        table: their terms.
        candidates: [V] words that may be keywords.
        positives: texts that each feature fires on.
        top: top texts of each feature; of copies only the strongest is ranked, since the others would carry a word
            from one half into the other.
        execution: threads; the result is the same for any.

    Returns:
        AUROC around 0.5 for a random feature, towards 1 where one word tells the feature's texts from others.
    """
    choosing = np.fromiter((crc32(text.encode()) & 1 for text in texts), dtype=np.bool_, count=len(texts))
    rows = np.repeat(choosing, np.diff(table.offsets))
    vocabulary = len(table.terms)
    frequency = np.stack([np.bincount(table.ids[rows == half], minlength=vocabulary) for half in (False, True)])
    distinct = top.distinct()
    features = positives.counts.size
    checks = KeywordChecks(np.empty(features, np.int32), np.empty(features), np.zeros(features, np.int8))

    def work(span: tuple[int, int]) -> None:
        check_keywords(
            span,
            distinct,
            (positives.offsets, positives.texts),
            (table.offsets, table.ids),
            candidates,
            choosing,
            frequency,
            FEWEST_TEXTS,
            checks.term,
            checks.auroc,
            checks.outcome,
        )

    for _ in map_tiles(work, spans(features, FEATURE_TILE), execution, tile_bytes=8 * vocabulary):
        pass
    return checks
