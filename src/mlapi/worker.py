"""The command that runs background jobs: the worker, and its metrics if a port for them is set."""

import logging
import os
import ssl
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from . import tls
from .jobs.job import KINDS
from .jobs.store import Jobs
from .jobs.worker import run
from .keys import KeyStore
from .monitoring.exposition import Exposition, exposed
from .monitoring.jobs import JobMetrics
from .server import Refused, certificate_files
from .settings import Settings

if TYPE_CHECKING:
    from .ml.base import SupervisedModel

log = logging.getLogger(__name__)


def work(model: "type[SupervisedModel]", settings: Settings, *, exit_with_parent: bool) -> None:
    """Run the jobs of a model until a signal stops it.

    Raises as `jobs.worker.run` does, and `Refused` if the port is taken.
    """
    metrics = JobMetrics(Jobs(settings).waiting, KINDS)
    with expose(settings, metrics):
        run(model, settings, metrics, exit_with_parent=exit_with_parent)


def expose(settings: Settings, metrics: JobMetrics) -> AbstractContextManager[int | None]:
    """Tell the metrics while the block runs, if a port for them is set."""
    if settings.worker_metrics_port is None:
        return nullcontext()
    files = certificate_files(settings)
    keys = KeyStore(settings.keys_path)

    def allows(secret: str | None) -> bool:
        if not settings.needs_key:
            return True
        key = keys.find(secret) if secret else None
        return key is not None and key.caller.allows("metrics")

    try:
        server = Exposition(
            (settings.host, settings.worker_metrics_port), lambda: _context(*files), metrics.text, allows
        )
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise Refused(f"Cannot listen on {settings.host} port {settings.worker_metrics_port}: {reason}.") from error
    log.info("the worker's metrics are at https://%s:%s/metrics", settings.host, server.server_address[1])
    return exposed(server)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the TLS of one connection, with the certificate as it is now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(tls.CIPHERS)
    tls.load_pair(context, certificate, key)
    return context
