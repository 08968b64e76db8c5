"""Make what `compose.yaml` keeps secret, once: passwords, API keys and a certificate. `make up` runs this.

All of it goes to the folder `secrets` beside this file, which only its owner may enter. The files in it can be read by
everyone, because each container reads the ones that it is given as a user of its own. What is there already stays.
"""

import secrets
from pathlib import Path

from mlapi import tls
from mlapi.about import about_of
from mlapi.durable import write_durably
from mlapi.keys import KeyStore, Scope

from package_name.settings import Settings

FOLDER = Path(__file__).parent / "secrets"
KEYS: dict[str, Scope] = {"admin": "admin", "prometheus": "metrics"}
"""Whose API keys are made, and what they are good for."""
REDIS = """requirepass {password}
bind * -::*
save ""
maxmemory 64mb
maxmemory-policy allkeys-lru
"""
"""The settings of Redis: what does not fit is forgotten, the longest unused first, and nothing is written to a disk."""


def main() -> None:
    """Make what is missing, and say where it is."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    FOLDER.chmod(0o700)
    name = about_of(Settings.package).slug
    postgres = password("postgres_password")
    kept("database_url", f"postgresql://{name}:{postgres}@postgres/{name}")
    redis = password("redis_password")
    kept("redis.conf", REDIS.format(password=redis))
    kept("cache_url", f"redis://:{redis}@redis:6379/0")
    kept("rate_limit_url", f"redis://:{redis}@redis:6379/1")
    password("grafana_password")
    make_keys()
    make_certificate()
    print(f"The secrets are in {FOLDER}: admin_key is an API key that may do everything.")


def password(file: str) -> str:
    """Return the password in a file; a new one if there is no such file."""
    return kept(file, secrets.token_urlsafe(32))


def kept(file: str, text: str) -> str:
    """Return what a file holds; write `text` to it if there is no such file."""
    path = FOLDER / file
    if not path.exists():
        write_durably(path, text.encode())
    return path.read_text(encoding="utf-8")


def make_keys() -> None:
    """Make the API keys whose files are missing."""
    store = KeyStore(FOLDER / "keys" / "keys.json")
    for owner, scope in KEYS.items():
        if not (FOLDER / f"{owner}_key").exists():
            kept(f"{owner}_key", store.create(owner, [scope])[1])
    (FOLDER / "keys").chmod(0o755)
    (FOLDER / "keys" / "keys.json").chmod(0o644)


def make_certificate() -> None:
    """Make the certificate that the containers show each other, and let the proxy show it too if it has no other."""
    folder = FOLDER / "tls"
    certificate, proxy = folder / "localhost.pem", folder / "proxy.pem"
    before = certificate.read_bytes() if certificate.exists() else b""
    _, key = tls.self_signed(folder, "api", "worker")
    folder.chmod(0o755)
    key.chmod(0o644)
    if not proxy.exists() or (before and proxy.read_bytes().startswith(before)):
        write_durably(proxy, certificate.read_bytes() + key.read_bytes())


if __name__ == "__main__":
    main()
