import logging
import os
import shutil
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from uvicorn import Config

from mlapi import tls


def test_a_certificate_for_localhost_is_made_once_with_a_private_key_of_ones_own(tmp_path: Path) -> None:
    certificate, key = tls.self_signed(tmp_path / "tls")
    first = certificate.read_bytes()
    assert tls.self_signed(tmp_path / "tls") == (certificate, key)
    assert certificate.read_bytes() == first
    assert key.stat().st_mode & 0o777 == 0o600
    names = x509.load_pem_x509_certificate(first).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_a_certificate_may_be_good_for_further_hosts(tmp_path: Path) -> None:
    made = x509.load_pem_x509_certificate(tls.self_signed(tmp_path, "api", "proxy")[0].read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "api", "proxy"]


def test_first_starts_at_once_leave_a_pair_that_fits(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as starts:
        pairs = {start.result() for start in [starts.submit(tls.self_signed, tmp_path / "tls") for _ in range(8)]}
    tls.check_pair(*pairs.pop())


@pytest.mark.parametrize("damage", ["expired", "broken", "no key", "broken key", "other key"])
def test_a_certificate_that_cannot_be_used_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    with monkeypatch.context() as patched:
        if damage == "expired":
            patched.setattr(tls, "LIFETIME", timedelta(days=29))
        certificate, key = tls.self_signed(tmp_path)
    first = certificate.read_bytes()
    if damage == "broken":
        certificate.write_bytes(first[:100])
    if damage == "no key":
        key.unlink()
    if damage == "broken key":
        key.write_bytes(key.read_bytes()[:100])
    if damage == "other key":
        key.write_bytes(tls.self_signed(tmp_path / "other")[1].read_bytes())
    tls.self_signed(tmp_path)
    assert certificate.read_bytes() not in {first, first[:100]}
    tls.check_pair(certificate, key)


def locked(key: Path) -> None:
    """Put a passphrase on a private key."""
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key.write_bytes(private.private_bytes(pem, form, serialization.BestAvailableEncryption(b"secret")))


def uvicorns(certificate: Path, key: Path) -> tuple[Config, Callable[[], ssl.SSLContext]]:
    """Return uvicorn's configuration, and what makes its context."""
    config = Config("nothing:here", ssl_certfile=certificate, ssl_keyfile=key)
    return config, lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def test_nobody_is_asked_for_a_passphrase(tmp_path: Path) -> None:
    files = tls.self_signed(tmp_path)
    locked(files[1])
    with pytest.raises(OSError, match="the private key needs a passphrase"):
        tls.check_pair(*files)
    with pytest.raises(OSError, match="the private key needs a passphrase"):
        tls.context(*uvicorns(*files))


def test_only_ciphers_with_forward_secrecy_and_authentication_are_spoken(tmp_path: Path) -> None:
    """Checklist 29."""
    context = tls.context(*uvicorns(*tls.self_signed(tmp_path)))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    for cipher in context.get_ciphers():
        assert cipher["aead"], cipher["name"]
        assert cipher["kea"] in {"kx-ecdhe", "kx-any"}, cipher["name"]


def test_the_certificate_for_localhost_can_sign_no_other_and_satisfies_a_strict_client(tmp_path: Path) -> None:
    files = tls.self_signed(tmp_path)
    extensions = x509.load_pem_x509_certificate(files[0].read_bytes()).extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    trusting = ssl.create_default_context(cafile=files[0])
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    showing = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    showing.load_cert_chain(*files)
    for name in ("localhost", "127.0.0.1", "::1"):
        _shake_hands(trusting, showing, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(trusting, showing, "example.org")


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> bytes:
    """Connect two ends in memory, and return the certificate that was shown."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(back, there, server_hostname=name)
    answering = server.wrap_bio(there, back, server_side=True)
    for _ in range(3):
        for end in (asking, answering):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return asking.getpeercert(binary_form=True) or b""


class Shown:
    """A certificate in its place, and a client that looks at it."""

    def __init__(self, directory: Path) -> None:
        self.files = tls.self_signed(directory)
        for path in self.files:
            os.utime(path, (0, 0))  # long ago: on a quick machine, the files of one moment have the same time
        self.certificate = tls.Certificate(*self.files)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*self.files)

    def look(self) -> bytes:
        """Let the time pass that a replacement needs, and return what is shown then."""
        for _ in range(3):
            self.certificate.look(self.context)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        return _shake_hands(client, self.context, "localhost")


def test_a_certificate_that_was_replaced_is_shown(tmp_path: Path) -> None:
    """Checklist 30."""
    shown = Shown(tmp_path / "now")
    old = shown.look()
    for new, place in zip(tls.self_signed(tmp_path / "next"), shown.files, strict=True):
        shutil.copyfile(new, place)
    assert shown.look() == ssl.PEM_cert_to_DER_cert((tmp_path / "next" / "localhost.pem").read_text()) != old
    assert (shown.certificate.replaced, shown.certificate.refused) == (1, 0)


def test_a_certificate_is_loaded_only_once_its_files_are_still(tmp_path: Path) -> None:
    shown = Shown(tmp_path / "now")
    for new, place in zip(tls.self_signed(tmp_path / "next"), shown.files, strict=True):
        shutil.copyfile(new, place)
        shown.certificate.look(shown.context)
    assert (shown.certificate.replaced, shown.certificate.refused) == (0, 0)
    shown.certificate.look(shown.context)
    assert (shown.certificate.replaced, shown.certificate.refused) == (1, 0)


@pytest.mark.parametrize("damage", ["empty", "half", "other key", "gone", "no key", "a directory", "a passphrase"])
def test_a_broken_certificate_is_logged_and_counted_once_and_the_old_one_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    """Checklist 30."""
    shown = Shown(tmp_path / "now")
    certificate, key = shown.files
    old, content = shown.look(), certificate.read_bytes()
    match damage:
        case "empty":
            certificate.write_bytes(b"")
        case "half":
            certificate.write_bytes(content[:-100])
        case "other key":
            shutil.copyfile(tls.self_signed(tmp_path / "other")[1], key)
        case "gone":
            certificate.unlink()
        case "no key":
            key.unlink()
        case "a directory":
            certificate.unlink()
            certificate.mkdir()
        case "a passphrase":
            locked(key)
    with caplog.at_level(logging.ERROR):
        assert shown.look() == shown.look() == old
    assert (shown.certificate.replaced, shown.certificate.refused) == (0, 1)
    assert caplog.text.count("the new certificate is refused and the old one stays") == 1
    assert ("the private key needs a passphrase" in caplog.text) == (damage == "a passphrase")
    shutil.rmtree(tmp_path / "now")
    tls.self_signed(tmp_path / "now")  # the fault passes
    assert shown.look() != old
