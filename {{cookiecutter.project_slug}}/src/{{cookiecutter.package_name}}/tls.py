"""TLS: which versions and ciphers are spoken, and a certificate for localhost to begin with."""

import ipaddress
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from .durable import locked, write_durably

if TYPE_CHECKING:
    from uvicorn import Config

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""TLS 1.2 ciphers with forward secrecy and authenticated encryption; those of TLS 1.3 all have both."""
LIFETIME = timedelta(days=365)
"""How long the self-signed certificate is valid."""
RENEWAL = timedelta(days=30)
"""How long before its end the self-signed certificate is made anew."""


def context(_config: "Config", default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Return uvicorn's TLS context, held to TLS 1.2 or better; made to be uvicorn's `ssl_context_factory`."""
    result = default()
    result.minimum_version = ssl.TLSVersion.TLSv1_2
    result.set_ciphers(CIPHERS)
    return result


def self_signed(directory: Path) -> tuple[Path, Path]:
    """Return the files of a certificate for localhost and its private key, made at first use and kept."""
    certificate, key = directory / "localhost.pem", directory / "localhost.key"
    with locked(directory / "lock"):  # two first starts at once must not mix their halves
        if not _is_usable(certificate, key):
            certificate_bytes, key_bytes = _make()
            write_durably(key, key_bytes, mode=0o600)
            write_durably(certificate, certificate_bytes)
    return certificate, key


def check_pair(certificate: Path, key: Path) -> None:
    """Make sure that a certificate and a private key can be read and belong together.

    Raises:
        OSError: they cannot (ssl.SSLError is one).

    """
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)


def _is_usable(certificate: Path, key: Path) -> bool:
    from cryptography import x509

    try:
        check_pair(certificate, key)
        end = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return False
    return end - datetime.now(UTC) > RENEWAL


def _make() -> tuple[bytes, bytes]:
    """Return a new certificate and its key in PEM."""
    # Imported here because serving with a certificate of one's own does without.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private
