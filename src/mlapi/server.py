"""The serving command: a certificate, a first model, the worker beside, and uvicorn."""

import json
import logging
import os
import resource
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NoReturn

from . import tls
from .errors import IncompatibleModelVersion, InvalidModelVersion, ModelVersionNotFound, ServiceError, TrainingFailed
from .keys import KeyStore
from .loading import loading
from .monitoring import DIRECTORY
from .serving.champion import check_fit
from .serving.registry import Registry
from .settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .loop import Config
    from .ml.base import SupervisedModel

STOP_SECONDS = 15
"""How long the worker may take to stop before it is killed; its jobs survive that."""
FILES = 65536
"""Files and connections that a process may have open, if the system lets it."""
LONGEST_PAUSE_SECONDS = 30
"""Longest pause before a worker that keeps ending is started again."""

log = logging.getLogger(__name__)


class Refused(ServiceError):
    """The service cannot start as it is asked to; the detail says what to change."""


def serve(model: "type[SupervisedModel]", settings: Settings, *, with_worker: bool) -> None:
    """Serve a model until SIGTERM or SIGINT, then end requests in flight and the worker.

    Raises:
        Refused: the address cannot be listened on, or is public while there is no API key.
        TrainingFailed: there is no model, and none could be trained.

    """
    check_access(settings)
    raise_file_limit()
    certificate, key = certificate_files(settings)
    with listen(settings) as listener:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _end)
        if with_worker:
            train_first(model, settings)
        announce(model, settings, listener, certificate)
        with worker_beside(settings.package) if with_worker else nullcontext(_nobody_waits) as started:
            run_uvicorn(settings, listener, certificate, key, started)


def _nobody_waits() -> None:
    """Tell nobody that requests are answered."""


def _end(*_: object) -> NoReturn:
    """End this process well, whatever it is doing; uvicorn, too, raises the signal again once it has stopped."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # it is ending already: an impatient second Ctrl-C changes nothing
    raise SystemExit(0)


def check_access(settings: Settings) -> None:
    """Refuse a public address while nobody could be told from a stranger."""
    if settings.needs_key and settings.oidc_issuer is None and not KeyStore(settings.keys_path).list():
        why = f"Other machines can reach {settings.host}" if settings.is_public else "Every caller needs an API key"
        raise Refused(
            f"{why}, and there is none yet. Make one first: {settings.about.slug} keys create NAME --scope admin"
        )


def raise_file_limit() -> None:
    """Let this process and its children open as many files as they may: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens on the configured address.

    Raises:
        Refused: the address is taken or not one of this machine.

    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        # The text of the error repeats the address; that of the number does not. An unknown name has no number.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise Refused(f"Cannot listen on {settings.host} port {settings.port}: {reason}. Choose another.") from error
    listener.set_inheritable(True)
    return listener


def certificate_files(settings: Settings) -> tuple[Path, Path]:
    """Return the files of the certificate and its key: those configured, or self-signed ones.

    Raises:
        Refused: a file that is configured cannot be used.

    """
    if settings.tls_client_ca_file is not None:
        try:
            tls.check_authorities(settings.tls_client_ca_file)
        except OSError as error:
            reason = error.strerror if not isinstance(error, ssl.SSLError) else "no certificates in PEM"
            raise Refused(f"{settings.tls_client_ca_file} cannot be used: {reason}.") from error
    if settings.tls_certfile is None or settings.tls_keyfile is None:
        return tls.self_signed(settings.data_dir / "tls")
    try:
        tls.check_pair(settings.tls_certfile, settings.tls_keyfile)
    except OSError as error:
        files = f"{settings.tls_certfile} and {settings.tls_keyfile}"
        raise Refused(f"{files} cannot be used: {tls.reason_of(error)}.") from error
    return settings.tls_certfile, settings.tls_keyfile


def lacks_version(model: "type[SupervisedModel]", settings: Settings) -> bool:
    """Tell, and say why, whether there is no version that fits the model."""
    registry = Registry.of(model, settings)
    try:
        version = registry.champion()
        if version is not None:
            check_fit(model, registry, version)
            return False
        log.info("there is no model yet: training the first version")
    except (IncompatibleModelVersion, InvalidModelVersion, ModelVersionNotFound) as error:
        log.warning("%s Training a new version.", error.detail)
    return True


