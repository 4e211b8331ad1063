"""S3 servers: SeaweedFS as the quick default, MinIO itself where it matters."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import urllib3
from minio import Minio
from minio.error import MinioException

from embedded import programs
from embedded.ports import GRPC_OFFSET
from embedded.process import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedded.certificates import Certificate

SEAWEED_PORTS = 5
MINIO_PORTS = 2
# SeaweedFS puts its sockets there whatever TMPDIR says, and leaves them when it is killed.
SOCKET_DIRECTORY = Path("/tmp")  # noqa: S108  # not ours to choose


def seaweed(directory: Path, *, ports: Sequence[int], access_key: str, secret_key: str) -> Server:
    """A SeaweedFS in one process, S3 on the first of five ports."""
    data = directory / "seaweed"
    data.mkdir()
    s3, master, volume, filer, admin = ports
    command = [
        str(programs.weed_binary()),
        "-logtostderr=true",  # else it also writes files into the system's temporary directory
        "mini",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.port={s3}",
        f"-master.port={master}",
        f"-volume.port={volume}",
        # each bucket takes some volumes of its own; the default, by free disk space, is used up after some dozens
        "-volume.max=10000",
        f"-filer.port={filer}",
        f"-admin.port={admin}",
        "-admin.ui=false",
        "-webdav=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
    ]
    environment = dict(os.environ, AWS_ACCESS_KEY_ID=access_key, AWS_SECRET_ACCESS_KEY=secret_key)
    return Server("SeaweedFS", command, log=directory / "seaweed.log", environment=environment)


def seaweed_sockets(ports: Sequence[int]) -> list[Path]:
    """The socket files that SeaweedFS leaves behind for these ports."""
    roles = ("s3", "master", "volume", "filer", "admin")
    plain = [SOCKET_DIRECTORY / f"seaweedfs-{role}-{port}.sock" for role, port in zip(roles, ports, strict=True)]
    grpc = [
        SOCKET_DIRECTORY / f"seaweedfs-{role}-grpc-{port + GRPC_OFFSET}.sock"
        for role, port in zip(roles, ports, strict=True)
    ]
    return plain + grpc


def minio(
    directory: Path, *, ports: Sequence[int], access_key: str, secret_key: str, certificate: Certificate | None = None
) -> Server:
    """A MinIO server of one drive, S3 on the first of two ports (TLS with a certificate), its console on the other."""
    if certificate is not None:
        (directory / "certs").mkdir()
        shutil.copy(certificate.certificate, directory / "certs" / "public.crt")
        shutil.copy(certificate.key, directory / "certs" / "private.key")
    data = directory / "minio"
    data.mkdir()
    port, console_port = ports
    command = [
        str(programs.MINIO.binary()),
        "server",
        str(data),
        f"--address=127.0.0.1:{port}",
        f"--console-address=127.0.0.1:{console_port}",
        f"--certs-dir={directory / 'certs'}",
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MINIO_")}
    environment |= {
        "MINIO_ROOT_USER": access_key,
        "MINIO_ROOT_PASSWORD": secret_key,
        "MINIO_UPDATE": "off",  # asks nobody for a newer version
        "MINIO_BROWSER": "off",
    }
    return Server("MinIO", command, log=directory / "minio.log", environment=environment)


def answers(endpoint: str, access_key: str, secret_key: str, ca_file: Path | None = None) -> bool:
    """Whether an authenticated list of the buckets succeeds; by TLS where a CA is named."""
    secure = ca_file is not None
    pool = urllib3.PoolManager(
        timeout=urllib3.Timeout(2), retries=False, ca_certs=str(ca_file) if ca_file is not None else None
    )
    try:
        client = Minio(endpoint, access_key=access_key, secret_key=secret_key, secure=secure, http_client=pool)
        client.list_buckets()
    except (MinioException, urllib3.exceptions.HTTPError, OSError):
        return False
    finally:
        pool.clear()
    return True
