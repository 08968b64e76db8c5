"""What strangers may try on every resource, whatever it is for."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sample.ml import Model
from sample.settings import Settings

from rig.app import create_app

BOUNDARY = "x" * 20
PART = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
FILE = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="rows.csv"\r\n'


@pytest.fixture
def client(settings: Settings, trained: Settings) -> Iterator[TestClient]:
    """A caller of a service that has jobs of its own."""
    app = create_app(Model, settings.model_copy(update={"models_dir": trained.models_dir}))
    with TestClient(app, base_url="https://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    ("boundary", "body"),
    [
        (BOUNDARY, PART * 10_001 + f"--{BOUNDARY}--\r\n"),
        (BOUNDARY, FILE + "X-Header: " + "x" * 1_000_000 + f"\r\n\r\n1\r\n--{BOUNDARY}--\r\n"),
        (BOUNDARY, FILE + "X-Header: x\r\n" * 100_000 + f"\r\n1\r\n--{BOUNDARY}--\r\n"),
        ("y" * 5_000, f"--{'y' * 5_000}--\r\n"),
        ("", "----\r\n"),
        (BOUNDARY, f"--{BOUNDARY}"),
        pytest.param(
            BOUNDARY,
            FILE + "\r\n1\r\n",
            # The library leaves closing this file to the garbage collector, which does it at once.
            marks=pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
        ),
        (BOUNDARY, f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"\r\n\r\n1\r\n--{BOUNDARY}--\r\n'),
        (BOUNDARY, f"--{BOUNDARY}\r\nContent-Disposition: nonsense\r\n\r\n1\r\n--{BOUNDARY}--\r\n"),
        (BOUNDARY, f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=\ud83d\r\n\r\n1".encode("utf-8", "replace")),
        (BOUNDARY, b"\x00" * 1000),
    ],
    ids=range(11),
)
def test_a_strange_upload_is_refused(client: TestClient, boundary: str, body: str | bytes) -> None:
    """Checklist 18."""
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = client.post("/predict/csv", content=body, headers=headers)
    assert answer.status_code in {400, 413, 422}
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.fixture
def trap() -> Iterator[socket.socket]:
    """Listen for anybody who follows an address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        yield listener


def test_no_address_in_a_request_is_followed(app: FastAPI, client: TestClient, trap: socket.socket) -> None:
    """Checklist 20."""
    host = f"127.0.0.1:{trap.getsockname()[1]}"
    tried = 0
    for url in (f"http://{host}/x", f"//{host}/x"):
        names = Model.Features.names()
        table = ",".join(names) + "\n" + ",".join([url] * len(names)) + "\n"
        bodies: list[dict[str, Any]] = [
            {"json": {"data": [[url] * len(names)]}},
            {"json": {"data": [dict.fromkeys(names, url)]}},
            {"json": {"$ref": url, "seed": url, "source": url, "url": url}},
            {"content": f'<!DOCTYPE x SYSTEM "{url}"><x/>', "headers": {"Content-Type": "application/xml"}},
            {"files": {"file": (url, table, url)}},
            {"headers": {"Idempotency-Key": url, "Referer": url, "X-Callback-URL": url, "Link": f"<{url}>"}},
        ]
        for path, item in app.openapi()["paths"].items():
            for method in item:
                spelled = path.replace("{", "").replace("}", "")
                for body in bodies:
                    arguments = body if method == "post" else {"headers": body.get("headers", {})}
                    answer = client.request(method, spelled, params={"cursor": url, "url": url}, **arguments)
                    assert answer.status_code < 500
                    tried += 1
    assert tried > 100
    with pytest.raises(BlockingIOError):
        trap.accept()
