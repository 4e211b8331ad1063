"""`mistudio-worker backfill`: announce the trainings in the bucket that have no results."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import typer

from mistudio_worker import connections
from mistudio_worker.commands.exit_codes import ExitCode
from mistudio_worker.commands.submit import announce, submission_of
from mistudio_worker.contracts.events import ParametersV1
from mistudio_worker.domain.identity import is_training_job_id
from mistudio_worker.worker.result_store import list_manifests

if TYPE_CHECKING:
    from mistudio_worker.settings import Settings
    from mistudio_worker.worker.ports import ObjectReader

_METADATA_KEY = re.compile(r"activations/([^/]+)/(?:metadata\.json|feature_activations\.pt)")


async def trainings_without_results(store: ObjectReader, *, artifacts_bucket: str, results_bucket: str) -> list[str]:
    """Return the training job ids with activations in the artifacts bucket and no manifest, sorted."""
    keys = [info.key for info in await store.list_objects(artifacts_bucket, "activations/")]
    trained = {m[1] for key in keys if (m := _METADATA_KEY.fullmatch(key)) and is_training_job_id(m[1])}
    analysed = {stored.manifest.source_job_id for stored in await list_manifests(store, results_bucket)}
    return sorted(trained - analysed)


async def backfill_command(settings: Settings, *, dry_run: bool) -> ExitCode:
    """Say which trainings have no result, and announce each unless this is a dry run."""
    async with connections.open_store(settings) as store:
        jobs = await trainings_without_results(
            store,
            artifacts_bucket=settings.store.artifacts_bucket,
            results_bucket=settings.store.results_bucket,
        )
    async with connections.open_publisher(settings) as publisher:
        for job in jobs:
            if not dry_run:
                submission = submission_of(job, ParametersV1())
                await announce(publisher, settings.kafka.training_complete_topic, submission)
            typer.echo(f"{'would announce' if dry_run else 'announced'} {job}")
    typer.echo(f"{len(jobs)} trainings without results")
    return ExitCode.DONE
