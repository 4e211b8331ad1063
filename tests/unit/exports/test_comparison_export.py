"""comparison.json and its plot: valid, the same bytes each time, also where there is little to show."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from lxml import etree
from matplotlib import image
from support.comparisons import compared, figures, given_similarities, run_figures, small_comparison

from mistudio_worker.contracts.comparison import ComparisonV1
from mistudio_worker.domain.comparison import ComparisonOptions
from mistudio_worker.exports.comparison_export import write_comparison
from mistudio_worker.exports.comparison_plot import write_plot

if TYPE_CHECKING:
    from mistudio_worker.domain.comparison import Comparison

EXAMPLE = Path(__file__).parents[3] / "schemas" / "examples" / "comparison.v1" / "small.json"


def json_of(comparison: Comparison) -> bytes:
    """The JSON of a comparison."""
    stream = io.BytesIO()
    write_comparison(comparison, stream)
    return stream.getvalue()


def plot_of(comparison: Comparison, kind: str) -> bytes:
    """The plot of a comparison."""
    stream = io.BytesIO()
    write_plot(comparison, stream, kind)
    return stream.getvalue()


def without_pairs() -> Comparison:
    """Two runs that have nothing in common."""
    return compared(run_figures([figures(0)]), run_figures([figures(0)]), given_similarities([[-0.3]]))


@pytest.mark.parametrize("comparison", [small_comparison(), without_pairs()], ids=["small", "without pairs"])
def test_json_fits_its_schema(comparison: Comparison) -> None:
    """Schema and model take the file, and nothing is lost on the way through the model."""
    data = json.loads(json_of(comparison))
    Draft202012Validator(ComparisonV1.model_json_schema()).validate(data)
    assert ComparisonV1.model_validate(data).model_dump(mode="json") == data
    assert list(data) == list(ComparisonV1.model_fields)


def test_the_example_is_what_is_written() -> None:
    """The published example is the small comparison, to the byte."""
    assert json_of(small_comparison()) == EXAMPLE.read_bytes()


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_plot_is_the_same_bytes(kind: str) -> None:
    """Drawn twice, the second time in another style of the user's, the plot is the same file."""
    once = plot_of(small_comparison(), kind)
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black"}):
        assert plot_of(small_comparison(), kind) == once


def test_the_user_keeps_the_style() -> None:
    """Drawing changes no setting of matplotlib for others in the process."""
    with mpl.rc_context({"font.size": 20}):
        plot_of(small_comparison(), "png")
        assert mpl.rcParams["font.size"] == 20


def test_the_svg_names_both_runs_and_no_time() -> None:
    """The picture is well-formed and speaks of the runs."""
    tree = etree.fromstring(plot_of(small_comparison(), "svg"))
    words = " ".join(etree.tostring(tree, encoding="unicode").split())
    assert "train_20260102_030405_0001" in words
    assert "1 vanished" in words
    assert tree.find(".//{http://purl.org/dc/elements/1.1/}date") is None


@pytest.mark.parametrize("min_similarity", [None, 1.0])
def test_little_to_show(min_similarity: float | None) -> None:
    """Without a pair, and where similarity has no range at all, there still is a picture."""
    run = run_figures([figures(0), figures(1)])
    same = compared(run, run, given_similarities(np.eye(2)), ComparisonOptions(min_similarity))
    for comparison in (same, without_pairs()):
        picture = image.imread(io.BytesIO(plot_of(comparison, "png")))
        assert picture.shape[:2] == (750, 1650)
        assert float(picture[..., :3].std()) > 0.05
