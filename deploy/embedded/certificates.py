"""Certificates for the embedded servers and their clients, by an authority that lives as long as its folder."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedded import programs
from embedded.process import StackError

if TYPE_CHECKING:
    from pathlib import Path

NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"]
# Without the system's own configuration, whose extensions would stand beside ours.
CONFIGURATION = "[req]\ndistinguished_name = name\n[name]\n"


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, each a PEM file."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates.

    Args:
        directory: Where everything is written; must be there.
        name: Of the authority, and of its files.

    Raises:
        StackError: There is no `openssl`, or it failed.
    """

    def __init__(self, directory: Path, name: str = "ca") -> None:
        programs.require("openssl")
        self._directory = directory
        self._own = Certificate(directory / f"{name}.pem", directory / f"{name}.key")
        _request(self._own, name, ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"], ["-noenc"])

    @property
    def certificate(self) -> Path:
        """What those who trust it need."""
        return self._own.certificate

    def sign(self, name: str, *, key_password: str | None = None) -> Certificate:
        """Make a certificate for this machine's loopback addresses.

        Args:
            name: Common name, and name of the files.
            key_password: Of the key file; none by default.
        """
        made = Certificate(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        extensions = ["basicConstraints=critical,CA:FALSE", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        locked = ["-noenc"] if key_password is None else ["-passout", f"pass:{key_password}"]
        signed = ["-CA", str(self._own.certificate), "-CAkey", str(self._own.key)]
        _request(made, name, extensions, [*locked, *signed])
        return made


def _request(made: Certificate, name: str, extensions: list[str], options: list[str]) -> None:
    configuration = made.key.with_suffix(".cnf")
    configuration.write_text(CONFIGURATION)
    added = [word for extension in extensions for word in ("-addext", extension)]
    files = ["-keyout", str(made.key), "-out", str(made.certificate), "-config", str(configuration)]
    command = ["openssl", "req", "-x509", *NEW_KEY, *files, "-subj", f"/CN={name}", *added, *options]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"openssl could not make the certificate of {name}:\n{done.stderr}")
