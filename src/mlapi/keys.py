"""API keys: made, listed and revoked by the command line, checked by the API. Only their digests are stored."""

import json
import secrets
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from .durable import locked, write_durably
from .errors import KeysUnavailable

Scope = Literal["predict", "batch", "train", "metrics", "admin"]
"""What a caller may do."""


class Caller(NamedTuple):
    """Who sends a request, and what that one may do."""

    name: str
    """Who it is: `key:` and the owner of an API key, `token:` and the subject of a token, or `local` on this machine.

    It owns what the caller makes. All keys of one owner are one caller, so a key can be replaced by another."""
    credential: str
    """What the caller showed: `key:` and the id of an API key; else the same as the name. Quotas count by it."""
    scopes: frozenset[Scope]
    """What the caller may do; `admin` may do everything."""

    def allows(self, scope: Scope) -> bool:
        """Tell whether this caller may do `scope`."""
        return scope in self.scopes or "admin" in self.scopes

    def owns(self, owner: str | None) -> bool:
        """Tell whether this caller may see what `owner` made: its own, or everything with the scope `admin`."""
        return self.name == owner or "admin" in self.scopes


LOCAL = Caller("local", "local", frozenset({"admin"}))
"""A program on the same machine, where no credential is asked for."""


class Key(BaseModel):
    """What is known of an API key; the key itself is shown once, when it is made."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    id: str
    """Short name of the key, for listing and revoking."""
    owner: str
    """Who uses it."""
    scopes: frozenset[Scope]
    """What it is good for; `admin` is good for everything."""
    created_at: datetime
    """When it was made, in UTC."""
    digest: str
    """SHA-256 of the key. It is random and long, so a slow hash would add nothing."""

    @cached_property
    def caller(self) -> Caller:
        """Who sends a request with this key."""
        return Caller(f"key:{self.owner}", f"key:{self.id}", self.scopes)


_KEYS = TypeAdapter(list[Key])


class KeyStore:
    """The keys in a file. A change shows in every process at once: the file is read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._by_digest: dict[str, Key] = {}

    def find(self, secret: str) -> Key | None:
        """Return the key with this secret, if there is one that is not revoked."""
        self._refresh()
        digest = _digest(secret)
        key = self._by_digest.get(digest)
        # The look-up goes by digests, which tell nothing of a key; the last word has a comparison in constant time.
        return key if key is not None and compare_digest(key.digest, digest) else None

    def list(self) -> list[Key]:
        """Return all keys, oldest first.

        Raises:
            KeysUnavailable: the file cannot be read.

        """
        self._refresh()
        return sorted(self._by_digest.values(), key=lambda key: key.created_at)

    def create(self, owner: str, scopes: Iterable[Scope]) -> tuple[Key, str]:
        """Make a key; return what is known of it, and its secret, which cannot be had again."""
        secret = secrets.token_urlsafe(32)
        key = Key(
            id=secrets.token_hex(4),
            owner=owner,
            scopes=frozenset(scopes),
            created_at=datetime.now(UTC),
            digest=_digest(secret),
        )
        with self._alone():
            self._write([*self.list(), key])
        return key, secret

    def revoke(self, key_id: str) -> bool:
        """Remove a key; return whether there was one."""
        with self._alone():
            keys = self.list()
            left = [key for key in keys if key.id != key_id]
            if len(left) < len(keys):
                self._write(left)
        return len(left) < len(keys)

    def _alone(self) -> AbstractContextManager[None]:
        """Keep others from changing the keys: of two changes at once, none may be lost."""
        return locked(self._path.with_suffix(".lock"))

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._seen, self._by_digest = None, {}
            return
        seen = (status.st_ino, status.st_mtime_ns)
        if seen != self._seen:
            try:
                keys = _KEYS.validate_json(self._path.read_bytes())
            except (OSError, ValidationError) as error:
                detail = f"{self._path.name} cannot be read. Restore it, or delete it and make new keys."
                raise KeysUnavailable(detail) from error
            self._by_digest = {key.digest: key for key in keys}
            self._seen = seen

    def _write(self, keys: Iterable[Key]) -> None:
        content = json.dumps([key.model_dump(mode="json") for key in keys], indent=1)
        write_durably(self._path, content.encode(), mode=self._mode())

    def _mode(self) -> int:
        """Return the permissions of the file: for its owner alone, unless its owner has said otherwise."""
        try:
            return self._path.stat().st_mode & 0o777
        except FileNotFoundError:
            return 0o600


def _digest(secret: str) -> str:
    return sha256(secret.encode("utf-8", "replace")).hexdigest()
