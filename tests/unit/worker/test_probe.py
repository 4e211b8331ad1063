"""What the probe asks, and that an outage ends none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.fakes import FakeBroker, FakeSource, FakeStore, away

from mistudio_worker.errors import ServiceAway
from mistudio_worker.worker.observed_store import ObservedStore
from mistudio_worker.worker.probe import Probe
from mistudio_worker.worker.pulse import Phase, Pulse
from mistudio_worker.worker.service_watch import ServiceWatch

if TYPE_CHECKING:
    from pathlib import Path

    from mistudio_worker.worker.ports import Partition


class AwaySource(FakeSource):
    """Its broker does not answer."""

    async def backlog(self) -> dict[Partition, int]:
        """See `RecordSource`."""
        raise away("BROKER_UNAVAILABLE")


def probe_of(
    source: FakeSource, phase: Phase, work_dir: Path | None = None
) -> tuple[Probe, FakeStore, ServiceWatch, ServiceWatch]:
    """A probe, the store that it asks, and what is noted of store and broker."""
    fake, of_store, of_broker = FakeStore(), ServiceWatch(), ServiceWatch()
    store = ObservedStore(fake, of_store)
    probe = Probe(store=store, bucket="results", source=source, broker=of_broker, pulse=Pulse(phase), work_dir=work_dir)
    return probe, fake, of_store, of_broker


async def test_the_store_is_asked_for_its_bucket() -> None:
    """A store that is away is noted, not raised."""
    probe, fake, watch, _ = probe_of(FakeSource(FakeBroker()), Phase.WORKING)
    await probe.ask_store()
    assert fake.calls == [("bucket_exists", "results")]
    assert watch.answered_s is not None
    fake.fault = away()
    await probe.ask_store()
    assert watch.code == "STORE_UNAVAILABLE"


async def test_the_broker_is_asked_for_the_backlog() -> None:
    """Records that are not committed count."""
    broker = FakeBroker(partitions=2)
    for partition in (0, 0, 1):
        broker.append(b"x", partition=partition)
    broker.committed[0] = 1
    source = FakeSource(broker)
    await source.start(_Nobody())
    probe, _, _, watch = probe_of(source, Phase.WORKING)
    await probe.ask_broker()
    assert probe.backlog == {0: 1, 1: 1}
    assert watch.answered_s is not None


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.JOINING, Phase.STOPPED])
async def test_a_source_that_is_not_open_is_not_asked(phase: Phase) -> None:
    """It would say nothing."""
    probe, _, _, watch = probe_of(AwaySource(FakeBroker()), phase)
    await probe.ask_broker()
    assert watch == ServiceWatch()


async def test_a_broker_that_is_away_is_noted() -> None:
    """The probe goes on."""
    source = AwaySource(FakeBroker())
    with pytest.raises(ServiceAway):
        await source.backlog()
    probe, _, _, watch = probe_of(source, Phase.WORKING)
    await probe.ask_broker()
    assert watch.code == "BROKER_UNAVAILABLE"


async def test_the_disk_is_looked_at(tmp_path: Path) -> None:
    """A folder that is not there says nothing."""
    probe, *_ = probe_of(FakeSource(FakeBroker()), Phase.WORKING, tmp_path)
    await probe.look_at_disk()
    assert (probe.disk_free_bytes or 0) > 0
    probe, *_ = probe_of(FakeSource(FakeBroker()), Phase.WORKING, tmp_path / "absent")
    await probe.look_at_disk()
    assert probe.disk_free_bytes is None


class _Nobody:
    """Listens to no rebalance."""

    def on_revoked(self) -> None:
        """See `AssignmentListener`."""

    def on_assigned(self, partitions: frozenset[Partition]) -> None:
        """See `AssignmentListener`."""
