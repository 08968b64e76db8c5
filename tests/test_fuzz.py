"""Random requests over the whole OpenAPI document, against a real service over HTTPS, by Schemathesis."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from workbench import BIN, ROOT, SLUG, run

pytestmark = pytest.mark.full

SECONDS = int(os.environ.get("FUZZ_SECONDS", "30"))
"""How long to go on; `make test-all` sets more."""
SEED = "20261121"


@contextmanager
def service(installed: Path, folder: Path, environ: dict[str, str]) -> Iterator[str]:
    """Serve with every protection on but the limit on requests, which would only slow this down."""
    settings = environ | {"IRIS_API_REQUIRE_KEY": "true", "IRIS_API_RATE_LIMIT": "none", "IRIS_API_PORT": "0"}
    log = folder / "log"
    command = [str(installed / ".venv" / "bin" / SLUG), "serve"]
    with log.open("wb") as output, subprocess.Popen(command, cwd=folder, env=settings, stderr=output) as process:
        try:
            deadline = time.monotonic() + 600
            while "startup complete" not in (text := log.read_text(encoding="utf-8")):
                assert process.poll() is None, text
                assert time.monotonic() < deadline, text
                time.sleep(0.1)
            yield re.findall(r"serves (https://localhost:\d+)", text)[0]
        finally:
            process.terminate()
            process.wait(300)


def test_no_random_request_gets_a_server_error_or_an_undocumented_answer(
    installed: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    """Checklist 21."""
    create = (installed / ".venv" / "bin" / SLUG, "keys", "create", "fuzz", "--scope", "admin")
    key = run(*create, environ=environ, cwd=tmp_path).stdout.strip()
    with service(installed, tmp_path, environ) as url:
        done = run(
            BIN / "schemathesis",
            *("--config-file", ROOT / "tests" / "schemathesis.toml", "run", f"{url}/openapi.json"),
            *("--tls-verify", tmp_path / "var" / "tls" / "localhost.pem", "--header", f"X-API-Key: {key}"),
            *("--max-time", str(SECONDS), "--seed", SEED, "--continue-on-failure", "--no-color"),
            *("--report", "json", "--report-json-path", tmp_path / "report.json"),
            environ=environ,
            cwd=tmp_path,
            expect=None,
            timeout=SECONDS + 600,
        )
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["failures"] == [], done.stdout
    assert report["errors"] == [], done.stdout
    assert report["operations"]["tested"] == report["operations"]["total"] > 10
    assert report["test_cases"]["generated"] > 200
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in (tmp_path / "log").read_text(encoding="utf-8")
