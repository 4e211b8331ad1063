"""A Kafka broker that lets nobody in without a name: TLS, SCRAM, OAuth, mutual TLS, and ACLs."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedded import kafka

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from embedded.certificates import Authority
    from embedded.process import Server

# The listener in the clear is the back door of tests: who comes by it may do everything.
LISTENERS = """\
listeners=PLAIN://127.0.0.1:{plain},SCRAM://127.0.0.1:{scram},OAUTH://127.0.0.1:{oauth},MTLS://127.0.0.1:{mtls},\
CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAIN:PLAINTEXT,SCRAM:SASL_SSL,OAUTH:SASL_SSL,MTLS:SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAIN
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
ssl.keystore.type=PEM
ssl.keystore.location={key_store}
ssl.truststore.type=PEM
ssl.truststore.location={trust_store}
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.scram.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.oauthbearer.sasl.jaas.config=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
listener.name.oauth.oauthbearer.sasl.server.callback.handler.class=\
org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler
# A connection ends with the token that it was opened with.
listener.name.oauth.oauthbearer.connections.max.reauth.ms=3600000
listener.name.mtls.ssl.client.auth=required
ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/
"""


@dataclass(frozen=True)
class SecurePorts:
    """The ports of one broker, by listener."""

    plain: int
    scram: int
    oauth: int
    mtls: int
    controller: int


def secure_broker(directory: Path, ports: SecurePorts, authority: Authority, users: Mapping[str, str]) -> Server:
    """Return a broker, not started yet.

    Args:
        directory: For settings, data and log.
        ports: Where it listens.
        authority: Signs its certificate, and those of the clients that it lets in.
        users: Name -> password, for SCRAM-SHA-512.

    Raises:
        StackError: Certificates or storage could not be made.
    """
    own = authority.sign("broker")
    key_store = directory / "broker-store.pem"
    key_store.write_text(own.key.read_text() + own.certificate.read_text())
    listeners = LISTENERS.format(**vars(ports), key_store=key_store, trust_store=authority.certificate)
    added = [f"SCRAM-SHA-512=[name={name},password={password}]" for name, password in users.items()]
    options = [word for user in added for word in ("--add-scram", user)]
    return kafka.prepared(directory, ports.controller, listeners, *options)


def unsigned_token(name: str, *, seconds: float) -> str:
    """Return a token that the broker takes for so long, and an expired one for a negative time."""
    now = time.time()
    claims = {"sub": name, "iat": int(min(now, now + seconds) - 60), "exp": int(now + seconds)}
    return ".".join([_part({"alg": "none"}), _part(claims), ""])


def _part(content: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
