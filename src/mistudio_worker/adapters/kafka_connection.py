"""How clients reach the brokers: the one place that knows what aiokafka wants for it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiokafka.abc import AbstractTokenProvider

from mistudio_worker.adapters.tls_files import RereadContext, TlsFiles
from mistudio_worker.errors import ServiceAway, WrongUsage

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Sasl:
    """Who the worker is.

    Attributes:
        mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER.
        username: empty for OAUTHBEARER.
        secret: returns the password or the token as it is now.
    """

    mechanism: str
    username: str
    secret: Callable[[], str]


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """Where the brokers are, and how to get in.

    Certificates and tokens are read for each new connection. A password is aiokafka's from the making of a client on:
    who keeps a client passes it through `renew` now and then.

    Attributes:
        bootstrap_servers: host:port, several separated by commas.
        tls: None: connections are not encrypted.
        sasl: None: the brokers ask for no name, or the certificate is it.
    """

    bootstrap_servers: str
    tls: TlsFiles | None = None
    sasl: Sasl | None = None

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of a client that connects now.

        Raises:
            ServiceAway: `SECRET_UNREADABLE`.
        """
        protocol = ("SASL_" if self.sasl else "") + ("SSL" if self.tls else "PLAINTEXT")
        options: dict[str, Any] = {"bootstrap_servers": self.bootstrap_servers, "security_protocol": protocol}
        if self.tls is not None:
            options["ssl_context"] = RereadContext.of(self.tls)
        if self.sasl is not None:
            options["sasl_mechanism"] = self.sasl.mechanism
            if self.sasl.mechanism == "OAUTHBEARER":
                options["sasl_oauth_token_provider"] = _Token(self.sasl.secret)
            else:
                options["sasl_plain_username"] = self.sasl.username
                options["sasl_plain_password"] = _readable(self.sasl.secret)
        return options

    def renew(self, client: Any) -> None:
        """Let a client's next connections use the password as it is now; those that stand are not touched.

        A new consumer instead would leave its group, and lose the jobs that are under way. While the file cannot be
        read, it stays with the password that it has.
        """
        if self.sasl is not None and self.sasl.mechanism != "OAUTHBEARER":
            with contextlib.suppress(WrongUsage):
                client._sasl_plain_password = self.sasl.secret()  # noqa: SLF001 - aiokafka has no other way


class _Token(AbstractTokenProvider):
    """Gives each new connection the token as it is then."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read

    async def token(self) -> str:
        """See `AbstractTokenProvider`."""
        try:
            return self._read()
        except WrongUsage as error:
            raise ConnectionError(error.message) from error  # aiokafka takes it for a connection that failed


def _readable(read: Callable[[], str]) -> str:
    """A file that cannot be read at this moment is waited for: it may be about to be replaced."""
    try:
        return read()
    except WrongUsage as error:
        raise ServiceAway("SECRET_UNREADABLE", error.message, error.hint) from error
