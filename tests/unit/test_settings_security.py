"""Settings of TLS, SASL and secrets: what does not fit is refused before anything connects, and nothing is shown."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
import pytest

from mistudio_worker import connections
from mistudio_worker.adapters.tls_files import RereadContext, TlsFiles
from mistudio_worker.errors import ServiceAway, WrongUsage
from mistudio_worker.settings import Settings, read_settings

if TYPE_CHECKING:
    from mistudio_worker.adapters.kafka_connection import KafkaConnection

SECRET = "s3cr3t-that-nobody-may-see"  # noqa: S105 - made up
FIRST, SECOND = "first", "second"
SCRAM = {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "SCRAM-SHA-512", "SASL_USERNAME": "worker"}
OAUTH = {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SASL_MECHANISM": "OAUTHBEARER"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("MISTUDIO_"):
            monkeypatch.delenv(name)


def settings(monkeypatch: pytest.MonkeyPatch, group: str = "KAFKA", **given: str) -> Settings:
    """Settings from variables of one group."""
    for name, value in given.items():
        monkeypatch.setenv(f"MISTUDIO_{group}__{name}", value)
    return read_settings()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"SECURITY_PROTOCOL": "TLS"}, "SECURITY_PROTOCOL"),
        ({"SECURITY_PROTOCOL": "SASL_SSL"}, "needs sasl_mechanism"),
        ({"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "GSSAPI"}, "SASL_MECHANISM"),
        (SCRAM, "needs sasl_username and sasl_password"),
        ({**SCRAM, "SASL_USERNAME": "", "SASL_PASSWORD": SECRET}, "needs sasl_username and sasl_password"),
        ({**SCRAM, "SECURITY_PROTOCOL": "SSL", "SASL_PASSWORD": SECRET}, "security_protocol is not SASL_SSL"),
        ({"SASL_PASSWORD": SECRET}, "security_protocol is not SASL_SSL"),
        (OAUTH, "needs sasl_oauth_token_file"),
        ({**OAUTH, "SASL_OAUTH_TOKEN_FILE": "t", "SASL_PASSWORD": SECRET}, "no username or password"),
        ({"SECURITY_PROTOCOL": "SSL", "CERT_FILE": "c.pem"}, "belong together"),
        ({"SECURITY_PROTOCOL": "SSL", "KEY_FILE": "k.pem"}, "belong together"),
        ({"SECURITY_PROTOCOL": "SSL", "KEY_PASSWORD": SECRET}, "key_file is not"),
        ({"CA_FILE": "ca.pem"}, "security_protocol is not SSL"),
    ],
)
def test_what_does_not_fit_together(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], said: str) -> None:
    """Half a pair, or a setting that would have no effect, is wrong usage that names it and shows no value."""
    with pytest.raises(WrongUsage) as refused:
        settings(monkeypatch, **given)
    assert refused.value.code == "INVALID_SETTING"
    assert said in refused.value.message
    assert SECRET not in f"{refused.value} {refused.value.hint}"


def test_a_ca_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CA for a store that is spoken to in the clear is a mistake."""
    with pytest.raises(WrongUsage, match="asks for TLS"):
        settings(monkeypatch, "STORE", CA_FILE="ca.pem")


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"no certificate"])
def test_files_that_hold_nothing_of_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None) -> None:
    """A CA file that is absent or no PEM is named before anything connects, for broker and store."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    read = settings(monkeypatch, SECURITY_PROTOCOL="SSL", CA_FILE=str(file))
    with pytest.raises(WrongUsage) as refused:
        connections.kafka_connection(read)
    assert (refused.value.code, str(file) in refused.value.message) == ("INVALID_SETTING", True)
    read = settings(monkeypatch, "STORE", ENDPOINT="https://store:9000", CA_FILE=str(file))
    with pytest.raises(WrongUsage) as refused:
        connections.store_credentials(read)
    assert (refused.value.code, str(file) in refused.value.message) == ("INVALID_SETTING", True)


def test_a_password_is_read_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A client that is made after a rotation has the new password; one that stands gets it by `renew`."""
    file = tmp_path / "password"
    file.write_text("first\n")
    connection = connections.kafka_connection(settings(monkeypatch, **SCRAM, SASL_PASSWORD_FILE=str(file)))
    assert password_of(connection) == FIRST
    file.write_text("second")
    assert password_of(connection) == SECOND
    client = _Client()
    connection.renew(client)
    file.unlink()
    connection.renew(client)
    assert client._sasl_plain_password == SECOND
    with pytest.raises(ServiceAway) as away:
        connection.options()
    assert away.value.code == "SECRET_UNREADABLE"


