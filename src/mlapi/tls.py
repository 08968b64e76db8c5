"""TLS: which versions and ciphers are spoken, a certificate for localhost to begin with, and what replaces it."""

import asyncio
import errno
import ipaddress
import logging
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
UNTIL = "localhost, until "
"""What the file of the self-signed certificate's key begins with, before the date; readers of PEM skip it."""
LOOK_SECONDS = 1.0
"""How often a serving process looks whether the files of its certificate were replaced."""

log = logging.getLogger(__name__)


def context(config: "Config", default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Return uvicorn's TLS context, held to TLS 1.2 or better; made to be uvicorn's `ssl_context_factory`."""
    check_pair(Path(config.ssl_certfile or ""), Path(config.ssl_keyfile or ""))  # uvicorn would ask for a passphrase
    result = default()
    result.minimum_version = ssl.TLSVersion.TLSv1_2
    result.set_ciphers(CIPHERS)
    return result


class Certificate:
    """The certificate that a serving process shows, and what becomes of those that replace its files.

    Connections keep the certificate that they began with. All of this happens in the event loop, because OpenSSL does
    not let a context be changed in one thread while it is used in another.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """Note the state of the files; do so before a context loads them, or a replacement in between is missed."""
        self.replaced = 0
        """How often a new certificate was put in place."""
        self.refused = 0
        """How often a new certificate could not be used, so that the one before stayed."""
        self.count: Callable[[str], None] = lambda _result: None
        """Called for each new certificate with what became of it: replaced or refused."""
        self._files = certificate, key
        self._seen = self._tried = self._state()

    def follow(self, context: ssl.SSLContext, loop: asyncio.AbstractEventLoop) -> None:
        """Look at the files once a second for as long as the loop runs."""
        self.look(context)
        loop.call_later(LOOK_SECONDS, self.follow, context, loop)

    def look(self, context: ssl.SSLContext) -> None:
        """Load the certificate and key if they have changed, but not since the last look: a write takes a moment."""
        before, self._seen = self._seen, self._state()
        if self._seen == self._tried or self._seen != before:
            return
        self._tried = self._seen
        try:
            check_pair(*self._files)  # first, because loading one that does not fit would leave the context with half
            load_pair(context, *self._files)
        except OSError as error:
            self.refused += 1
            self.count("refused")
            log.error("the new certificate is refused and the old one stays: %s", reason_of(error))  # noqa: TRY400 - a traceback says no more
        else:
            self.replaced += 1
            self.count("replaced")
            log.info("new connections are shown the new certificate")

    def _state(self) -> list[tuple[int, int, int] | None]:
        return [_state(path) for path in self._files]


def _state(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file does, or None if it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def self_signed(directory: Path, *names: str) -> tuple[Path, Path]:
    """Return the files of a certificate for localhost and its private key, made at first use and kept.

    A new one is good for further host names, too, if some are given.
    """
    certificate, key = directory / "localhost.pem", directory / "localhost.key"
    with locked(directory / "lock"):  # two first starts at once must not mix their halves
        if not _is_usable(certificate, key):
            certificate_bytes, key_bytes = _make("localhost", *names)
            write_durably(key, key_bytes, mode=0o600)
            write_durably(certificate, certificate_bytes)
    return certificate, key


def check_pair(certificate: Path, key: Path) -> None:
    """Make sure that a certificate and a private key can be read and belong together.

    Raises:
        OSError: they cannot (ssl.SSLError is one).

    """
    load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate, key)


def load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Load a certificate and its private key, which must need no passphrase: OpenSSL would wait for one to be typed.

    Raises:
        OSError: they cannot be read, or do not belong together (ssl.SSLError is one).

    """
    context.load_cert_chain(certificate, key, _no_passphrase)


def _no_passphrase() -> str:
    raise PermissionError(errno.EACCES, "the private key needs a passphrase")


def reason_of(error: OSError) -> str:
    """Say in a few words why a pair cannot be loaded."""
    if isinstance(error, ssl.SSLError) or error.strerror is None:
        return "not a certificate and its private key in PEM"
    return error.strerror


def check_authorities(path: Path) -> None:
    """Make sure that a file holds certificates of authorities.

    Raises:
        OSError: it does not (ssl.SSLError is one).

    """
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)


def _is_usable(certificate: Path, key: Path) -> bool:
    """Tell whether the files are a pair that we made and that is valid for long enough.

    The key's first line says until when. To read it from the certificate would load a library of 8 MB at every start.
    """
    try:
        check_pair(certificate, key)
        told = key.read_text(encoding="ascii").partition("\n")[0]
        return datetime.fromisoformat(told.removeprefix(UNTIL)) - datetime.now(UTC) > RENEWAL
    except (OSError, ValueError):
        return False


def _make(*hosts: str) -> tuple[bytes, bytes]:
    """Return a new certificate for these hosts, and its key, in PEM.

    It is no authority: whoever trusts it trusts this one server, and nobody who steals the key can sign for another.
    """
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
        key_cert_sign=False,
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
        .add_extension(x509.SubjectAlternativeName([*map(x509.DNSName, hosts), *addresses]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    until = f"{UNTIL}{(now + LIFETIME).isoformat(timespec='seconds')}\n".encode()
    return certificate.public_bytes(serialization.Encoding.PEM), until + private
