"""The service's TLS, as sslyze sees it."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from workbench import SLUG, UV, run

pytestmark = [pytest.mark.full, pytest.mark.slow]

SSLYZE = "sslyze==6.3.1"
"""Run by uv in an environment of its own: its licence, AGPL, asks for more than ours."""
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "90")
SERVER = ("basicConstraints=critical,CA:FALSE", "extendedKeyUsage=serverAuth", "subjectAltName=DNS:localhost")


@pytest.fixture(scope="session")
def sslyze(environ: dict[str, str]) -> tuple[str, ...]:
    command = (UV, "tool", "run", "--quiet", SSLYZE)
    if run(*command, "--help", environ=environ, expect=None).returncode:
        pytest.skip("sslyze cannot be installed here")
    return command


@pytest.fixture
def certificate(tmp_path: Path, environ: dict[str, str]) -> Path:
    """A certificate of the profile: signed by an authority, for 90 days."""
    extensions = [word for extension in SERVER for word in ("-addext", extension)]
    usage = ("-addext", "keyUsage=critical,keyCertSign")
    new = ("openssl", "req", "-x509", *NEW_KEY)
    run(*new, "-subj", "/CN=ca", *usage, "-keyout", "ca.key", "-out", "ca.pem", environ=environ, cwd=tmp_path)
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", *extensions, "-keyout", "key.pem", "-out", "cert.pem")
    run(*new, "-subj", "/CN=localhost", *signed, environ=environ, cwd=tmp_path)
    return tmp_path / "cert.pem"


@contextmanager
def serving(installed: Path, certificate: Path, environ: dict[str, str]) -> Iterator[str]:
    """Serve with a certificate, and say where."""
    folder = certificate.parent
    files = ("--tls-certfile", "cert.pem", "--tls-keyfile", "key.pem")
    command = [str(installed / ".venv" / "bin" / SLUG), "serve", "--no-worker", "--port", "0", *files]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 600
        while not (found := re.search(r"serves https://(localhost:\d+)", (folder / "log").read_text())):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield found[1]
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(300)


def scan(sslyze: tuple[str, ...], address: str, folder: Path, environ: dict[str, str]) -> str:
    """Return what sslyze holds against a server by Mozilla's intermediate profile."""
    trust = ("--certinfo_ca_file", "ca.pem")
    profile = ("--mozilla_config", "intermediate")
    done = run(*sslyze, *trust, *profile, address, environ=environ, cwd=folder, expect=None)
    verdict = done.stdout.partition("COMPLIANCE AGAINST TLS CONFIGURATION")[2]
    assert verdict, done.stdout + done.stderr
    return verdict


def test_sslyze_holds_nothing_against_it_but_openssls_two_stronger_groups(
    sslyze: tuple[str, ...], installed: Path, certificate: Path, environ: dict[str, str]
) -> None:
    """Checklist 29."""
    with serving(installed, certificate, environ) as address:
        verdict = scan(sslyze, address, certificate.parent, environ)
    remarks = re.findall(r"^ +\* (.*)$", verdict, re.MULTILINE)
    assert len(remarks) <= 1, verdict
    for remark in remarks:
        assert re.fullmatch(r"tls_curves: TLS curves \{[^}]*\} are supported, but should be rejected\.", remark)
        assert set(re.findall(r"'(\w+)'", remark)) <= {"X448", "secp521r1"}


def test_with_the_file_of_the_documentation_sslyzes_mozilla_intermediate_profile_passes(
    sslyze: tuple[str, ...], installed: Path, certificate: Path, environ: dict[str, str]
) -> None:
    """Checklist 29."""
    page = (installed / "docs" / "how-to" / "tls.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- file: openssl\.cnf -->\n```ini\n(.*?)```", page, re.DOTALL)
    assert found is not None
    (certificate.parent / "openssl.cnf").write_text(found[1], encoding="utf-8")
    groups = environ | {"OPENSSL_CONF": "openssl.cnf"}
    with serving(installed, certificate, groups) as address:
        verdict = scan(sslyze, address, certificate.parent, environ)
    assert "OK - Compliant" in verdict, verdict
