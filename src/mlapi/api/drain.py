"""The end of a serving process: some time after the signal to stop, and with the process that started it."""

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from functools import cache
from types import FrameType

log = logging.getLogger(__name__)


class Drain:
    """Makes a process say that it is not ready for a while before it stops, so that load balancers turn away first."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.begun = False
        """Whether the process is about to stop."""

    def install(self) -> None:
        """Step between SIGTERM and the server, whose handler then follows `seconds` later; a second signal is final.

        Call it in a running event loop. Outside the main thread, where no handler can stand, nothing is changed.
        """
        stop = signal.getsignal(signal.SIGTERM)
        if not self.seconds or threading.current_thread() is not threading.main_thread() or not callable(stop):
            return
        loop = asyncio.get_running_loop()

        def begin(number: int, frame: FrameType | None) -> None:
            if self.begun:
                stop(number, frame)
                return
            self.begun = True
            log.info("not ready any more; stopping in %g s", self.seconds)
            loop.call_soon_threadsafe(loop.call_later, self.seconds, stop, number, None)

        signal.signal(signal.SIGTERM, begin)


@cache
def end_with_parent() -> None:
    """Stop this process, if it is one of several that serve, when the one that started it has died.

    Nobody would stop it otherwise, and it would keep the address from the next start.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
