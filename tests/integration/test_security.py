"""TLS, SASL, ACLs and policies on a broker and a MinIO that let nobody in without them."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from embedded.process import Keeper
from embedded.secure_kafka import unsigned_token
from minio.credentials.providers import AssumeRoleProvider
from support.runs import write_run
from support.secured import USER, Secured, running
from support.services import Services
from support.workers import COMMAND, Place, Worker, wait_for
from urllib3 import PoolManager

from mistudio_worker import bootstrap, connections
from mistudio_worker.errors import ServiceAway
from mistudio_worker.settings import read_settings
from mistudio_worker.worker.ports import Message, Partition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from support.background import BackgroundLoop

    from mistudio_worker.settings import Settings

# aiokafka leaves connections behind that the broker ended: asyncio complains of them, see `goodbyes`.
pytestmark = [pytest.mark.minio, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]
KEY_PASSWORD = "of-the-key-that-nobody-may-see"  # noqa: S105 - made up
WRONG_PASSWORD = "wrong-and-still-nobody-may-see-it"  # noqa: S105 - made up
KAFKA = "MISTUDIO_KAFKA__"
LARGE_BYTES = 30_000
TOKEN_S = 3.0


@pytest.fixture(autouse=True)
def goodbyes() -> Iterator[None]:
    """What a test left behind is complained of within it, where the mark above holds, and in no other one."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def secured(own_broker: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A broker and a MinIO with TLS, users and permissions."""
    del own_broker
    with contextlib.closing(Keeper()) as keeper, running(tmp_path_factory.mktemp("secured"), keeper) as started:
        yield started


@pytest.fixture(scope="module")
def place(secured: Secured, background: BackgroundLoop) -> Iterator[Place]:
    """Topics and buckets there; what the test itself does, it does as administrator."""
    name = f"s{uuid.uuid4().hex[:12]}"
    with (
        contextlib.closing(Services(secured.administrator(), name=name)) as services,
        contextlib.closing(Place(services, background)) as made,
    ):
        secured.allow(USER, made.environment)
        yield made


@dataclass(frozen=True)
class Ways:
    """The settings of each way to the broker, by its name."""

    secured: Secured
    directory: Path

    def scram(self) -> dict[str, str]:
        """By name and password."""
        return self.secured.scram()

    def oauth(self, seconds: float = 600.0) -> dict[str, str]:
        """By a token in a file."""
        (self.directory / "token").write_text(unsigned_token(USER, seconds=seconds))
        return {
            **self._tls(self.secured.ports.oauth, "SASL_SSL"),
            f"{KAFKA}SASL_MECHANISM": "OAUTHBEARER",
            f"{KAFKA}SASL_OAUTH_TOKEN_FILE": str(self.directory / "token"),
        }

    def mtls(self) -> dict[str, str]:
        """By a certificate whose key has a password."""
        own = self.secured.authority.sign(USER, key_password=KEY_PASSWORD)
        return {
            **self._tls(self.secured.ports.mtls, "SSL"),
            f"{KAFKA}CERT_FILE": str(own.certificate),
            f"{KAFKA}KEY_FILE": str(own.key),
            f"{KAFKA}KEY_PASSWORD": KEY_PASSWORD,
        }

    def wrong_password(self) -> dict[str, str]:
        """By name and another password."""
        return self.secured.scram(WRONG_PASSWORD)

    def expired_token(self) -> dict[str, str]:
        """By a token of yesterday."""
        return self.oauth(seconds=-10.0)

    def wrong_ca(self) -> dict[str, str]:
        """Believing somebody else."""
        return {**self.scram(), f"{KAFKA}CA_FILE": str(self.secured.stranger.certificate)}

    def no_certificate(self) -> dict[str, str]:
        """Without the certificate that is asked for."""
        return self._tls(self.secured.ports.mtls, "SSL")

    def strange_certificate(self) -> dict[str, str]:
        """With a certificate that the broker does not believe."""
        strange = self.secured.stranger.sign("strange")
        return {
            **self.no_certificate(),
            f"{KAFKA}CERT_FILE": str(strange.certificate),
            f"{KAFKA}KEY_FILE": str(strange.key),
        }

    def no_tls_there(self) -> dict[str, str]:
        """TLS towards a listener that does not speak it."""
        return self._tls(self.secured.ports.plain, "SSL")

    def no_user(self) -> dict[str, str]:
        """By the name of somebody who has no ACL."""
        own = self.secured.authority.sign("nobody")
        return {
            **self._tls(self.secured.ports.mtls, "SSL"),
            f"{KAFKA}CERT_FILE": str(own.certificate),
            f"{KAFKA}KEY_FILE": str(own.key),
        }

    def _tls(self, port: int, protocol: str) -> dict[str, str]:
        return {
            f"{KAFKA}BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
            f"{KAFKA}SECURITY_PROTOCOL": protocol,
            f"{KAFKA}CA_FILE": str(self.secured.authority.certificate),
        }


