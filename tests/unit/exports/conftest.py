from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.results import small_result

from mistudio_worker.exports.write_exports import write_exports

if TYPE_CHECKING:
    from pathlib import Path

    from mistudio_worker.domain.find_result import FindResult


@pytest.fixture(scope="session")
def small() -> FindResult:
    """One of each kind of feature, and every nasty text."""
    return small_result()


@pytest.fixture(scope="session")
def written(small: FindResult, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Format -> file of the small result."""
    files = write_exports(small, tmp_path_factory.mktemp("exports"), on_progress=lambda _done, _total: None)
    return {f.format: f.path for f in files}


@pytest.fixture(scope="session")
def document(written: dict[str, Path]) -> dict[str, Any]:
    """The complete results, as a reader has them."""
    loaded: dict[str, Any] = json.loads(written["json"].read_bytes())
    return loaded
