"""What a store's answers and failures mean to the worker; no message quotes a credential."""

from __future__ import annotations

import errno
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

import urllib3
from minio.error import MinioException, S3Error

from mistudio_worker.errors import NotYetThere, ServiceAway, disk_full

if TYPE_CHECKING:
    from collections.abc import Iterator

ABSENT = frozenset({"NoSuchKey", "NoSuchBucket", "NoSuchObject", "NotFound", "ResourceNotFound"})
_DENIED = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidTokenId"})
BROKEN = (urllib3.exceptions.HTTPError, ConnectionError, TimeoutError)
"""How a connection fails."""


class StoreErrors:
    """Makes the worker's errors for the store at one address."""

    def __init__(self, address: str) -> None:
        self._address = address

    @contextmanager
    def translated(self, bucket: str) -> Iterator[None]:
        """Turn the client's errors into ours."""
        try:
            yield
        except S3Error as error:
            raise self._answered(error, bucket) from error
        except MinioException as error:
            raise self.away(f"gave an answer that cannot be read ({type(error).__name__})") from error
        except BROKEN as error:
            if (refused := _tls_error(error)) is not None:
                raise self._untrusted(refused) from error
            reason = getattr(error, "reason", None) or error  # of a second try: why it failed
            raise self.away(f"cannot be reached ({type(reason).__name__})") from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full() from error
            raise

    def _answered(self, error: S3Error, bucket: str) -> ServiceAway:
        if error.code in _DENIED:
            return self.denied(error.code, bucket)
        if error.code == "NoSuchBucket":
            return self.bucket_missing(bucket)
        if _is_refusal(error.response.status):
            return self._refused(error.code, bucket)
        return self.away(f"answered with {error.code}")

    def away(self, what: str) -> ServiceAway:
        """`STORE_UNAVAILABLE`: it does not answer, or says that it cannot serve now."""
        return ServiceAway(
            "STORE_UNAVAILABLE",
            f"the store at {self._address} {what}",
            "check that the store runs and that MISTUDIO_STORE__ENDPOINT names it",
        )

    def _untrusted(self, error: BaseException) -> ServiceAway:
        return ServiceAway(
            "STORE_UNTRUSTED",
            f"no TLS with the store at {self._address}: {_reason(error)}",
            "check that MISTUDIO_STORE__CA_FILE holds who signed the store's certificate, that it names the host, and "
            "that this port speaks TLS",
        )

    def denied(self, answer: str | None, bucket: str) -> ServiceAway:
        """`STORE_DENIED`: it does not let the worker in."""
        return ServiceAway(
            "STORE_DENIED",
            f"the store at {self._address} refuses the worker: {answer} on bucket {bucket!r}",
            "check MISTUDIO_STORE__ACCESS_KEY, __SECRET_KEY and the policy of that user (deploy/policies)",
        )

    def bucket_missing(self, bucket: str) -> ServiceAway:
        """`STORE_BUCKET_MISSING`."""
        return ServiceAway(
            "STORE_BUCKET_MISSING",
            f"there is no bucket {bucket!r} at {self._address}",
            "create it, or correct the setting that names it",
        )

    def _refused(self, answer: str | None, bucket: str) -> ServiceAway:
        return ServiceAway(
            "STORE_REFUSED",
            f"the store at {self._address} does not serve a request on bucket {bucket!r}: {answer}",
            "check the region of the bucket, and how the object is stored (archived, encrypted by its writer)",
        )


def _tls_error(error: BaseException) -> BaseException | None:
    """The failure of TLS behind an error of urllib3, if that is what it is."""
    reason = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
    return reason if isinstance(reason, urllib3.exceptions.SSLError) else None


def _reason(error: BaseException) -> str:
    """What OpenSSL says, without the place in its source."""
    cause = next((arg for arg in error.args if isinstance(arg, ssl.SSLError)), None)
    return getattr(cause, "verify_message", "") or getattr(cause, "reason", None) or type(error).__name__


def changed(key: str) -> NotYetThere:
    """Return the error for an object that was replaced or removed since it was looked at."""
    return NotYetThere(
        "ARTIFACT_CHANGED",
        f"object {key!r:.300} is not the one any more that was looked at",
        "send the event when the upload is finished",
    )


def _is_refusal(status: int) -> bool:
    """Whether an answer will be the same the next time: a redirect or a client's error, but no overload or race."""
    return 300 <= status < 500 and status not in (408, 409, 425, 429)
