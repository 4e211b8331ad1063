"""What came of a soak, by broker and store alone: is anything lost, double or half?"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from soak.plan import Expected, jobs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.workers import Place, Seen

    from soak.plan import Planned


@dataclass
class Verdict:
    """What was counted.

    Attributes:
        jobs: completed.
        refused: records that are to be refused.
        lost: records without their outcome.
        double: jobs with more than one result or identity.
        half: results that are not whole.
        strays: objects that no manifest names.
        repeated: find-complete beyond one a job; allowed, counted.
        attempts_left: records whose count of attempts was left in the store; allowed after a crash, counted.
    """

    jobs: int = 0
    refused: int = 0
    lost: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    half: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    repeated: int = 0
    attempts_left: int = 0

    def breaches(self) -> list[str]:
        """Return everything that must not be."""
        kinds = {"lost": self.lost, "double": self.double, "half": self.half, "stray object": self.strays}
        return [f"{kind}: {what}" for kind, found in kinds.items() for what in found]


def judge(place: Place, planned: Sequence[Planned], records: Sequence[Seen]) -> Verdict:
    """Look at every topic and every object; nothing must be under way any more."""
    good = jobs_of(planned, Expected.COMPLETED)
    complete = _by_job(place.records(place.topics.find_complete))
    refused = sum(plan.expected is Expected.REFUSED for plan in planned)
    verdict = Verdict(jobs=len(good & set(complete)), refused=refused)
    _judge_records(place, planned, records, complete, verdict)
    find_jobs = _judge_identities(complete, good, verdict)
    _judge_objects(place, find_jobs, verdict)
    verdict.repeated = sum(len(seen) for seen in complete.values()) - len(complete)
    verdict.attempts_left = len({key.split("/")[1] for key in place.keys("attempts/")})
    return verdict


def _by_job(seen: Sequence[Seen]) -> dict[str, list[Seen]]:
    found = defaultdict(list)
    for event in seen:
        found[(event.key or b"").decode()].append(event)
    return found


def _judge_records(
    place: Place,
    planned: Sequence[Planned],
    records: Sequence[Seen],
    complete: dict[str, list[Seen]],
    verdict: Verdict,
) -> None:
    letters = {
        (seen.header("original-partition"), seen.header("original-offset"))
        for seen in place.records(place.topics.dead_letter)
    }
    for plan, record in zip(planned, records, strict=True):
        dead = (str(record.partition), str(record.offset)) in letters
        name = f"{plan.job} at {record.partition}:{record.offset}"
        if plan.expected is Expected.COMPLETED and (plan.job not in complete or dead):
            verdict.lost.append(f"{name} was not completed{', but dead-lettered' if dead else ''}")
        if plan.expected is Expected.REFUSED and not dead:
            verdict.lost.append(f"{name} has no dead letter")


def _judge_identities(complete: dict[str, list[Seen]], good: set[str], verdict: Verdict) -> dict[str, str]:
    """Return find job id -> SHA-256 of its manifest, as announced."""
    announced: dict[str, str] = {}
    for job, seen in complete.items():
        bodies = {(event.header("ce_id"), event.header("ce_time"), event.value) for event in seen}
        if len(bodies) > 1:
            verdict.double.append(f"{job} was announced in {len(bodies)} ways")
        if job not in good:
            verdict.double.append(f"{job} was completed and had to be refused")
        announced[seen[0].data["find_job_id"]] = seen[0].data["manifest_sha256"]
    return announced


def _judge_objects(place: Place, announced: dict[str, str], verdict: Verdict) -> None:
    keys = set(place.keys("find/"))
    manifests = {key.split("/")[1] for key in keys if key.endswith("/manifest.json")}
    if manifests != set(announced):
        verdict.double.append(f"manifests and announcements differ: {sorted(manifests ^ set(announced))[:5]}")
    named: set[str] = set()
    for find_job in manifests & set(announced):
        key = f"find/{find_job}/manifest.json"
        raw = place.get(key)
        if hashlib.sha256(raw).hexdigest() != announced[find_job]:
            verdict.half.append(f"{key} is not the manifest that was announced")
        named.add(key)
        for export in json.loads(raw)["exports"]:
            named.add(export["key"])
            if export["key"] not in keys or not _is_whole(place, export):
                verdict.half.append(f"{export['key']} is not what its manifest says")
    verdict.strays += sorted(keys - named)


def _is_whole(place: Place, export: dict[str, object]) -> bool:
    content = place.get(str(export["key"]))
    return len(content) == export["size"] and hashlib.sha256(content).hexdigest() == export["sha256"]
