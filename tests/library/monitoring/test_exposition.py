"""The server of a worker's metrics, and callers that hold it up."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from mlapi import tls
from mlapi.monitoring import exposition
from mlapi.monitoring.exposition import Exposition, exposed

from rig.service import wait_for


@pytest.fixture
def trust(tmp_path: Path) -> ssl.SSLContext:
    """TLS that trusts the server."""
    certificate, _ = tls.self_signed(tmp_path)
    return ssl.create_default_context(cafile=certificate)


@pytest.fixture
def over(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Tells that a caller's time is over."""
    over, close_ears = threading.Event(), exposition._close_ears  # noqa: SLF001 - it cannot be seen elsewhere

    def close(connection: socket.socket) -> None:
        close_ears(connection)
        over.set()

    monkeypatch.setattr(exposition, "_close_ears", close)
    return over


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, over: threading.Event) -> Iterator[int]:
    """The port of a server that waits half a second for a single caller, and answers when that time is over."""
    monkeypatch.setattr(exposition, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(exposition, "MOST_CALLERS", 1)
    certificate, key = tls.self_signed(tmp_path)

    def context() -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(certificate, key)
        return made

    def slow_text() -> bytes:
        return b"told" if over.wait(60) else b"nobody's time was over"

    with exposed(Exposition(("127.0.0.1", 0), context, slow_text, lambda _secret: True)) as port:
        yield port


def is_sent_away(connection: socket.socket, content: bytes) -> bool:
    """Send a byte now and then; tell whether the other side has enough of it before it has all."""
    connection.settimeout(0.1)
    for place in range(len(content)):
        try:
            connection.sendall(content[place : place + 1])
            if not connection.recv(1000):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


@pytest.mark.parametrize("stage", ["handshake", "request"])
def test_a_caller_that_sends_a_byte_now_and_then_is_sent_away(
    port: int, over: threading.Event, trust: ssl.SSLContext, stage: str
) -> None:
    connection = socket.create_connection(("127.0.0.1", port))
    if stage == "handshake":
        content = b"\x16\x03\x01\x02\x00\x01" + bytes(500)
    else:
        connection = trust.wrap_socket(connection, server_hostname="localhost")
        content = b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 500
    assert is_sent_away(connection, content)
    connection.close()

    def told() -> str | None:
        over.clear()
        with suppress(httpx2.TransportError):
            return httpx2.get(f"https://localhost:{port}/metrics", verify=trust, timeout=60).text
        return None

    assert wait_for(told, "the place to be free; answers may take longer") == "told"