@pytest.fixture
def ways(secured: Secured, tmp_path: Path) -> Ways:
    """Every way to the broker."""
    return Ways(secured, tmp_path)


@pytest.fixture
def settings_of(place: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], Settings]:
    """Reads the settings of a worker at the place that comes by some way."""

    def read(way: Mapping[str, str]) -> Settings:
        quick = {f"{KAFKA}PUBLISH_TIMEOUT_S": "20", f"{KAFKA}GROUP_ID": place.group}
        for name, value in {**place.environment, **quick, **way}.items():
            monkeypatch.setenv(name, value)
        return read_settings()

    return read


class Assignments:
    """Knows when partitions came."""

    def on_revoked(self) -> None:
        """See `AssignmentListener`."""

    def on_assigned(self, partitions: frozenset[Partition]) -> None:
        """See `AssignmentListener`."""


async def polled(settings: Settings, value: bytes, before: Callable[[], object] = str) -> bool:
    """Join the group, do something, publish to the group's own topic as administrator, and wait until it comes."""
    source = bootstrap.kafka_source(settings)
    await source.start(Assignments())
    try:
        before()
        for _ in range(120):
            record = await source.poll(0.5)
            if record is not None:
                await source.commit(Partition(record.topic, record.partition), record.offset + 1)
            if record is not None and record.value == value:
                return True
        return False
    finally:
        await source.stop()


@pytest.mark.parametrize("name", ["scram", "oauth", "mtls"])
async def test_every_way_in(
    ways: Ways, name: str, place: Place, settings_of: Callable[[Mapping[str, str]], Settings]
) -> None:
    """Source, publisher and admin get in by SCRAM, by a token and by a certificate, with the worker's ACLs."""
    settings = settings_of(getattr(ways, name)())
    async with bootstrap.kafka_admin(settings) as admin:
        assert place.topics.find_complete in await admin.topics([place.topics.find_complete])
    async with connections.open_publisher(settings) as publisher:
        await publisher.publish(Message(place.topics.find_progress, name.encode(), b"{}"))
    assert place.wait_for_records(place.topics.find_progress, name)
    assert await polled(settings, name.encode(), lambda: place.publish(name.encode()))


REFUSED = [
    ("wrong_password", "BROKER_DENIED", "SaslAuthenticationFailed"),
    ("expired_token", "BROKER_DENIED", "does not let the worker in"),
    ("wrong_ca", "BROKER_UNTRUSTED", "certificate"),
    ("no_certificate", "BROKER_UNTRUSTED", "certificate"),
    ("strange_certificate", "BROKER_UNTRUSTED", ""),
    ("no_tls_there", "BROKER_UNAVAILABLE", ""),
    ("no_user", "BROKER_DENIED", "AuthorizationFailedError"),
]


@pytest.mark.parametrize("refusal", REFUSED, ids=lambda refusal: str(refusal[0]))
async def test_who_is_not_let_in(
    ways: Ways,
    refusal: tuple[str, str, str],
    place: Place,
    settings_of: Callable[[Mapping[str, str]], Settings],
) -> None:
    """Admin, publisher and source say what is wrong, as an outage that is waited for, and show no secret."""
    name, code, said = refusal
    settings = settings_of(getattr(ways, name)())

    async def ask() -> None:
        async with bootstrap.kafka_admin(settings) as admin:
            await admin.require([place.topics.find_complete])

    async def publish() -> None:
        async with connections.open_publisher(settings) as publisher:
            await publisher.publish(Message(place.topics.find_complete, b"k", b"v"))

    for attempt in (ask, publish, lambda: polled(settings, b"never")):
        with pytest.raises(ServiceAway) as refused:
            await attempt()
        assert refused.value.code == code, refused.value
        assert said.lower() in refused.value.message.lower()
        assert not [secret for secret in (WRONG_PASSWORD, KEY_PASSWORD) if secret in str(refused.value)]


