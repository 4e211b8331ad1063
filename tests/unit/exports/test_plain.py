from __future__ import annotations

import io
import json
import math
from collections import OrderedDict
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pytest
from support.results import feature, result, statistics

from mistudio_worker.exports.formats import WRITERS
from mistudio_worker.exports.plain import NotExportable, check_exportable, number_text, plain

FIGURE_FORMATS = ("json", "csv", "xml", "pytorch", "parquet")


@dataclass(frozen=True, slots=True)
class Odd:
    """A record with a field of any type."""

    value: object


@pytest.mark.parametrize("name", FIGURE_FORMATS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_writer_takes_a_figure_that_is_not_finite(name: str, value: float) -> None:
    """NaN never turns into null, nor into text, in silence."""
    broken = feature(0, activation_statistics=statistics(skew=value))
    with pytest.raises(NotExportable):
        WRITERS[name](result(broken), io.BytesIO())


def test_the_place_of_a_bad_figure_is_named() -> None:
    """Whoever has to mend it reads where it stands."""
    broken = result(feature(0), feature(1, flags={"dense": math.nan}))
    with pytest.raises(NotExportable, match=r"^features\[1\]\.flags\['dense'\] is nan"):
        check_exportable(broken)


def test_values_that_are_not_plain_are_refused() -> None:
    """A numpy scalar would print differently by format; it is a defect of the analysis."""
    with pytest.raises(NotExportable):
        check_exportable(Odd(np.float32(1)))
    with pytest.raises(NotExportable):
        plain(Odd(np.float32(1)), {})


def test_plain_turns_every_container_into_its_json_kin() -> None:
    """Tuples become lists and mappings dicts, in their order."""
    nested = Odd((1, (OrderedDict(b=2.5, a=None), "x"), True))
    assert plain(nested, {}) == {"value": [1, [{"b": 2.5, "a": None}, "x"], True]}


def test_plain_makes_equal_texts_one_object() -> None:
    """Pickle refers back by object, so equal texts must be one."""
    text = "a long text"
    copied = text[:1] + text[1:]
    first, second = plain([text, copied], {})
    assert first is second


def test_mappings_that_are_no_dict_reach_the_json() -> None:
    """A read-only mapping is written like a dict."""
    stream = io.BytesIO()
    WRITERS["json"](result(feature(0, flags=MappingProxyType({"dense": 0.5}))), stream)
    assert json.loads(stream.getvalue())["features"][0]["flags"] == {"dense": 0.5}


def test_numbers_are_written_in_full() -> None:
    """The text of a number reads back as the same number; None is nothing."""
    assert [number_text(v) for v in (0.1 + 0.2, 5e-324, -0.0, 3, None)] == [
        "0.30000000000000004", "5e-324", "-0.0", "3", ""
    ]  # fmt: skip
    assert number_text(np.float64(0.1)) == "0.1"


def test_a_huge_integer_of_the_trainer_is_kept_as_its_digits() -> None:
    """JSON readers take 64 bits; a trainer's odd figure is no reason to fail a job."""
    base = result(feature(0))
    odd = replace(base, metadata=replace(base.metadata, details={"steps": 10**30, "flag": True}))
    stream = io.BytesIO()
    WRITERS["json"](odd, stream)
    assert json.loads(stream.getvalue())["job_metadata"]["training_details"] == {"steps": "1" + "0" * 30, "flag": True}
