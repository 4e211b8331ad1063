"""Main function of the analysing child process: warm, one request after another."""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import resource
import signal
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistudio_worker.errors import ChildFailed, MistudioError, disk_full

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mistudio_worker.worker.analysis_request import AnalysisRequest, Progress

TRACE_CHARACTERS = 4000
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Ready:
    """The child is warm: kernels are loaded, the next request computes at once."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The request ended with an error.

    `trace` says where: file, line and code of each frame, without the message, which may quote the input.
    """

    error: MistudioError
    trace: str = ""


def serve(connection: Connection, parent_pid: int) -> None:
    """Answer requests until the other end of the pipe is closed.

    For each `AnalysisRequest` some `Progress`, then an `AnalysisOutcome` or `Failed` is sent.
    """
    _die_with(parent_pid)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a file that crashes it must not leave gigabytes on the disk
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when this process ends
    # Imported late: the parent must never load torch, and the parent's death is watched from the start.
    import torch  # noqa: PLC0415

    from mistudio_worker.analysis.warm_up import warm_up  # noqa: PLC0415

    torch.set_num_threads(1)  # threads work on whole tiles, so that bytes do not depend on their number
    warm_up()
    gc.collect()
    gc.freeze()  # the libraries' objects stay for good: collections during a job would walk all of them again and again
    connection.send(Ready())
    while True:
        try:
            request: AnalysisRequest = connection.recv()
        except EOFError:
            return
        connection.send(_answer(request, connection))


def _answer(request: AnalysisRequest, connection: Connection) -> object:
    import torch  # noqa: PLC0415

    from mistudio_worker.worker.analysis_job import run_analysis  # noqa: PLC0415

    def report(progress: Progress) -> None:
        connection.send(progress)

    try:
        return run_analysis(request, report)
    except MistudioError as error:
        return Failed(error)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Failed(disk_full())
        return Failed(_crashed(error), _trace(error))
    except (MemoryError, torch.OutOfMemoryError) as error:
        return Failed(
            ChildFailed(
                "CHILD_OUT_OF_MEMORY",
                f"the analysis ran out of memory ({type(error).__name__}) with {request.memory_bytes} bytes of budget",
                "give the container more memory, or lower MISTUDIO_ANALYSIS__MEMORY_BYTES",
            )
        )
    except Exception as error:  # a defect of ours must end as an attempt, not as a silent death
        return Failed(_crashed(error), _trace(error))


def _crashed(error: Exception) -> ChildFailed:
    device_failed = "CUDA" in str(error)
    return ChildFailed(
        "DEVICE_FAILED" if device_failed else "CHILD_CRASHED",
        f"the analysis failed with {type(error).__name__} {_where(error)}",
        "this is a defect of the device or its driver"
        if device_failed
        else "this is a defect of mistudio_worker: report it with the worker's log",
    )


def _trace(error: Exception) -> str:
    return "".join(traceback.format_tb(error.__traceback__))[-TRACE_CHARACTERS:]


def _where(error: BaseException) -> str:
    """Say where an error came from, without its message: that may quote the input."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f"in {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"  # noqa: PTH119


def _die_with(parent_pid: int) -> None:
    """Ask the kernel to kill this process when the worker dies, and check for a death before that."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        raise SystemExit(1)
