"""The peak of one job is not that of the job before it."""

from __future__ import annotations

import subprocess
import sys

LARGE_BYTES = 256 << 20
AFTER_A_LARGE_JOB = f"""
import mmap
from mistudio_worker.worker.peak_memory import peak_bytes, reset_peak
with mmap.mmap(-1, {LARGE_BYTES}) as large:
    for at in range(0, {LARGE_BYTES}, 4096):
        large[at] = 1
before = peak_bytes()
reset_peak()
print(before, peak_bytes())
"""


def test_a_small_job_after_a_large_one() -> None:
    """Memory that was given back before the job began does not count for it."""
    out = subprocess.run([sys.executable, "-c", AFTER_A_LARGE_JOB], capture_output=True, text=True, check=True).stdout
    before, after = map(int, out.split())
    assert before > LARGE_BYTES
    assert after < before - LARGE_BYTES // 2