def train_first(model: "type[SupervisedModel]", settings: Settings) -> None:
    """Train a version if none fits the model, in a process of its own so that this one stays small."""
    if not lacks_version(model, settings):
        return
    command = [sys.executable, "-m", settings.package, "train", "--promote", "always"]
    # In a process group of its own, because Ctrl-C is for this process, which then ends that one.
    done = subprocess.run(command, stdout=sys.stderr, check=False, process_group=0)  # noqa: S603 - our own command
    if done.returncode:
        raise TrainingFailed("There is no model to serve, and the first training failed, as said above.")


def announce(model: "type[SupervisedModel]", settings: Settings, listener: socket.socket, certificate: Path) -> None:
    """Say where the service is and how to call it, in a line that works as pasted."""
    here = {"127.0.0.1": "localhost", "::1": "[::1]", "0.0.0.0": "localhost", "::": "localhost"}  # noqa: S104
    host = here.get(settings.host, f"[{settings.host}]" if ":" in settings.host else settings.host)
    url = f"https://{host}:{listener.getsockname()[1]}"
    body = json.dumps({"data": [model.Features.example().values()]})
    trust = f" --cacert {shlex.quote(str(certificate.resolve()))}" if settings.tls_certfile is None else ""
    if settings.tls_client_ca_file is not None:
        trust += " --cert YOUR-CERTIFICATE.pem --key YOUR-CERTIFICATE.key"
    key = " -H 'X-API-Key: YOUR-KEY'" if settings.needs_key else ""
    print(
        f"\n{settings.about.name} serves {url} and describes itself at {url}/docs (stop it with Ctrl-C). Try it:\n\n"
        f"curl{trust}{key} -H 'Content-Type: application/json' -d {shlex.quote(body)} {url}/predict\n",
        file=sys.stderr,
        flush=True,
    )


def run_uvicorn(
    settings: Settings, listener: socket.socket, certificate: Path, key: Path, started: "Callable[[], None]"
) -> None:
    """Run the serving processes until a signal stops them; see `run`."""
    with loading():
        from .loop import Config

    config = Config(
        settings,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        ssl_ca_certs=settings.tls_client_ca_file,
        ssl_cert_reqs=ssl.CERT_REQUIRED if settings.tls_client_ca_file else ssl.CERT_NONE,
        ssl_context_factory=tls.context,
    )
    run(config, settings, listener, started)


def run(
    config: "Config", settings: Settings, listener: socket.socket, started: "Callable[[], None]" = _nobody_waits
) -> None:
    """Run as many serving processes as the settings say, until a signal stops them.

    `started` is called when requests are answered, or, if several processes serve, when those have been started.
    """
    from .loop import Server, Supervisor

    if settings.workers == 1:
        Server(config, started).run(sockets=[listener])
        return
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="metrics-", dir=settings.data_dir.resolve()) as shared:
        os.environ[DIRECTORY] = shared
        Supervisor(config, [listener], started).run()


@contextmanager
def worker_beside(package: str) -> "Iterator[Callable[[], None]]":
    """Keep a worker process of the service running; it ends with this process, however that ends.

    It is started when what this returns is called: to load its libraries earlier would hold up the first answers.
    """
    wanted, stopping = threading.Event(), threading.Event()
    keeper = threading.Thread(target=_keep_worker, args=[package, wanted, stopping], daemon=True)
    keeper.start()
    try:
        yield wanted.set
    finally:
        stopping.set()
        wanted.set()
        keeper.join()


def _keep_worker(package: str, wanted: threading.Event, stopping: threading.Event) -> None:
    """Start the worker once it is wanted, and again whenever it ends by itself."""
    wanted.wait()
    pause = 1
    while not stopping.is_set():
        started = time.monotonic()
        try:
            ended = _run_worker(package, stopping)
        except OSError as error:
            ended = error.strerror or "a fault"
        if stopping.is_set():
            return
        if time.monotonic() - started > LONGEST_PAUSE_SECONDS:
            pause = 1  # it had run well
        log.error("the worker ended with %s; starting it again in %s s", ended, pause)
        stopping.wait(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _run_worker(package: str, stopping: threading.Event) -> object:
    """Run the worker until it ends or is to stop; return how it ended."""
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", package, "worker", "--exit-with-parent"],
        stdin=subprocess.PIPE,
        process_group=0,
        env={name: value for name, value in os.environ.items() if name != DIRECTORY},  # it tells its own metrics
    ) as worker:
        while worker.poll() is None and not stopping.wait(0.2):
            pass
        if stopping.is_set():
            _stop(worker)
        return worker.returncode


def _stop(worker: "subprocess.Popen[bytes]") -> None:
    worker.terminate()
    try:
        worker.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
