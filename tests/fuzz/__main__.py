"""Fuzz: `make fuzz FUZZ_SECONDS=600 SEED=1`. The last line says what was counted; exit code 1 on any finding."""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from fuzz.session import Round, play

TARGETS = ("event", "metadata", "checkpoint", "run")
EXAMPLES = 400
FOUND = Path("fuzz-findings")


def main() -> int:
    """Play rounds until the time is over, one target after another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="of one round")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS)
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    until = time.monotonic() + given.seconds
    outcomes: dict[str, Counter[str]] = {target: Counter() for target in given.targets}
    findings: set[Path] = set()
    rounds = 0
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < until or rounds < len(given.targets):
            target = given.targets[rounds % len(given.targets)]
            played = play(Round(target, given.seed + rounds, given.examples), Path(folder) / "current")
            outcomes[target] += played.outcomes
            if played.finding is not None:
                findings.add(_keep(target, played.content, played.finding))
            rounds += 1
    for target, counted in outcomes.items():
        print(f"{target}: {', '.join(f'{count} {outcome}' for outcome, count in counted.most_common())}")
    inputs = sum(counted.total() for counted in outcomes.values())
    print(f"{inputs} inputs in {rounds} rounds, seed {given.seed}: {len(findings)} findings")
    return 1 if findings else 0


def _keep(target: str, content: bytes, finding: str) -> Path:
    """Save an input that found something; say what."""
    path = FOUND / target / hashlib.sha256(content).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    print(f"\n{target}: {path}\n{finding}", flush=True)
    return path


if __name__ == "__main__":
    sys.exit(main())
