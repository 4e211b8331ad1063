"""What requests to the store are signed with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minio.credentials.credentials import Credentials
from minio.credentials.providers import Provider

from mistudio_worker.errors import ServiceAway, WrongUsage

if TYPE_CHECKING:
    from collections.abc import Callable


class StoreCredentials(Provider):
    """Reads the keys anew for each request: they may lie in files that are replaced while the worker runs.

    Args:
        keys: returns access key and secret key.
        token: returns the token of temporary keys; empty for lasting ones.
    """

    def __init__(self, keys: Callable[[], tuple[str, str]], token: Callable[[], str] = str) -> None:
        self._keys = keys
        self._token = token

    def retrieve(self) -> Credentials:
        """See `Provider`.

        Raises:
            ServiceAway: `SECRET_UNREADABLE`: a file may be about to be replaced.
        """
        try:
            access_key, secret_key = self._keys()
            return Credentials(access_key, secret_key, self._token() or None)
        except WrongUsage as error:
            raise ServiceAway("SECRET_UNREADABLE", error.message, error.hint) from error
