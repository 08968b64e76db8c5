"""The service behind the proxy that is shipped with it, which speaks HTTP/2 with callers and keeps its connections."""

import json
import os
import re
import shutil
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

import pytest
from workbench import SLUG, free_port, run

pytestmark = pytest.mark.full

CONFIGURATION = Path("deploy", "compose", "haproxy.cfg")
ROW = {"data": [[5.1, 3.5, 1.4, 0.2]]}
RIGHT = "['setosa']"
UPLOADS = 24
UPLOAD_BYTES = 4_800_000
CALLERS = 4
PATIENCE = 300.0
LIMITS = ("HANDSHAKE_SECONDS", "HEADER_SECONDS", "BODY_SECONDS", "SEND_SECONDS", "IDLE_SECONDS")
"""Variables of how long clients may take: the proxy is one, and may get little of a processor."""


class Front:
    """The proxy's address, and a key that the service behind it takes."""

    def __init__(self, folder: Path, port: int, key: str) -> None:
        self.folder, self.url, self.port = folder, f"https://localhost:{port}", port
        self.headers = {"X-API-Key": key, "Content-Type": "application/json"}
        self.trust = ssl.create_default_context(cafile=folder / "var" / "tls" / "localhost.pem")

    def predict(self) -> str:
        """Return the answer to a caller who predicts on a new connection: the label, or what went wrong."""
        connection = HTTPSConnection("localhost", self.port, context=self.trust, timeout=PATIENCE)
        try:
            connection.request("POST", "/predict", json.dumps(ROW), self.headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        return str(json.loads(text)["label"]) if answer.status == 200 else f"{answer.status} {text}"


@contextmanager
def running(folder: Path, name: str, *command: str | Path, environ: dict[str, str]) -> Iterator[Path]:
    """Run a command until the block ends; yield the file with what it says."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=output, stderr=output)
    try:
        yield log
        assert process.poll() is None, log.read_text(encoding="utf-8")
    finally:
        process.terminate()
        process.wait(PATIENCE)


def adapted(shipped: str, folder: Path, port: int, behind: str | None) -> str:
    """Return the shipped configuration with the addresses and certificates of this machine.

    A machine that is busy with tests may take long for each step: that is no fault here.
    """
    for ours, theirs in {
        "bind :8443": f"bind 127.0.0.1:{port}",
        "/run/tls/proxy.pem": f"{folder}/proxy.pem",
        "/run/tls/localhost.pem": f"{folder}/var/tls/localhost.pem",
        "server-template api 8 api:8443 resolvers docker init-addr none": f"server api 127.0.0.1:{behind}",
        "check inter 1s fall 2 rise 1 ssl": "ssl",
        "bind 127.0.0.1:8404": f"bind 127.0.0.1:{free_port()}",
    }.items():
        assert ours in shipped
        shipped = shipped.replace(ours, theirs)
    return re.sub(r"(?m)^(    timeout [a-z-]+) +\d+s$", rf"\1 {PATIENCE:.0f}s", shipped)


@pytest.fixture(scope="module")
def front(installed: Path, tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> Iterator[Front]:
    """The service with keys, and the proxy in front of it."""
    haproxy = shutil.which("haproxy", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if haproxy is None:
        pytest.skip("haproxy is not installed: nothing was sent through the proxy")
    curl = shutil.which("curl")
    if curl is None or "HTTP2" not in run(curl, "--version", environ=environ).stdout:
        pytest.skip("there is no curl that speaks HTTP/2: nothing was sent through the proxy")
    folder = tmp_path_factory.mktemp("front")
    service = installed / ".venv" / "bin" / SLUG
    made = run(service, "keys", "create", "me", "--scope", "admin", environ=environ, cwd=folder).stdout
    key = re.search(r"\S{32,}", made)
    assert key is not None, made
    run(service, "train", "--promote", "always", environ=environ, cwd=folder)
    port = free_port()
    serve = (service, "serve", "--no-worker", "--port", "0")
    keys = environ | {"IRIS_API_REQUIRE_KEY": "true", "IRIS_API_RATE_LIMIT": "none"}
    keys |= {f"IRIS_API_{name}": f"{PATIENCE}" for name in LIMITS}
    with ExitStack() as stack:
        log = stack.enter_context(running(folder, "service", *serve, environ=keys))
        until(lambda: port_of(log) is not None)
        tls = folder / "var" / "tls"
        (folder / "proxy.pem").write_bytes((tls / "localhost.pem").read_bytes() + (tls / "localhost.key").read_bytes())
        text = adapted((installed / CONFIGURATION).read_text(encoding="utf-8"), folder, port, port_of(log))
        (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
        stack.enter_context(running(folder, "proxy", haproxy, "-db", "-f", "haproxy.cfg", environ=environ))
        found = Front(folder, port, key[0])
        until(lambda: is_up(found))
        yield found


def port_of(log: Path) -> str | None:
    """Return the port that the service says it serves, or None before."""
    found = re.search(r"serves https://localhost:(\d+)", log.read_text(encoding="utf-8"))
    return found and found[1]


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.1)


def is_up(front: Front) -> bool:
    try:
        return front.predict() == RIGHT
    except (HTTPException, OSError):
        return False


def test_uploads_that_are_refused_swallow_no_other_request(front: Front, environ: dict[str, str]) -> None:
    """The proxy reuses its connections: what is left of a refused body on one must not meet the next request."""
    (front.folder / "upload.csv").write_bytes(b"5.1,3.5,1.4,0.2\n" * (UPLOAD_BYTES // 16))
    over, answers = threading.Event(), Counter[str]()
    faults: list[str] = []

    def call() -> None:
        while not over.is_set() and not faults:
            try:
                answers[front.predict()] += 1
            except (HTTPException, OSError) as error:
                faults.append(repr(error))

    upload = ("--data-binary", "@upload.csv", "--header", "Content-Type: text/csv", f"{front.url}/batches")
    each = ("--output", "/dev/null", "--write-out", "%{http_version} %{http_code}\n")
    trust = ("--silent", "--http2", "--cacert", "var/tls/localhost.pem", "--max-time", f"{PATIENCE:.0f}")
    words = [word for number in range(UPLOADS) for word in (*(["--next"] if number else []), *trust, *each, *upload)]
    callers = [threading.Thread(target=call) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    try:
        parallel = ("--parallel", "--parallel-max", str(UPLOADS))
        done = run("curl", *parallel, *words, environ=environ, cwd=front.folder, expect=None)
        before = answers[RIGHT]
        until(lambda: answers[RIGHT] > before + 10 * CALLERS or bool(faults))
    finally:
        over.set()
        for caller in callers:
            caller.join()
    assert faults == []
    assert set(answers) == {RIGHT}
    assert Counter(done.stdout.splitlines()) == {"2 401": UPLOADS}, done.stderr
