"""The server of a worker's metrics, and callers that hold it up."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from package_name import tls
from package_name.monitoring import exposition
from package_name.monitoring.exposition import Exposition, exposed

from rig.service import wait_for


@pytest.fixture
def trust(tmp_path: Path) -> ssl.SSLContext:
    """TLS that trusts the server."""
    certificate, _ = tls.self_signed(tmp_path)
    return ssl.create_default_context(cafile=certificate)


def slow_text() -> bytes:
    time.sleep(1)
    return b"told"


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server that waits half a second for a single caller, and takes longer to answer."""
    monkeypatch.setattr(exposition, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(exposition, "MOST_CALLERS", 1)
    certificate, key = tls.self_signed(tmp_path)

    def context() -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(certificate, key)
        return made

    with exposed(Exposition(("127.0.0.1", 0), context, slow_text, lambda _secret: True)) as port:
        yield port


def trickle(connection: socket.socket, content: bytes) -> float:
    """Send a byte now and then until the other side has had enough; return after how many seconds it had."""
    started = time.monotonic()
    try:
        for place in range(len(content)):
            connection.sendall(content[place : place + 1])
            connection.settimeout(0.1)
            try:
                if not connection.recv(1000):
                    break
            except TimeoutError:
                continue
    except OSError:
        pass
    return time.monotonic() - started


@pytest.mark.parametrize("stage", ["handshake", "request"])
def test_a_caller_that_sends_a_byte_now_and_then_is_sent_away(port: int, trust: ssl.SSLContext, stage: str) -> None:
    connection = socket.create_connection(("127.0.0.1", port))
    if stage == "handshake":
        content = b"\x16\x03\x01\x02\x00\x01" + bytes(200)
    else:
        connection = trust.wrap_socket(connection, server_hostname="localhost")
        content = b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 200
    assert trickle(connection, content) < 5
    connection.close()

    def told() -> str | None:
        with suppress(httpx2.TransportError):
            return httpx2.get(f"https://localhost:{port}/metrics", verify=trust, timeout=60).text
        return None

    assert wait_for(told, "the place to be free; answers may take longer") == "told"
