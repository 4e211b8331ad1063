"""Settings of the way to the brokers, and secrets that may lie in files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from mistudio_worker.errors import WrongUsage
from mistudio_worker.settings_base import Group

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


class KafkaSecuritySettings(Group):
    """TLS and SASL towards the brokers. Files are read anew for each new connection or client."""

    security_protocol: SecurityProtocol = Field("PLAINTEXT", description="what the brokers' listener speaks")
    sasl_mechanism: SaslMechanism | None = Field(None, description="with SASL_PLAINTEXT and SASL_SSL")
    sasl_username: str = ""
    sasl_password: SecretStr = SecretStr("")
    sasl_password_file: Path | None = Field(None, description="read sasl_password from this file")
    sasl_oauth_token_file: Path | None = Field(
        None, description="OAUTHBEARER: the token; whoever renews it writes a new one there"
    )
    ca_file: Path | None = Field(
        None, description="certificates (PEM) of who signs the brokers'; default: the system's"
    )
    cert_file: Path | None = Field(None, description="the worker's own certificate (PEM), for mTLS")
    key_file: Path | None = Field(None, description="its key (PEM)")
    key_password: SecretStr = SecretStr("")
    key_password_file: Path | None = Field(None, description="read key_password from this file")

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.security_protocol.endswith("SSL")

    @property
    def uses_sasl(self) -> bool:
        """Whether the worker says who it is by SASL."""
        return self.security_protocol.startswith("SASL")

    @model_validator(mode="after")
    def _sasl_is_whole(self) -> Self:
        password = bool(self.sasl_password.get_secret_value() or self.sasl_password_file)
        if not self.uses_sasl:
            if self.sasl_mechanism or self.sasl_username or password or self.sasl_oauth_token_file:
                raise ValueError("SASL settings are given and security_protocol is not SASL_SSL or SASL_PLAINTEXT")
        elif self.sasl_mechanism is None:
            raise ValueError(f"security_protocol {self.security_protocol} needs sasl_mechanism")
        elif self.sasl_mechanism == "OAUTHBEARER":
            if self.sasl_oauth_token_file is None or self.sasl_username or password:
                raise ValueError("sasl_mechanism OAUTHBEARER needs sasl_oauth_token_file, and no username or password")
        elif not self.sasl_username or not password or self.sasl_oauth_token_file:
            raise ValueError(
                f"sasl_mechanism {self.sasl_mechanism} needs sasl_username and sasl_password (or sasl_password_file), "
                "and no token"
            )
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        password = self.key_password.get_secret_value() or self.key_password_file
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together, and only one of them is given")
        if password and self.key_file is None:
            raise ValueError("key_password is given and key_file is not")
        if not self.uses_tls and (self.ca_file or self.cert_file):
            raise ValueError("ca_file or cert_file are given and security_protocol is not SSL or SASL_SSL")
        return self

    def password(self) -> str:
        """Return the password as it is now."""
        return read_secret(self.sasl_password, self.sasl_password_file)

    def oauth_token(self) -> str:
        """Return the token as it is now."""
        return read_secret(SecretStr(""), self.sasl_oauth_token_file)

    def password_of_key(self) -> str:
        """Return the password of the key file as it is now."""
        return read_secret(self.key_password, self.key_password_file)


def read_secret(value: SecretStr, file: Path | None) -> str:
    """Return a secret, from its file where one is named.

    Raises:
        WrongUsage: `INVALID_SETTING`, the file cannot be read or holds nothing.
    """
    if file is None:
        return value.get_secret_value()
    try:
        content = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
    else:
        if content:
            return content
        why = "it is empty"
    raise WrongUsage("INVALID_SETTING", f"the secret file {file} cannot be read: {why}", "mount it, or name another")
