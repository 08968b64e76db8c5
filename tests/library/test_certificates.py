"""Certificates of the service and of its clients, at real processes."""

import os
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sample.settings import Settings

from mlapi import tls

from rig.names import PACKAGE, PREFIX
from rig.service import PATIENCE, Service, serving, wait_for


def shown(service: Service) -> str:
    return ssl.get_server_certificate(("127.0.0.1", service.port))


def test_every_process_shows_a_new_certificate_without_a_restart_and_keeps_it_when_the_next_is_broken(
    trained: Settings, tmp_path: Path
) -> None:
    """Checklist 30."""
    certificate, key = tmp_path / "tls" / "localhost.pem", tmp_path / "tls" / "localhost.key"

    def put(name: str) -> str:
        """Replace both files at once, as Kubernetes does: however slow this is, nobody sees halves of two pairs."""
        tls.self_signed(tmp_path / name)
        (tmp_path / "link").symlink_to(tmp_path / name)
        (tmp_path / "link").replace(tmp_path / "tls")
        return certificate.read_text()

    old = put("old")
    variables = {"MODELS_DIR": str(trained.models_dir), "TLS_CERTFILE": str(certificate), "TLS_KEYFILE": str(key)}
    variables["IDLE_SECONDS"] = "3600"
    with serving(tmp_path / "service", "--no-worker", "--workers", "2", **variables) as service:
        wait_for(lambda: service.log.count("startup complete") == 2, "both processes to be there")
        assert {shown(service) for _ in range(20)} == {old}
        service.predict()  # on a connection that lives on
        new = put("new")
        wait_for(lambda: service.log.count("are shown the new certificate") == 2, "both processes to load it")
        assert {shown(service) for _ in range(20)} == {new}
        service.predict()
        certificate.write_text("broken")
        wait_for(lambda: service.log.count("the new certificate is refused") == 2, "both processes to refuse")
        assert {shown(service) for _ in range(20)} == {new}
        measured = service.client.get("/metrics").text
        for result in ("replaced", "refused"):
            assert f'certificates_loaded_total{{result="{result}"}} 2.0\n' in measured


def identify(authority: Path, client: Path) -> None:
    """Make an authority, and a client's certificate with its key that the authority signed."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("authority", "client")]
    for path, name, key, is_authority in zip((authority, client), names, keys, (True, False), strict=True):
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names[0])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - timedelta(minutes=5))
            .not_valid_after(datetime.now(UTC) + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .sign(keys[0], hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.write_bytes(certificate.public_bytes(pem) + private)


def test_clients_need_a_certificate_where_an_authority_for_them_is_set(trained: Settings, tmp_path: Path) -> None:
    directory, stranger = tmp_path / "service", tmp_path / "stranger.pem"
    directory.mkdir()
    identify(tmp_path / "authority.pem", directory / "client.pem")
    identify(tmp_path / "another.pem", stranger)
    variables = {"MODELS_DIR": str(trained.models_dir), "TLS_CLIENT_CA_FILE": str(tmp_path / "authority.pem")}
    with serving(directory, "--no-worker", **variables) as service:
        service.predict()
        for shows in (None, stranger):
            context = ssl.create_default_context(cafile=service.certificate)
            if shows is not None:
                context.load_cert_chain(shows)
            refused = pytest.raises((httpx2.NetworkError, httpx2.ProtocolError))
            with httpx2.Client(base_url=service.url, verify=context, timeout=PATIENCE) as client, refused:
                client.get("/health/live")


def test_an_unusable_authority_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name, reason in (("empty.pem", "no certificates in PEM"), ("none.pem", "No such file or directory")):
        assert refusal(tmp_path, TLS_CLIENT_CA_FILE=name).endswith(f"{name} cannot be used: {reason}.")


def test_an_unusable_certificate_is_a_clear_error(tmp_path: Path) -> None:
    certificate, key = tls.self_signed(tmp_path)
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    secret = serialization.BestAvailableEncryption(b"secret")
    (tmp_path / "locked.key").write_bytes(
        private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)
    )
    (tmp_path / "empty.key").touch()
    for name, reason in (
        ("locked.key", "the private key needs a passphrase"),
        ("empty.key", "not a certificate and its private key in PEM"),
        ("none.key", "No such file or directory"),
    ):
        told = refusal(tmp_path, TLS_CERTFILE=certificate.name, TLS_KEYFILE=name)
        assert told.endswith(f"{name} cannot be used: {reason}.")


def refusal(directory: Path, **variables: str) -> str:
    """Return what a service with these settings says last, which must refuse to start."""
    environment = os.environ | {f"{PREFIX}{name}": value for name, value in variables.items()}
    command = [sys.executable, "-m", PACKAGE, "serve", "--no-worker", "--port", "0"]
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]
