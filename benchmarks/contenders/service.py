"""The generated service over HTTP: what its command `serve` runs, with every protection, metric and log, but no TLS.

The command speaks HTTPS alone. Run as `python service.py PACKAGE`, with the service's own settings in the environment.
"""

import signal
import sys
from importlib import import_module

from mlapi import loop, server

PACKAGE = sys.argv[1] if __name__ == "__main__" else ""


def main() -> None:
    """Serve until a signal says to stop."""
    settings = import_module(f"{PACKAGE}.settings").Settings()
    server.raise_file_limit()
    with server.listen(settings) as listener:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
        server.run(loop.Config(settings), settings, listener)


if __name__ == "__main__":
    main()
