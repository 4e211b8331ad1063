"""The example run is what miStudioTrain would have written."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

EXAMPLES = Path(__file__).parents[2] / "examples"
RUN = EXAMPLES / "run"
SIZE_LIMIT_BYTES = 5_000_000
NUMPY_SCALARS = [np._core.multiarray.scalar, np.dtype, type(np.dtype(np.float64))]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def sae() -> dict[str, Any]:
    """sae_model.pt, read without running anything in it."""
    return load("models/*/sae_model.pt")


@pytest.fixture(scope="module")
def activations() -> dict[str, Any]:
    """feature_activations.pt, read without running anything in it."""
    return load("activations/*/feature_activations.pt")


@pytest.fixture(scope="module")
def metadata() -> dict[str, Any]:
    """metadata.json."""
    (path,) = RUN.glob("activations/*/metadata.json")
    parsed: dict[str, Any] = json.loads(path.read_text())
    return parsed


def load(pattern: str) -> dict[str, Any]:
    """Load the one file that matches."""
    (path,) = RUN.glob(pattern)
    with torch.serialization.safe_globals(NUMPY_SCALARS):
        loaded: dict[str, Any] = torch.load(path, weights_only=True)
    return loaded


def test_features_are_those_of_the_encoder(sae: dict[str, Any], activations: dict[str, Any]) -> None:
    """feature_activations is relu(x W^T + b) of the cut encoder, up to another machine's rounding."""
    weights = sae["model_state_dict"]
    hidden = activations["original_activations"] @ weights["encoder.weight"].T + weights["encoder.bias"]
    torch.testing.assert_close(activations["feature_activations"], torch.relu(hidden), atol=1e-4, rtol=1e-5)


def test_shapes_agree(sae: dict[str, Any], activations: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Rows are texts and columns are features in all three files."""
    count, features = activations["feature_activations"].shape
    width = activations["original_activations"].shape[1]
    assert count == len(activations["texts"]) == metadata["data_info"]["text_count"] >= 1000
    assert features == activations["feature_count"] == sae["hidden_dim"] == sae["config"]["hidden_dim"] >= 128
    assert width == activations["activation_dim"] == sae["input_dim"]
    assert metadata["data_info"]["feature_activation_shape"] == [count, features]
    assert metadata["data_info"]["activation_shape"] == [count, width]
    assert sae["model_state_dict"]["decoder.weight"].shape == (width, features)


def test_every_text_has_its_source(activations: dict[str, Any]) -> None:
    """text_sources.csv has one row a text, in order, of sources that the notice names."""
    with (EXAMPLES / "text_sources.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["row"]) for row in rows] == list(range(len(activations["texts"])))
    notice = (EXAMPLES / "NOTICE.md").read_text(encoding="utf-8")
    assert [row["source"] for row in rows if row["source"] not in notice] == []
    assert all(
        text.startswith(row["locator"])
        for row, text in zip(rows, activations["texts"], strict=True)
        if row["source"] == "icd10"
    )


def test_the_statistics_are_those_of_the_cut(activations: dict[str, Any], metadata: dict[str, Any]) -> None:
    """metadata.json describes these features, a few dead ones among them."""
    statistics = metadata["feature_statistics"]
    rates = (activations["feature_activations"] > 0).float().mean(dim=0)
    assert statistics["feature_activation_rates"] == pytest.approx(rates.tolist())
    assert statistics["dead_features_count"] == int((rates == 0).sum()) > 0


def test_the_trainers_quirk_is_kept(sae: dict[str, Any]) -> None:
    """The training statistics are numpy scalars, which a plain weights_only load refuses."""
    assert {type(value) for values in sae["training_stats"].values() for value in values} == {np.float64}


def test_all_of_it_names_one_job(metadata: dict[str, Any]) -> None:
    """Folders, job id and paths agree."""
    jobs = {path.name for path in RUN.glob("*/*")}
    assert jobs == {metadata["job_id"]}
    assert all(metadata["job_id"] in path for path in metadata["paths"].values())


def test_it_stays_small_and_keeps_its_notices() -> None:
    """At most 5 MB in git, and the notice names every licence file."""
    assert sum(path.stat().st_size for path in EXAMPLES.rglob("*") if path.is_file()) <= SIZE_LIMIT_BYTES
    notice = (EXAMPLES / "NOTICE.md").read_text()
    assert [path.name for path in (EXAMPLES / "LICENSES").iterdir() if path.name not in notice] == []
