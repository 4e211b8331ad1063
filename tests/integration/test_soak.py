"""Two minutes of the soak; `make soak` runs it for longer, with another seed each time."""

from __future__ import annotations

import pytest
from soak.__main__ import JOBS_A_SECOND, soak

SECONDS, SEED = 120.0, 5


@pytest.mark.minio
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("own_network")
def test_two_minutes_of_kills_pauses_and_cuts_lose_nothing() -> None:
    """Three workers, a hundred jobs, something goes wrong every few seconds: every record has its one outcome."""
    breaches, counted = soak(SECONDS, round(SECONDS * JOBS_A_SECOND), SEED)
    print(counted)  # noqa: T201  # shown where the test fails
    assert breaches == []