async def test_a_password_is_replaced(
    ways: Ways, secured: Secured, place: Place, settings_of: Callable[[Mapping[str, str]], Settings], tmp_path: Path
) -> None:
    """A publisher that was refused gets in when the file holds the right password, without a restart."""
    file = tmp_path / "password"
    file.write_text(WRONG_PASSWORD)
    way = {name: value for name, value in ways.scram().items() if not name.endswith("PASSWORD")}
    settings = settings_of({**way, f"{KAFKA}SASL_PASSWORD_FILE": str(file)})
    async with connections.open_publisher(settings) as publisher:
        with pytest.raises(ServiceAway, match="BROKER_DENIED"):
            await publisher.publish(Message(place.topics.find_progress, b"replaced", b"{}"))
        file.write_text(f"{secured.password}\n")
        await publisher.publish(Message(place.topics.find_progress, b"replaced", b"{}"))
    assert place.wait_for_records(place.topics.find_progress, "replaced")


async def test_a_token_runs_out(ways: Ways, place: Place, settings_of: Callable[[Mapping[str, str]], Settings]) -> None:
    """The broker ends connections with their token; a consumer goes on with the token that the file holds then."""
    settings = settings_of(ways.oauth(TOKEN_S))
    source = bootstrap.kafka_source(settings)
    await source.start(Assignments())
    try:
        ways.oauth()
        for _ in range(int(2 * TOKEN_S)):
            await source.poll(1.0)
        place.publish(b"after the token")
        for _ in range(60):
            record = await source.poll(0.5)
            if record is not None and record.value == b"after the token":
                outcome = await source.commit(Partition(record.topic, record.partition), record.offset + 1)
                assert outcome.name == "DONE"
                return
        raise AssertionError("nothing came any more")
    finally:
        await source.stop()


def wait_for_refusal(worker: Worker, code: str) -> dict[str, Any]:
    """Wait until a worker says that it is not let in."""
    return wait_for(lambda: next((a for a in worker.said("service away") if a["code"] == code), None), code)


def test_a_whole_job_with_the_least_permissions(secured: Secured, place: Place, ways: Ways, tmp_path: Path) -> None:
    """A worker by SASL_SSL and SCRAM, with a CA and just the ACLs and the policy of deploy/policies, does all it must.

    That is: a job with its attempt, a large dead letter with its pointer; and where one ACL is taken away, it waits,
    says so, and goes on when it has it again. At debug level it shows no secret.
    """
    store = secured.store_user("least", place.artifacts, place.results)
    environment = {
        **place.environment,
        **ways.scram(),
        **store,
        f"{KAFKA}MAX_MESSAGE_BYTES": str(LARGE_BYTES),
        "MISTUDIO_JOB__RETRY_WAIT_MAX_S": "1",
        "MISTUDIO_LOG__LEVEL": "debug",
    }
    first, second = write_run(tmp_path / "first"), write_run(tmp_path / "second", job_id="train_second")
    with contextlib.closing(Keeper()) as keeper, Worker(environment, tmp_path / "worker", keeper) as worker:
        worker.wait_ready()
        job = place.put_run(first.root)
        place.announce(job)
        complete = place.wait_for_result(job).data
        assert {export["key"] for export in complete["exports"]} <= set(place.keys("find/"))
        letter = place.wait_for_letter(place.publish(b"x" * (2 * LARGE_BYTES)))
        assert json.loads(letter.value or b"")["key"] in place.keys("dead-letters/")

        secured.change_acl("remove", USER, "Write", place.topics.find_complete)
        place.announce(place.put_run(second.root))
        denied = wait_for_refusal(worker, "BROKER_DENIED")
        assert place.topics.find_complete in denied["message"]
        assert "kafka-acls.sh" in denied["hint"]
        secured.change_acl("add", USER, "Write", place.topics.find_complete)
        assert place.wait_for_result(second.training_job_id)
        place.wait_until_committed()
        assert place.keys("attempts/") == []
        assert len(place.records(place.topics.dead_letter)) == 1
        assert worker.stop() == 0
        told = {"the log": worker.log.encode()}
    for bucket in (place.artifacts, place.results):
        for item in place.store.list_objects(bucket, recursive=True):
            told[f"{bucket} {item.object_name}"] = place.get(item.object_name or "", bucket)
    for topic in vars(place.topics).values():
        for seen in place.records(topic):
            told[f"{topic} {seen.offset}"] = (seen.value or b"") + repr(seen.headers).encode()
    shown = [secured.password, store["MISTUDIO_STORE__SECRET_KEY"], secured.root[1]]
    assert [where for where, content in told.items() for secret in shown if secret.encode() in content] == []


