"""The connections of the composition root: from settings to the ways to brokers and store."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import TYPE_CHECKING

from mistudio_worker.adapters.kafka_connection import KafkaConnection, Sasl
from mistudio_worker.adapters.kafka_publisher import KafkaPublisher
from mistudio_worker.adapters.minio_store import MinioStore
from mistudio_worker.adapters.store_credentials import StoreCredentials
from mistudio_worker.adapters.store_http import StoreLimits
from mistudio_worker.adapters.tls_files import TlsFiles
from mistudio_worker.errors import WrongUsage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mistudio_worker.settings import Settings


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[MinioStore]:
    """Connect to the store, and disconnect."""
    store = MinioStore(
        address=settings.store.address,
        credentials=store_credentials(settings),
        secure=settings.store.uses_tls,
        ca_file=settings.store.ca_file,
        region=settings.store.region,
        limits=store_limits(settings),
    )
    try:
        yield store
    finally:
        store.close()


@asynccontextmanager
async def open_publisher(settings: Settings) -> AsyncIterator[KafkaPublisher]:
    """Prepare publishing, and disconnect."""
    publisher = KafkaPublisher(
        connection=kafka_connection(settings),
        publish_timeout_s=settings.kafka.publish_timeout_s,
        request_timeout_ms=settings.kafka.request_timeout_ms,
        stop_timeout_s=settings.kafka.stop_timeout_s,
        max_message_bytes=settings.kafka.max_message_bytes,
    )
    try:
        yield publisher
    finally:
        await publisher.close()


def kafka_connection(settings: Settings) -> KafkaConnection:
    """Return the way to the brokers.

    Raises:
        WrongUsage: `INVALID_SETTING`, a file cannot be read.
    """
    kafka = settings.kafka
    tls = TlsFiles(kafka.ca_file, kafka.cert_file, kafka.key_file, kafka.password_of_key) if kafka.uses_tls else None
    if tls is not None:
        _read_certificates(tls)
    secret = kafka.oauth_token if kafka.sasl_mechanism == "OAUTHBEARER" else kafka.password
    secret()
    sasl = Sasl(kafka.sasl_mechanism, kafka.sasl_username, secret) if kafka.sasl_mechanism else None
    return KafkaConnection(kafka.bootstrap_servers, tls, sasl)


def store_credentials(settings: Settings) -> StoreCredentials | None:
    """Return what requests to the store are signed with; None for an open store.

    Raises:
        WrongUsage: `INVALID_SETTING`, a file cannot be read, or one of the two keys is missing.
    """
    store = settings.store
    if store.ca_file is not None:
        _read_certificates(TlsFiles(ca=store.ca_file))
    keys, token = store.credentials(), store.temporary_token()
    if token and not all(keys):
        raise WrongUsage(
            "INVALID_SETTING",
            "MISTUDIO_STORE__SESSION_TOKEN is set and the keys are not",
            "set the keys that it is for",
        )
    return StoreCredentials(store.credentials, store.temporary_token) if all(keys) else None


def store_limits(settings: Settings) -> StoreLimits:
    """Return how long the store is waited for."""
    given = settings.store.model_dump(include={field.name for field in fields(StoreLimits)})
    return StoreLimits(**given)


def _read_certificates(tls: TlsFiles) -> None:
    try:
        tls.read()
    except OSError as error:
        given = ", ".join(str(path) for path in (tls.ca, tls.certificate, tls.key) if path is not None)
        why = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise WrongUsage(
            "INVALID_SETTING",
            f"the certificates cannot be read from {given}: {why or type(error).__name__}",
            "name PEM files: who signed the other side's certificate, our certificate, its key, the key's password",
        ) from None
