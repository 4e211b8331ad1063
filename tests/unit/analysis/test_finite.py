from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mistudio_worker.analysis.finite import check_finite
from mistudio_worker.domain.feature_report import Neighbor


@pytest.mark.parametrize("value", [1.5, None, "NaN", True, (1, [2.0, {"a": 0.5}]), Neighbor(1, -1.0), ()])
def test_plain_values_pass(value: Any) -> None:
    """Numbers, strings, records and their collections are what JSON can carry."""
    check_finite(value)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_the_place_is_named(bad: float) -> None:
    """A NaN in a record in a mapping in a tuple is found where it stands."""
    with pytest.raises(ArithmeticError, match=r"^1\.near\.cosine is "):
        check_finite((0, {"near": Neighbor(3, bad)}))


def test_numpy_scalars_are_refused() -> None:
    """They would pass as floats here and fail in an export."""
    with pytest.raises(TypeError, match="float64"):
        check_finite({"score": np.float64(0.5)})