def password_of(connection: KafkaConnection) -> object:
    """The password that a new client would have."""
    return connection.options()["sasl_plain_password"]


class _Client:
    _sasl_plain_password = ""


async def test_a_token_is_read_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each new connection has the token that the file holds then; without the file it fails as a connection does."""
    file = tmp_path / "token"
    file.write_text("first\n")
    connection = connections.kafka_connection(settings(monkeypatch, **OAUTH, SASL_OAUTH_TOKEN_FILE=str(file)))
    provider = connection.options()["sasl_oauth_token_provider"]
    assert await provider.token() == "first"
    file.write_text("second\n")
    assert await provider.token() == "second"
    file.unlink()
    with pytest.raises(ConnectionError):
        await provider.token()


def test_certificates_are_read_anew(tmp_path: Path) -> None:
    """Each TLS object, which asyncio asks for at each connection, is made of what the files hold then."""
    file = tmp_path / "ca.pem"
    file.write_bytes(Path(certifi.where()).read_bytes())
    context = RereadContext.of(TlsFiles(ca=file))
    assert context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="kafka").context.get_ca_certs()
    file.write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="kafka")
    file.unlink()
    with pytest.raises(FileNotFoundError):
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="kafka")


def test_keys_of_the_store_are_read_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each request is signed with the keys and the token that the files hold then."""
    files = {name: tmp_path / name for name in ("ACCESS_KEY", "SECRET_KEY", "SESSION_TOKEN")}
    for file in files.values():
        file.write_text("first")
    given = {f"{name}_FILE": str(file) for name, file in files.items()}
    credentials = connections.store_credentials(settings(monkeypatch, "STORE", **given))
    assert credentials is not None
    files["SECRET_KEY"].write_text("second")
    files["SESSION_TOKEN"].write_text("third\n")
    found = credentials.retrieve()
    assert (found.access_key, found.secret_key, found.session_token) == ("first", "second", "third")
    files["SECRET_KEY"].write_text("")
    with pytest.raises(ServiceAway) as away:
        credentials.retrieve()
    assert away.value.code == "SECRET_UNREADABLE"


def test_a_token_without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session token alone signs nothing."""
    with pytest.raises(WrongUsage, match="the keys are not"):
        connections.store_credentials(settings(monkeypatch, "STORE", SESSION_TOKEN=SECRET))


def test_no_repr_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings and connections can be printed."""
    for name in ("ACCESS_KEY", "SECRET_KEY", "SESSION_TOKEN"):
        monkeypatch.setenv(f"MISTUDIO_STORE__{name}", SECRET)
    read = settings(monkeypatch, **SCRAM, SASL_PASSWORD=SECRET)
    shown = [read, read.kafka, read.store, connections.kafka_connection(read), connections.store_credentials(read)]
    assert SECRET not in "".join(f"{thing!r} {thing}" for thing in shown)
    assert SECRET not in read.model_dump_json()


@pytest.mark.parametrize(
    ("protocol", "mechanism", "servers", "shown"),
    [
        ("SASL_PLAINTEXT", "PLAIN", "127.0.0.1:9092,kafka:9092", True),
        ("SASL_PLAINTEXT", "PLAIN", "127.0.0.1:9092, localhost:9092,[::1]:9092", False),
        ("SASL_PLAINTEXT", "SCRAM-SHA-256", "kafka:9092", False),
        ("SASL_SSL", "PLAIN", "kafka:9092", False),
    ],
)
def test_a_password_in_the_clear(
    monkeypatch: pytest.MonkeyPatch, protocol: str, mechanism: str, servers: str, *, shown: bool
) -> None:
    """Only what leaves the machine as it is counts as shown."""
    given = {**SCRAM, "SECURITY_PROTOCOL": protocol, "SASL_MECHANISM": mechanism, "SASL_PASSWORD": SECRET}
    given["BOOTSTRAP_SERVERS"] = servers
    assert settings(monkeypatch, **given).kafka.shows_secrets is shown
