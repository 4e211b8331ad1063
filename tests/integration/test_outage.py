"""The broker dies in the middle of a job: nothing is counted, nothing is dead-lettered, and it ends by itself."""

from __future__ import annotations

import contextlib
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from embedded.stack import EmbeddedStack
from support.runs import write_run
from support.services import Services
from support.workers import Place, Worker, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from support.background import BackgroundLoop

AWAY_S = 5.0
SESSION = {"MISTUDIO_KAFKA__SESSION_TIMEOUT_MS": "60000", "MISTUDIO_KAFKA__HEARTBEAT_INTERVAL_MS": "1000"}


@pytest.mark.usefixtures("own_broker")  # this broker is killed: never one that others use
def test_a_broker_that_dies_in_mid_job_is_waited_for(background: BackgroundLoop, tmp_path: Path) -> None:
    """The job goes on without the broker; its one outcome is published and committed when the broker is back."""
    with EmbeddedStack() as stack, contextlib.ExitStack() as exits:
        services = exits.enter_context(
            contextlib.closing(Services(stack.environment(), name=f"t{uuid.uuid4().hex[:12]}"))
        )
        place = exits.enter_context(contextlib.closing(Place(services, background)))
        environment = {**place.environment, **SESSION}
        worker = exits.enter_context(Worker(environment, tmp_path / "worker", stack._running_keeper()))
        worker.wait_ready()
        write_run(tmp_path / "run", n_texts=20_000, n_features=64, d=64)
        record = place.announce(place.put_run(tmp_path / "run"))
        wait_for(lambda: worker.busy or None, "the job to begin")
        stack.kill_kafka()
        time.sleep(AWAY_S)
        stack.start_kafka()
        found = place.wait_for_result(str(record.data["job_id"]))
        place.wait_until_committed()
        assert found.data["status"] == "completed"
        assert place.manifest(found.data["find_job_id"])["attempt"] == 1
        assert place.letter_of(record) is None
        assert not place.keys("attempts/")
