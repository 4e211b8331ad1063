"""The broker dies in the middle of a job: nothing is counted, nothing is dead-lettered, and it ends by itself."""

from __future__ import annotations

import contextlib
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from embedded.stack import BOOTSTRAP_SERVERS, EmbeddedStack
from support.gated_crew import GatedCrew
from support.runs import write_run
from support.services import Services
from support.two_brokers import TwoBrokers
from support.workers import Place, Worker, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from support.background import BackgroundLoop

SESSION = {"MISTUDIO_KAFKA__SESSION_TIMEOUT_MS": "60000", "MISTUDIO_KAFKA__HEARTBEAT_INTERVAL_MS": "1000"}


@pytest.mark.usefixtures("own_broker")  # this broker is killed: never one that others use
@pytest.mark.parametrize("away_s", [10, pytest.param(60, marks=pytest.mark.chaos)])
def test_a_broker_that_dies_in_mid_job_is_waited_for(background: BackgroundLoop, tmp_path: Path, away_s: float) -> None:
    """The job goes on without the broker; its one outcome is published and committed when the broker is back."""
    with EmbeddedStack() as stack, contextlib.ExitStack() as exits:
        services = exits.enter_context(
            contextlib.closing(Services(stack.environment(), name=f"t{uuid.uuid4().hex[:12]}"))
        )
        place = exits.enter_context(contextlib.closing(Place(services, background)))
        environment = {**place.environment, **SESSION}
        worker = exits.enter_context(Worker(environment, tmp_path / "worker", stack.running_keeper()))
        worker.wait_ready()
        write_run(tmp_path / "run", n_texts=20_000, n_features=64, d=64)
        record = place.announce(place.put_run(tmp_path / "run"))
        wait_for(lambda: worker.busy or None, "the job to begin")
        stack.kill_kafka()
        time.sleep(away_s)
        stack.start_kafka()
        found = place.wait_for_result(str(record.data["job_id"]))
        place.wait_until_committed()
        assert found.data["status"] == "completed"
        assert place.manifest(found.data["find_job_id"])["attempt"] == 1
        assert place.letter_of(record) is None
        assert not place.keys("attempts/")


@pytest.mark.usefixtures("own_broker")
def test_a_coordinator_that_dies_for_good(stack: EmbeddedStack, background: BackgroundLoop, tmp_path: Path) -> None:
    """Another broker takes its group over with all offsets: the job that runs is done once, and the next one, too."""
    with TwoBrokers() as brokers, contextlib.ExitStack() as exits:
        environment = {**stack.environment(), BOOTSTRAP_SERVERS: brokers.bootstrap_servers}
        name = f"t{uuid.uuid4().hex[:12]}"
        services = exits.enter_context(contextlib.closing(Services(environment, name=name, replicas=2)))
        place = exits.enter_context(contextlib.closing(Place(services, background)))
        place.join(background.call(brokers.group_of_mortal(name)))
        crew = exits.enter_context(GatedCrew(place, stack.running_keeper(), tmp_path))
        worker = crew.ready()
        done, held, later = crew.put_job(), crew.put_job(is_held=True), crew.put_job()
        place.announce(done, partition=0)
        place.wait_for_result(done)
        place.wait_until_committed()
        place.announce(held, partition=0)
        crew.wait_for_attempt(held, 1)
        brokers.kill_mortal()
        crew.release(held)
        place.wait_for_result(held)
        place.announce(later, partition=0)
        place.wait_for_result(later)
        crew.check_one_result_each([done, held, later])
        assert [line["attempt"] for line in worker.said("job")] == [1, 1, 1]
