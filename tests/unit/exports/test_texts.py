"""Texts that hurt: formulas, controls, escapes, scripts of every kind."""

from __future__ import annotations

import csv
import io
import unicodedata

import pytest
from lxml import etree
from support.results import NASTY_TEXTS, dead, feature, result, small_result, unscored

from mistudio_worker.domain.training_run import Gap
from mistudio_worker.exports.csv_export import csv_row, safe_cell, write_csv
from mistudio_worker.exports.printable import clip, columns_of, printable, wrap
from mistudio_worker.exports.summary_export import summary_report
from mistudio_worker.exports.xml_export import write_xml, xml_text

FIRST_COLUMNS = (
    "feature_id", "coherence_score", "quality_level", "pattern_keywords", "mean_activation", "max_activation",
    "activation_frequency", "top_activation_count", "top_text_1", "top_text_2", "top_text_3", "top_activation_1",
    "top_activation_2", "top_activation_3",
)  # fmt: skip


def test_columns_of_the_first_miStudioFind_come_first() -> None:  # noqa: N802 - its name
    """Readers by position go on working."""
    assert tuple(csv_row(feature(0)))[: len(FIRST_COLUMNS)] == FIRST_COLUMNS


def test_every_row_has_the_same_columns() -> None:
    """A feature without statistics or geometry has empty cells, not fewer."""
    shapes = {tuple(csv_row(f)) for f in (feature(0), feature(1, geometry=None), dead(2), unscored(3, "invalid"))}
    assert len(shapes) == 1


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "'="])
def test_formulas_do_not_run(start: str) -> None:
    """A cell never starts with what a spreadsheet would run, and dropping one apostrophe gives the text."""
    cell = safe_cell(f"{start}cmd")
    assert cell[0] == "'"
    assert cell[1:] == f"{start}cmd"


@pytest.mark.parametrize("text", ["plain", "'tis", "1+1", "", " =x"])
def test_harmless_cells_are_left_alone(text: str) -> None:
    """No apostrophe without need."""
    assert safe_cell(text) == text


def test_negative_numbers_are_no_formulas() -> None:
    """Numbers are never touched."""
    stream = io.BytesIO()
    write_csv(result(feature(0)), stream)
    row = next(csv.DictReader(io.StringIO(stream.getvalue().decode(), newline="")))
    assert row["log10_density"] == "-1.3979400086720375"


def test_long_texts_are_cut_and_counted() -> None:
    """A cell never outgrows what spreadsheets and the csv module take."""
    row = csv_row(feature(0, ("short", "x" * 50_000)))
    assert row["top_texts_cut"] == 1
    assert len(safe_cell(str(row["top_text_2"]))) == 32_000


@pytest.mark.parametrize("text", NASTY_TEXTS)
def test_xml_text_is_had_back(text: str) -> None:
    """Line breaks and forbidden characters alike survive a real parser."""
    stream = io.BytesIO()
    write_xml(result(feature(0, (text,))), stream)
    element = etree.fromstring(stream.getvalue()).find("features/feature/topActivations/activation/text")
    assert element is not None
    assert (element.text or "") == xml_text(text)[0]
    assert element.get("replaced") == xml_text(text)[1]


def test_summary_cannot_act_on_a_terminal() -> None:
    """No control, bidi or separator character but the line feed, whatever the texts hold."""
    features = [feature(i, (text,), pattern_keywords=(text[:50],)) for i, text in enumerate(NASTY_TEXTS)]
    for start in range(0, len(features), 10):
        report = summary_report(result(*features[start : start + 10]))
        bad = {c for c in report if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp", "Cn"}}
        assert bad <= {"\n", "\u200d"}


def test_summary_is_at_most_100_columns_wide() -> None:
    """Wide characters count as two."""
    wide = feature(0, ("\u4f60" * 300,), pattern_category="c" * 90, pattern_keywords=("\u597d" * 90,))
    gap = Gap("SAE_MISSING", "word " * 60 + "x" * 300)
    report = summary_report(result(wide, gaps=(gap,)))
    assert max(map(columns_of, report.splitlines())) <= 100


def test_summary_says_what_there_is() -> None:
    """Counts of dead and insufficient features, the gaps and the best features stand in it."""
    report = summary_report(small_result())
    assert "1 dead, 1 with too few texts to judge" in report
    assert "FEATURE_NOT_FINITE: feature 3" in report
    assert " 1. feature 0      priority 0.700  coherence 0.910 (0.50 to 0.80)  technical" in report
    assert "    held out  texts AUROC 0.930, keyword =sum AUROC 0.810" in report
    assert "None is at or over the threshold." in summary_report(result(dead(0)))


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "..."),
        ("abcdef", 5, "ab..."),
        ("\u4f60\u4f60\u4f60", 5, "\u4f60..."),
        ("", 5, ""),
    ],
)
def test_clip(text: str, columns: int, expected: str) -> None:
    """What fits stays whole; what does not ends in three dots within the width."""
    assert clip(text, columns) == expected


def test_wrap_indents_further_lines() -> None:
    """A sentence longer than a line goes on, indented."""
    lines = wrap("word " * 30)
    assert len(lines) == 2
    assert lines[1].startswith("    word")
    assert wrap("") == []


def test_printable_keeps_scripts_and_emoji() -> None:
    """Only what could act is replaced."""
    assert (
        printable("\u4f60\u597d \U0001f469\u200d\U0001f467 e\u0301")
        == "\u4f60\u597d \U0001f469\u200d\U0001f467 e\u0301"
    )
    assert printable("a\x1b\u202eb") == "a\ufffd\ufffdb"
