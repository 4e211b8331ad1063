from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mistudio_worker.analysis.candidate_words import candidate_words
from mistudio_worker.analysis.duplicates import group_duplicates, group_top_texts
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.keyword_predictiveness import check_predictiveness
from mistudio_worker.analysis.keywords import find_keywords
from mistudio_worker.analysis.label_hits import build_label_hits
from mistudio_worker.analysis.labels import judge_labels
from mistudio_worker.analysis.positives import Positives
from mistudio_worker.analysis.taxonomy import default_taxonomy
from mistudio_worker.analysis.terms import build_term_table
from mistudio_worker.analysis.top_examples import TopExamples

if TYPE_CHECKING:
    from collections.abc import Sequence

PIECES = ("the patient", "court", "love and grief", '{"type": "string"}', "User: hi Assistant: hello", "*/5 * * * 1")
SCRIPTS = (
    "def f(x):",
    "人工知能です",
    "ภาษาไทย",
    "في السوق",
    "Что это",
    "😂👍🏽",
    "\u200fשלום\u202e",
    "q" * 90,
    "",
    "?!",
    "so on",
)
TEXTS = st.lists(
    st.lists(st.sampled_from(PIECES + SCRIPTS), max_size=4).map(" ".join).map(lambda text: text * 3),
    min_size=1,
    max_size=40,
)


def offsets_of(lists: Sequence[Sequence[int]]) -> np.ndarray:
    """Ends of the lists laid one after another."""
    return np.cumsum([0, *map(len, lists)]).astype(np.int64)


def rows_of(lists: Sequence[Sequence[int]]) -> np.ndarray:
    """All rows, list after list."""
    return np.array([row for rows in lists for row in rows], dtype=np.int32)


def verdicts(texts: list[str], fires: list[list[int]], execution: Execution) -> list[Any]:
    """Everything that is said of features by their texts; the first text of each is its strongest."""
    table = build_term_table(texts)
    strengths = np.array([9.0 - rank for rows in fires for rank in range(len(rows))], dtype=np.float32)
    top = TopExamples(offsets_of(fires), rows_of(fires), strengths)
    ascending = [sorted(rows) for rows in fires]
    positives = Positives(len(texts), offsets_of(ascending), rows_of(ascending), np.ones(strengths.size, np.float32))
    grouped, candidates = group_top_texts(group_duplicates(texts, table), top), candidate_words(table)
    checks = check_predictiveness(texts, table, candidates, positives, grouped, execution)
    return [
        find_keywords(table, grouped, candidates, execution=execution),
        judge_labels(build_label_hits(texts, table, default_taxonomy(), execution), top),
        [table.terms[term] if term >= 0 else None for term in checks.term.tolist()],
        np.nan_to_num(checks.auroc, nan=-1.0).tolist(),
    ]


@settings(deadline=None, max_examples=40)
@given(texts=TEXTS, seed=st.integers(0, 999))
def test_order_of_rows_and_threads_change_nothing(texts: list[str], seed: int) -> None:
    """Texts in another order, features in another order, and threads leave every verdict as it is."""
    random = np.random.default_rng(seed)
    fires = [random.choice(len(texts), min(len(texts), k), replace=False).tolist() for k in (0, 1, 3, 5, 8)]
    order, features = random.permutation(len(texts)), random.permutation(len(fires))
    place = np.argsort(order)
    moved = verdicts(
        [texts[i] for i in order],
        [[int(place[row]) for row in fires[feature]] for feature in features],
        Execution(threads=3),
    )
    for mine, theirs in zip(verdicts(texts, fires, Execution()), moved, strict=True):
        assert [mine[feature] for feature in features] == theirs


@settings(deadline=None, max_examples=30)
@given(texts=TEXTS, seed=st.integers(0, 999))
def test_every_figure_is_in_its_range(texts: list[str], seed: int) -> None:
    """P-values, shares and confidences are shares, counts are counts of texts, and keywords stand in the texts."""
    random = np.random.default_rng(seed)
    fires = [random.choice(len(texts), min(len(texts), 8), replace=False).tolist()]
    keywords, labels, _, aurocs = verdicts(texts, fires, Execution())
    for keyword in keywords[0]:
        assert 0.0 <= keyword.p_value <= 0.01
        assert 3 <= keyword.top_texts <= 8
        held = [text for text in texts if keyword.keyword in " ".join(text.casefold().split())]
        assert len(held) >= keyword.top_texts + keyword.other_texts
    for evidence in labels[0].evidence:
        assert 0.0 <= evidence.confidence <= 1.0
        assert 0.0 <= evidence.corpus_rate <= evidence.top_rate <= 1.0
    assert aurocs[0] == -1.0 or 0.0 <= aurocs[0] <= 1.0