def test_a_worker_that_is_not_let_in(secured: Secured, place: Place, ways: Ways, tmp_path: Path) -> None:
    """With a wrong password and a wrong key it waits, says so, shows no secret, and begins when the files are right."""
    secret_key = place.environment["MISTUDIO_STORE__SECRET_KEY"]
    right = {"password": secured.password, "key": secret_key}
    for name in right:
        (tmp_path / name).write_text(WRONG_PASSWORD)
    files = {
        f"{KAFKA}SASL_PASSWORD_FILE": str(tmp_path / "password"),
        "MISTUDIO_STORE__SECRET_KEY_FILE": str(tmp_path / "key"),
    }
    given = {**place.environment, **ways.scram(), "MISTUDIO_LOG__LEVEL": "debug", "MISTUDIO_JOB__RETRY_WAIT_MAX_S": "1"}
    environment = {name: value for name, value in given.items() if not name.endswith(("_PASSWORD", "SECRET_KEY"))}
    letters = len(place.records(place.topics.dead_letter))
    with contextlib.closing(Keeper()) as keeper, Worker(environment | files, tmp_path / "w", keeper) as worker:
        for name, code in (("key", "STORE_DENIED"), ("password", "BROKER_DENIED")):
            wait_for_refusal(worker, code)
            (tmp_path / name).write_text(right[name])
        worker.wait_ready()
        assert worker.stop() == 0
        assert not [secret for secret in (WRONG_PASSWORD, secured.password, secret_key) if secret in worker.log]
    assert len(place.records(place.topics.dead_letter)) == letters


DOCTOR: dict[str, tuple[dict[str, str], list[str]]] = {
    "scram": ({}, []),
    "wrong_password": ({"SECRET_KEY": WRONG_PASSWORD}, ["does not let the worker in", "refuses the worker"]),
    "wrong_ca": ({"CA_FILE": "stranger.pem"}, ["no TLS with the broker", "no TLS with the store"]),
}


@pytest.mark.parametrize("name", DOCTOR)
def test_doctor_names_what_is_wrong(ways: Ways, place: Place, name: str) -> None:
    """Doctor gets through with the worker's own permissions, and names a wrong secret or CA of broker and store."""
    store, said = DOCTOR[name]
    wrong = {f"MISTUDIO_STORE__{setting}": value for setting, value in store.items()}
    environment = {**os.environ, **place.environment, **getattr(ways, name)(), **wrong}
    done = subprocess.run(
        [COMMAND, "doctor"],
        env=environment,
        cwd=ways.secured.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    shown = done.stdout + done.stderr
    assert done.returncode == (5 if said else 0), shown
    assert ("ok   broker: answers" in shown) is (not said)
    assert ("told to no one without DescribeConfigs" in shown) is (not said)
    assert [part for part in said if part not in done.stdout] == []
    assert not [secret for secret in (WRONG_PASSWORD, ways.secured.password, ways.secured.root[1]) if secret in shown]


async def test_keys_of_the_store_are_replaced(
    secured: Secured, place: Place, settings_of: Callable[[Mapping[str, str]], Settings], tmp_path: Path
) -> None:
    """The same client is refused with a wrong key, and let in when the files hold temporary keys and their token."""
    pool = PoolManager(ca_certs=str(secured.authority.certificate))
    least = secured.store_user("temporary", place.artifacts, place.results)
    keys = least["MISTUDIO_STORE__ACCESS_KEY"], least["MISTUDIO_STORE__SECRET_KEY"]
    files = {name: tmp_path / name for name in ("ACCESS_KEY", "SECRET_KEY", "SESSION_TOKEN")}
    for file in files.values():
        file.write_text("wrong")
    given = {f"MISTUDIO_STORE__{name}_FILE": str(file) for name, file in files.items()}
    async with connections.open_store(settings_of(given)) as store:
        with pytest.raises(ServiceAway, match="STORE_DENIED"):
            await store.head(place.artifacts, "models/nothing")
        temporary = AssumeRoleProvider(
            sts_endpoint=f"https://{secured.endpoint}", access_key=keys[0], secret_key=keys[1], http_client=pool
        ).retrieve()
        files["ACCESS_KEY"].write_text(temporary.access_key)
        files["SECRET_KEY"].write_text(temporary.secret_key)
        files["SESSION_TOKEN"].write_text(temporary.session_token or "")
        assert await store.head(place.artifacts, "models/nothing") is None
        assert await store.put_new(place.results, "attempts/probe", b"")
        await store.remove(place.results, ["attempts/probe"])
    pool.clear()
