"""What blocks of the pages need besides the project: servers in the place of those that they name, and tools.

Servers that the tests can start are always started. Tools change the machine, fetch something or need an account, so
they are used only where TEST_WITH names them, as in `TEST_WITH="uv docker" make test`. Then TEST_INSTEAD, a JSON
object, may say what stands on this machine for something that a page names.
"""

import functools
import http.server
import io
import json
import os
import re
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from sample.ml import Model

from mlapi.ml import examples

from rig.bucket import make_bucket, speaking_s3

HANDED_ON = re.compile(r"(AWS|BUILDKIT|COMPOSE|DOCKER|KUBE|PIP|REQUESTS|SSL|UV)[A-Z_]*|(PROMETHEUS|GRAFANA)_PORT")
"""Variables of this process that tools need."""
FEW = "-k test_it_predicts"
"""What `make test` on a page runs. All of them would run the page."""


class Surroundings(NamedTuple):
    """What a block is run with."""

    variables: dict[str, str]
    """For its shell."""
    instead: dict[str, str]
    """What the page names, and what is there in its place."""
    whole: bool = False
    """Whether it gets the whole project, and makes its environment itself."""


@contextmanager
def bucket() -> Iterator[Surroundings]:
    """Run a server that speaks S3."""
    with speaking_s3() as variables:
        yield Surroundings(variables, {"s3://my-bucket": make_bucket(variables)})


class Archive(http.server.BaseHTTPRequestHandler):
    """Answers every request with the examples, as a CSV file in an archive."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(archive())

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@functools.cache
def archive() -> bytes:
    """Return the bundled examples as an archive."""
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(packed, "w") as file:
        table = Path(folder) / "examples.csv"
        examples.write_table(Model, table, examples.read(Model, None))
        file.write(table, table.name)
    return packed.getvalue()


@contextmanager
def data() -> Iterator[Surroundings]:
    """Run a web server that has an archive of examples."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Archive) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Surroundings({}, {"https://data.example.com": f"http://127.0.0.1:{server.server_address[1]}"})
        finally:
            server.shutdown()


@contextmanager
def mlflow() -> Iterator[Surroundings]:
    """Use the MLflow server that TEST_MLFLOW_URL names."""
    url = os.environ.get("TEST_MLFLOW_URL")
    if url is None:
        pytest.skip("set TEST_MLFLOW_URL to the URL of a server to run this block with it")
    known = url.replace("://", "://user:password@")
    yield Surroundings({}, {"https://user:password@mlflow.example.com": known, "https://mlflow.example.com": url})


@contextmanager
def tool(name: str) -> Iterator[Surroundings]:
    """Let a tool be used, if it may."""
    if name not in os.environ.get("TEST_WITH", "").split():
        pytest.skip(f"TEST_WITH={name} runs this block; it needs {name}, and changes this machine")
    variables = {key: value for key, value in os.environ.items() if HANDED_ON.fullmatch(key)}
    path = re.sub(r"[^:]*/\.venv/bin:", "", os.environ["PATH"])
    more = {"PATH": f".venv/bin:.local/bin:{path}", "PYTEST_ADDOPTS": FEW, "UV_PROJECT_ENVIRONMENT": ".venv"}
    yield Surroundings(variables | more, json.loads(os.environ.get("TEST_INSTEAD", "{}")), whole=True)


SURROUNDINGS: dict[str, Callable[[], AbstractContextManager[Surroundings]]] = {
    "bucket": bucket,
    "data": data,
    "mlflow": mlflow,
    **{name: functools.partial(tool, name) for name in ("aws", "docker", "kubectl", "pytorch", "uv")},
}
"""By the name that stands in the comment before a block."""
