import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from package_name import tls


def test_a_certificate_for_localhost_is_made_once_with_a_private_key_of_ones_own(tmp_path: Path) -> None:
    certificate, key = tls.self_signed(tmp_path / "tls")
    first = certificate.read_bytes()
    assert tls.self_signed(tmp_path / "tls") == (certificate, key)
    assert certificate.read_bytes() == first
    assert key.stat().st_mode & 0o777 == 0o600
    names = x509.load_pem_x509_certificate(first).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


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


def test_only_ciphers_with_forward_secrecy_and_authentication_are_spoken() -> None:
    """Checklist 29."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context = tls.context(None, lambda: made)  # type: ignore[arg-type]
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    for cipher in context.get_ciphers():
        assert cipher["aead"], cipher["name"]
        assert cipher["kea"] in {"kx-ecdhe", "kx-any"}, cipher["name"]
