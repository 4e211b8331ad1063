"""The one-shot that makes topics and buckets: it makes what the worker's settings name, and leaves what is there."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from aiokafka.admin import AIOKafkaAdminClient
from embedded import places
from support.workers import Topics

if TYPE_CHECKING:
    from pathlib import Path

    from support.services import Services


def run_one_shot(environment: dict[str, str]) -> None:
    """As docker-compose.yml does."""
    subprocess.run([sys.executable, places.__file__, "--partitions", "2"], env=environment, check=True)


async def test_the_places_are_those_of_the_settings(services: Services, tmp_path: Path) -> None:
    """Topics and buckets bear the names of the settings, a secret may lie in a file, a second time is harmless."""
    topics = Topics(**{role: services.unique_name(role.replace("_", "-")) for role in Topics.__annotations__})
    buckets = [services.unique_name("artifacts"), services.unique_name("results")]
    secret = tmp_path / "secret"
    secret.write_text(services.environment["MISTUDIO_STORE__SECRET_KEY"])
    variables = {
        **topics.environment(),
        "MISTUDIO_STORE__ENDPOINT": f"http://{services.store_settings.address}",
        "MISTUDIO_STORE__SECRET_KEY_FILE": str(secret),
        "MISTUDIO_STORE__SECRET_KEY": "",
        "MISTUDIO_STORE__ARTIFACTS_BUCKET": buckets[0],
        "MISTUDIO_STORE__RESULTS_BUCKET": buckets[1],
    }
    for _ in range(2):
        await asyncio.to_thread(run_one_shot, {**os.environ, **services.environment, **variables})
    assert all(services.store.bucket_exists(bucket) for bucket in buckets)
    admin = AIOKafkaAdminClient(bootstrap_servers=services.bootstrap_servers)
    await admin.start()
    described = await admin.describe_topics(list(asdict(topics).values()))
    await admin.close()
    assert [(topic["error_code"], len(topic["partitions"])) for topic in described] == [(0, 2)] * 5
