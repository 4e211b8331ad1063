"""What failures of a Kafka client mean to the worker; no message quotes a secret."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

from aiokafka.conn import create_conn, get_ip_port_afi
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from mistudio_worker.errors import ServiceAway

if TYPE_CHECKING:
    from mistudio_worker.adapters.kafka_connection import KafkaConnection

FAILURES = (KafkaError, OSError, TimeoutError)
"""How a client fails that cannot reach its brokers, or is not let in."""
_NOT_LET_IN = (SaslAuthenticationFailed, UnsupportedSaslMechanismError, IllegalSaslStateError)
NOT_ALLOWED = (
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    ClusterAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
"""What an ACL is missing for."""
PROBE_LIMIT_S = 5.0


def away(connection: KafkaConnection, error: BaseException, doing: str) -> ServiceAway:
    """Return the worker's error for a client's.

    Args:
        connection: that was used.
        error: of the client.
        doing: what was being done, such as "publishing to topic 'x'".
    """
    servers = connection.bootstrap_servers
    if isinstance(error, ServiceAway):
        return error
    if isinstance(error, ssl.SSLError):
        return ServiceAway(
            "BROKER_UNTRUSTED",
            f"{doing} at {servers} failed: no TLS with the broker ({_reason(error)})",
            "check that MISTUDIO_KAFKA__CA_FILE holds who signed the broker's certificate, that it names the host, "
            "that CERT_FILE and KEY_FILE are what the broker asks for, and that this listener speaks TLS",
        )
    if isinstance(error, _NOT_LET_IN):
        return ServiceAway(
            "BROKER_DENIED",
            f"{doing} at {servers} failed: the broker does not let the worker in ({type(error).__name__})",
            "check MISTUDIO_KAFKA__SASL_MECHANISM, __SASL_USERNAME and __SASL_PASSWORD, or the token",
        )
    if isinstance(error, NOT_ALLOWED):
        return ServiceAway(
            "BROKER_DENIED",
            f"{doing} at {servers} failed: the broker does not allow it ({error})",
            "give the worker's principal the ACLs of deploy/policies/kafka-acls.sh",
        )
    return ServiceAway(
        "BROKER_UNAVAILABLE",
        f"{doing} at {servers} failed with {type(error).__name__}",
        "check that the broker runs, that MISTUDIO_KAFKA__BOOTSTRAP_SERVERS names it, and that this listener speaks "
        "what MISTUDIO_KAFKA__SECURITY_PROTOCOL says",
    )


async def away_with_cause(connection: KafkaConnection, error: BaseException, doing: str) -> ServiceAway:
    """Return the worker's error for a client that did not connect: aiokafka only says that it could not."""
    if isinstance(error, (*_NOT_LET_IN, *NOT_ALLOWED, ssl.SSLError)):
        return away(connection, error, doing)
    return await refusal(connection, doing) or away(connection, error, doing)


async def check_token(connection: KafkaConnection, doing: str) -> None:
    """Make sure that the brokers take the token: aiokafka does not read their answer, and would wait for ever.

    Raises:
        ServiceAway: they do not.
    """
    if connection.sasl is not None and connection.sasl.mechanism == "OAUTHBEARER":
        refused = await refusal(connection, doing)
        if refused is not None:
            raise refused


async def refusal(connection: KafkaConnection, doing: str) -> ServiceAway | None:
    """Return the worker's error where the brokers answer and do not let it in; None where that is not the trouble."""
    plain = connection.tls is None and connection.sasl is None
    cause = None if plain else await _why_not(connection)
    return None if cause is None else away(connection, cause, doing)


async def _why_not(connection: KafkaConnection) -> BaseException | None:
    """Connect once more to each broker, and return the first error that says that it does not like us."""
    options = connection.options()
    for server in options.pop("bootstrap_servers").split(","):
        host, port, _ = get_ip_port_afi(server)
        authenticated, brokers = False, ()
        try:
            async with asyncio.timeout(PROBE_LIMIT_S):
                connected = await create_conn(host, port, **options)
                authenticated = True
                with contextlib.closing(connected):
                    brokers = (await connected.send(MetadataRequest([]))).brokers
        except FAILURES as error:
            cause: BaseException = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
            if isinstance(cause, (*_NOT_LET_IN, ssl.SSLError)):
                return cause
        if authenticated and not brokers and connection.sasl is not None:
            # aiokafka does not read the answer to a token: that it was refused shows in the answer to the next request
            refused: BaseException = IllegalSaslStateError()
            return refused
    return None


def _reason(error: ssl.SSLError) -> str:
    return getattr(error, "verify_message", "") or error.reason or type(error).__name__
