"""TLS with certificates and keys that may be replaced while the worker runs."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where certificates and key lie, in PEM.

    Attributes:
        ca: who signs the certificate of the other side; None: whom the system trusts.
        certificate: our own; None where the other side asks for none.
        key: of our certificate.
        key_password: returns the password of the key, empty for none.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    key_password: Callable[[], str] = str

    def read(self) -> ssl.SSLContext:
        """Return what the files say now.

        Raises:
            OSError: a file cannot be read, or (`ssl.SSLError`) holds something else.
        """
        context = ssl.create_default_context(cafile=self.ca)
        if self.certificate is not None:
            # always with a password: without one OpenSSL would ask for it on the terminal
            context.load_cert_chain(self.certificate, self.key, self.key_password())
        return context


class RereadContext(ssl.SSLContext):
    """Reads the files anew for each connection: asyncio asks its context for a TLS object each time."""

    _files: TlsFiles

    @classmethod
    def of(cls, files: TlsFiles) -> RereadContext:
        """Return the context for clients."""
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context._files = files
        return context

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """See `ssl.SSLContext`."""
        return self._files.read().wrap_bio(*args, **kwargs)
