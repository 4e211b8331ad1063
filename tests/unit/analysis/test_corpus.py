from __future__ import annotations

from mistudio_worker.analysis.corpus import is_empty


def test_empty_means_nothing_visible() -> None:
    """Blanks and zero-width characters show nothing."""
    assert [is_empty(text) for text in ("", " \n\u200b", "．", "x")] == [True, True, False, False]
