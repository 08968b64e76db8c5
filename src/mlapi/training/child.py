"""Work in a process of its own, training or tracking: what runs there, and the end that waits for it.

The process can be ended at any moment and takes its memory with it, and its parent stays able to hear that the work is
no longer wanted. The two talk in lines of JSON: the order on the child's standard input, whose end is also how the
child learns that its parent is gone; progress and the outcome on its standard output.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from ..errors import ClusterUnavailable, ServiceError, TrainingFailed

Report = Callable[[float, str], None]

CHECK_SECONDS = 0.5
"""Time between two looks at whether to go on, in seconds."""
NICENESS = 19
"""How far the child stands back for other processes of this machine where there is nothing better."""


class ChildKilled(Exception):
    """The training's process ended without an outcome, by a signal: worth another try."""


def run_in_child(what: dict[str, Any], report: Report, check: Callable[[], None], timeout: float) -> dict[str, Any]:
    """Train, or track what was trained, in a child process and return the outcome, such as the metrics.

    `check` is called twice a second; whatever it raises ends the child. Raises `TrainingFailed`, also after `timeout`
    seconds, `ChildKilled`, and `ClusterUnavailable`.
    """
    deadline = time.monotonic() + timeout
    # In a process group of its own: an interrupt typed at the terminal is for the worker, which then ends the child
    # and what the child may have started.
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    ) as child:
        messages: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        reader = threading.Thread(target=_collect, args=(child, messages), daemon=True)
        reader.start()
        try:
            _order(child, what)
            while True:
                check()
                if time.monotonic() > deadline:
                    raise TrainingFailed(f"The work took longer than the {timeout:g} seconds it may.")
                try:
                    message = messages.get(timeout=CHECK_SECONDS)
                except Empty:
                    continue
                if message is None:
                    raise _end(child)
                if "outcome" in message:
                    return dict(message["outcome"])
                if "error" in message:
                    raise TrainingFailed(message["error"])
                if "away" in message:
                    raise ClusterUnavailable(message["away"])
                report(message["progress"], message["phase"])
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            reader.join()  # it must not read from a pipe that is closed


def _end(child: "subprocess.Popen[bytes]") -> Exception:
    """Tell why a child ended that gave no outcome; it is not reaped yet, so that its process group stays its own."""
    end = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    if end and end.si_code != os.CLD_EXITED:
        return ChildKilled(f"the training's process was ended by signal {end.si_status}")
    return TrainingFailed("The training's process ended by itself; the worker's log may tell why.")


def _order(child: "subprocess.Popen[bytes]", what: dict[str, Any]) -> None:
    """Send the order."""
    if child.stdin:
        child.stdin.write(json.dumps(what).encode() + b"\n")
        child.stdin.flush()


def _collect(child: "subprocess.Popen[bytes]", messages: "SimpleQueue[dict[str, Any] | None]") -> None:
    """Collect what the child says until it ends (None)."""
    for line in child.stdout or ():
        messages.put(json.loads(line))
    messages.put(None)


def main() -> None:
    """Be the child: do what standard input orders."""
    stand_back()
    # Only messages may go to the pipe, so what libraries print goes to the log.
    pipe = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    what = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def say(**message: Any) -> None:
        print(json.dumps(message), file=pipe, flush=True)

    try:
        outcome = work(what["kind"])(what, lambda progress, phase: say(progress=progress, phase=phase))
    except ClusterUnavailable as error:
        say(away=error.detail)
    except ServiceError as error:
        say(error=error.detail)
    except Exception as error:  # noqa: BLE001 - the boundary of the process
        traceback.print_exc()
        name = type(error).__name__
        say(error=f"The work failed for a reason nobody foresaw ({name}); see the worker's log.")
    else:
        say(outcome=outcome)


def stand_back() -> None:
    """Leave the processor to others: a training that takes every core must not show in the p99 of the predictions.

    A nice process takes little, but a Linux whose others wake up lets it go on for some milliseconds. One that is
    scheduled as idle makes room at once.
    """
    os.nice(NICENESS)
    if hasattr(os, "SCHED_IDLE"):  # Linux
        with suppress(OSError):  # a sandbox may forbid it
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def work(kind: str) -> Callable[[dict[str, Any], Report], dict[str, Any]]:
    """Return what does work of a kind."""
    if kind == "track":
        from .tracking import track_here

        return track_here
    from .candidate import train_ordered

    return train_ordered


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
